"""Files that people write about a cohort: scans, patients, a second reader's grades, spellings.

Tables are UTF-8 with or without a mark at the beginning. Commas or semicolons separate the columns,
line 1 names the columns, and other columns and empty lines are passed over.
"""

import csv
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from djd.errors import InputError
from djd.files import write_rows
from djd.grades import GRADE_NAMES, SIDES, Grade, Side

Readings = Mapping[tuple[str, Side], Grade]
"""A reader's grade of each knee that was read, by scan and side."""

READINGS_COLUMNS = ("scan", "side", "grade")

_GRADE_OF: Mapping[str, Grade] = {
    word: grade for grade, name in enumerate(GRADE_NAMES) for word in (str(grade), name)
}


def read_names(path: Path, *, key: str, known: Collection[str], what: str) -> list[str]:
    """Names from a text file, one a line; blank lines and those that begin with # are passed over.

    Args:
        path: The file.
        key: The file's key, such as `data.test_list`.
        known: Names that may stand in the file.
        what: Noun for a name, such as `patient`.

    Raises:
        InputError: The file can't be read, or a line is no known name or stands there twice.
    """
    names: list[str] = []
    for number, line in enumerate(_read_text(path, key).splitlines(), start=1):
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
    """Patient of each known scan in a table with the columns scan and patient.

    Raises:
        InputError: The file can't be read, lacks a column, or a line is no scan and patient.
    """
    patients: dict[str, str] = {}
    for line in _lines(path, "data.groups", ("scan", "patient")):
        scan, patient = line.scan(known), line.cells["patient"]
        if not patient:
            raise line.wrong(f"the patient of {scan}", "none")
        if patients.setdefault(scan, patient) != patient:
            raise line.wrong(f"one patient for {scan}", f"{patients[scan]} and {patient}")
    return patients


def read_grade_names(path: Path) -> dict[str, Grade | None]:
    """Grade of each spelling, casefolded, from a table with the columns spelling and grade.

    Sentences repeat nothing of the file: a spelling may identify a patient.

    Args:
        path: The file; a grade is 0 to 4 or its name, and unspect or none where a knee has none.

    Raises:
        InputError: The file can't be read, lacks a column, or a line is no spelling and grade.
    """
    key = "data.grade_names"
    grade_of: Mapping[str, Grade | None] = {**_GRADE_OF, "unspect": None, "none": None}
    grades: dict[str, Grade | None] = {}
    for line in _lines(path, key, ("spelling", "grade"), header_shown=False):
        spelling, word = (line.cells[column].casefold() for column in ("spelling", "grade"))
        if not spelling:
            raise line.wrong("a spelling and its grade", "no spelling")
        if word not in grade_of:
            expected = f"a grade of 0 to 4, {', '.join(GRADE_NAMES)} or unspect"
            raise line.wrong(expected, "another text" if word else "none")
        if grades.setdefault(spelling, grade_of[word]) != grade_of[word]:
            raise line.wrong("one grade for each spelling", "another grade than before")
    if not grades:
        raise InputError(f"{key}: {path}: expected a spelling a line, received none")
    return grades


def read_second_reader(
    path: Path, *, known: Collection[str] | None, key: str = "data.second_reader"
) -> Readings:
    """A reader's grade of each knee from a table with the columns scan, side and grade.

    Args:
        path: The file.
        known: Stems of the scans that may stand in the file; None where any may.
        key: The file's name in sentences.

    Raises:
        InputError: The file can't be read, lacks a column, or names no knee; or a line is no scan,
            side and grade, or names a knee again.
    """
    readings: dict[tuple[str, Side], Grade] = {}
    for line in _lines(path, key, READINGS_COLUMNS):
        scan, side = line.scan(known), line.side()
        if (scan, side) in readings:
            raise line.wrong("each knee once", f"{scan} {side} again")
        readings[scan, side] = line.grade()
    if not readings:
        raise InputError(f"{key}: {path}: expected a knee a line, received none")
    return readings


def write_second_reader(path: Path, readings: Readings, *, stamp: str | None) -> None:
    """Write grades for `read_second_reader`, by scan, right before left, with a stamp a row."""
    column = {"stamp": stamp} if stamp else {}
    in_order = sorted(readings, key=lambda knee: (knee[0], SIDES.index(knee[1])))
    rows = [
        {"scan": scan, "side": side, "grade": readings[scan, side], **column}
        for scan, side in in_order
    ]
    write_rows(path, (*READINGS_COLUMNS, *column), rows)


def wrong_line(path: Path, key: str, line: int, expected: str, received: str) -> InputError:
    """The error that a line of a file is not as expected."""
    return InputError(f"{key}: {path}, line {line}: expected {expected}, received {received}")


@dataclass(frozen=True)
class _Line:
    """The cells of one line of a table, by column, as typed."""

    path: Path
    key: str
    number: int
    cells: Mapping[str, str]

    def scan(self, known: Collection[str] | None) -> str:
        scan = self.cells["scan"]
        if not scan or (known is not None and scan not in known):
            # A spreadsheet takes 0000058 for a number.
            like = sorted(name for name in known or () if scan and name.lstrip("0") == scan)
            hint = f" (without the zeros of {like[0]}?)" if like else ""
            raise self.wrong("a scan of the cohort", f"{scan or 'none'}{hint}")
        return scan

    def side(self) -> Side:
        for side in SIDES:
            if self.cells["side"].casefold() == side:
                return side
        raise self.wrong("the side right or left", self.cells["side"] or "none")

    def grade(self) -> Grade:
        grade = self.cells["grade"]
        if grade.casefold() not in _GRADE_OF:
            received = grade or "none; leave out knees that were not read"
            raise self.wrong(f"a grade of 0 to 4 or {', '.join(GRADE_NAMES)}", received)
        return _GRADE_OF[grade.casefold()]

    def wrong(self, expected: str, received: str) -> InputError:
        return wrong_line(self.path, self.key, self.number, expected, received)


def _lines(
    path: Path, key: str, columns: Sequence[str], *, header_shown: bool = True
) -> Iterator[_Line]:
    text = _read_text(path, key)
    head = text.partition("\n")[0]
    rows = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=";" if head.count(";") > head.count(",") else ",",
        skipinitialspace=True,
        strict=True,  # else a quote that is never closed swallows the rest of the file
    )
    try:
        shown = [column.strip() for column in next(rows, [])]
        header = [column.casefold() for column in shown]
        if any(header.count(column) != 1 for column in columns):
            expected = f"the columns {', '.join(columns)}, each once"
            received = ", ".join(shown).strip(", ") or "nothing"
            received = received if header_shown else "a line without them"
            raise wrong_line(path, key, 1, expected, received)
        for row in rows:
            cells = [cell.strip() for cell in row]
            if any(cells[len(header) :]):
                expected = f"{len(header)} columns as in line 1"
                raise wrong_line(path, key, rows.line_num, expected, f"{len(cells)}")
            if any(cells):
                named = dict(zip(header, cells, strict=False))
                wanted = {column: named.get(column, "") for column in columns}
                yield _Line(path, key, rows.line_num, wanted)
    except csv.Error as error:
        raise wrong_line(path, key, rows.line_num, "a line of CSV", f"{error}") from error


def _read_text(path: Path, key: str) -> str:
    """The text of a UTF-8 file, without the mark that spreadsheets write at the beginning."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise InputError(f"{key}: expected a text file, received {path} ({reason})") from error
