"""Files that people write about a cohort: scans, patients, and grades of severity names."""

import csv
from collections.abc import Collection, Mapping
from pathlib import Path

from djd.errors import InputError
from djd.grades import GRADE_NAMES, Grade

_GRADE_OF: Mapping[str, Grade | None] = {
    **{word: grade for grade, name in enumerate(GRADE_NAMES) for word in (str(grade), name)},
    "unspect": None,
    "none": None,
}


def read_names(path: Path, *, key: str, known: Collection[str], what: str) -> list[str]:
    """Names from a text file, one a line; blank lines and those that begin with # are passed over.

    Args:
        path: The file.
        key: That names it, such as `data.test_list`.
        known: Names that may stand there.
        what: What they are, such as `patient`.

    Raises:
        InputError: The file can't be read, or a line is no known name or stands there twice.
    """
    names: list[str] = []
    for number, line in enumerate(read_text(path, key).splitlines(), start=1):
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        if name not in known:
            raise wrong_line(path, key, number, f"a {what} of the cohort", name)
        if name in names:
            raise wrong_line(path, key, number, f"each {what} once", f"{name} again")
        names.append(name)
    if not names:
        raise InputError(f"{key}: {path}: expected a {what} a line, received none")
    return names


def read_groups(path: Path, *, known: Collection[str]) -> dict[str, str]:
    """Patient of each scan from a CSV file with the columns scan and patient.

    Args:
        path: The file.
        known: Stems of the scans that are there.

    Raises:
        InputError: The file can't be read, lacks a column, or a line is no scan and patient.
    """
    key = "data.groups"
    rows = csv.DictReader(read_text(path, key).splitlines(), skipinitialspace=True)
    columns = [column.strip() for column in rows.fieldnames or ()]
    if not {"scan", "patient"} <= set(columns):
        raise wrong_line(path, key, 1, "the columns scan, patient", ", ".join(columns) or "nothing")
    rows.fieldnames = columns
    patients: dict[str, str] = {}
    for row in rows:
        scan, patient = ((row[column] or "").strip() for column in ("scan", "patient"))
        if scan not in known:
            raise wrong_line(path, key, rows.line_num, "a scan of the cohort", scan or "none")
        if not patient:
            raise wrong_line(path, key, rows.line_num, f"the patient of {scan}", "none")
        if patients.setdefault(scan, patient) != patient:
            expected = f"one patient for {scan}"
            raise wrong_line(path, key, rows.line_num, expected, f"{patients[scan]} and {patient}")
    return patients


def read_grade_names(path: Path) -> dict[str, Grade | None]:
    """Grade of each spelling from a CSV file with the columns spelling and grade.

    Sentences repeat nothing of the file: a spelling may identify a patient.

    Args:
        path: The file; a grade is 0 to 4 or its name, and unspect or none where a knee has none.

    Returns:
        Grade by casefolded spelling.

    Raises:
        InputError: The file can't be read, lacks a column, or a line is no spelling and grade.
    """
    key = "data.grade_names"
    text = read_text(path, key)
    head = text.partition("\n")[0]
    delimiter = ";" if head.count(";") > head.count(",") else ","
    rows = csv.DictReader(text.splitlines(), delimiter=delimiter, skipinitialspace=True)
    rows.fieldnames = [column.strip().casefold() for column in rows.fieldnames or ()]
    if not {"spelling", "grade"} <= set(rows.fieldnames):
        raise wrong_line(path, key, 1, "the columns spelling, grade", "a line without them")
    grades: dict[str, Grade | None] = {}
    for row in rows:
        spelling, word = ((row[column] or "").strip() for column in ("spelling", "grade"))
        spelling, word = spelling.casefold(), word.casefold()
        if not spelling:
            raise wrong_line(path, key, rows.line_num, "a spelling and its grade", "no spelling")
        if word not in _GRADE_OF:
            expected = f"a grade of 0 to 4, {', '.join(GRADE_NAMES)} or unspect"
            received = "another text" if word else "none"
            raise wrong_line(path, key, rows.line_num, expected, received)
        if grades.setdefault(spelling, _GRADE_OF[word]) != _GRADE_OF[word]:
            expected = "one grade for each spelling"
            raise wrong_line(path, key, rows.line_num, expected, "another grade than before")
    if not grades:
        raise InputError(f"{key}: {path}: expected a spelling a line, received none")
    return grades


def read_text(path: Path, key: str) -> str:
    """The text of a UTF-8 file, without the mark that spreadsheets write at the beginning.

    Raises:
        InputError: It can't be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise InputError(f"{key}: expected a text file, received {path} ({reason})") from error


def wrong_line(path: Path, key: str, line: int, expected: str, received: str) -> InputError:
    """What is wrong with a line of a file, as one sentence."""
    return InputError(f"{key}: {path}, line {line}: expected {expected}, received {received}")
