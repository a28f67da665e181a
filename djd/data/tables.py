"""Files that people write about a cohort: scans, patients, a second reader's grades, spellings."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from djd.csv_files import as_named, write_rows
from djd.data.names import meant
from djd.data.table_rows import read_rows, wrong_line
from djd.errors import InputError
from djd.grades import GRADE_NAMES, SIDES, Grade, Side

Readings = Mapping[tuple[str, Side], Grade]
"""A reader's grade of each knee that was read, by scan and side."""

READINGS_COLUMNS = ("scan", "side", "grade")

_MONTH = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_NO_PATIENT = re.compile(
    rf"[\W_]+|#[A-Z/0]+[A!?]|N/?A|n/a|<NA>|nan|NaN|null|NULL|none|None|-?\d([.,]\d+)?E\+\d+"
    rf"|\d\d?-{_MONTH}|{_MONTH}-\d\d"
)
"""Read as a name, it would make the scans of many patients one patient's."""

_DIGITS_IN_EXCEL = 15
_LONG_NUMBER = re.compile(rf"\d{{{_DIGITS_IN_EXCEL + 1},}}", re.ASCII)

_GRADE_OF: Mapping[str, Grade] = {
    word: grade for grade, name in enumerate(GRADE_NAMES) for word in (str(grade), name)
}


def read_names(
    path: Path, *, key: str, known: Collection[str], what: str, columns: Sequence[str] = ()
) -> list[str]:
    """Names from a file: one a line, or a table's column; lines that begin with # are passed over.

    Sentences name the file `key`, such as `data.test_list`, and a name `what`, such as `patient`.
    A first line that is no known name may say `what`, `name`, or one of `columns`.

    Raises:
        InputError: The file can't be read, or a line is no known name or repeats a name.
    """
    words = (what, *columns, "name")
    forms = [(form,) for word in words for form in (word, f"{word}s")]
    names: dict[str, int] = {}
    for line in table_lines(path, key, *forms, names=known):
        name = line.name(next(iter(line.cells)), known, what=what)
        if name in names:
            raise line.wrong(f"each {what} once", f"{name} again")
        names[name] = line.number
    if not names:
        raise InputError(f"{key}: {path}: expected a {what} a line, received none")
    return list(names)


def read_groups(path: Path, *, known: Collection[str]) -> dict[str, str]:
    """Patient of each known scan in a table with the columns scan and patient.

    Raises:
        InputError: The file can't be read, lacks a column, or a line is no scan and patient.
    """
    patients: dict[str, str] = {}
    for line in table_lines(path, "data.groups", ("scan", "patient")):
        scan, patient = line.name("scan", known), line.text("patient")
        if not patient:
            raise line.wrong(f"the patient of {scan}", "none")
        if _NO_PATIENT.fullmatch(patient):
            no_patient = f"{patient}, as spreadsheets show a missing or changed value"
            raise line.wrong(f"the patient of {scan}", no_patient)
        if patients.setdefault(scan, patient) != patient:
            raise line.wrong(f"one patient for {scan}", f"{patients[scan]} and {patient}")
    if not patients:
        raise InputError(f"data.groups: {path}: expected a scan a line, received none")
    long = {patient for patient in patients.values() if _LONG_NUMBER.fullmatch(patient)}
    if len(long) > 1 and all(set(patient[_DIGITS_IN_EXCEL:]) == {"0"} for patient in long):
        raise InputError(
            f"data.groups: {path}: expected patients in full, received numbers such as "
            f"{min(long)}, all with zeros after {_DIGITS_IN_EXCEL} digits, as Excel makes them; "
            "keep the column as text"
        )
    return patients


def read_grade_names(path: Path) -> dict[str, Grade | None]:
    """Grade of each spelling, casefolded, from a table with the columns spelling and grade.

    A grade is 0 to 4 or the grade's name, and unspect or none where a knee has no grade. Sentences
    repeat nothing of the file: a spelling may identify a patient.

    Raises:
        InputError: The file can't be read, lacks a column, or a line is no spelling and grade.
    """
    key = "data.grade_names"
    grade_of: Mapping[str, Grade | None] = {**_GRADE_OF, "unspect": None, "none": None}
    grades: dict[str, Grade | None] = {}
    for line in table_lines(path, key, ("spelling", "grade"), header_shown=False):
        spelling, word = (line.text(column).casefold() for column in ("spelling", "grade"))
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
    """A reader's grade of each knee: columns scan, side and grade, or scan, right and left.

    `known` holds the stems that may stand in the file; None where any may. A knee that was not read
    has no line, or an empty cell under its side.

    Raises:
        InputError: The file can't be read, lacks a column, names no knee, or a line is wrong.
    """
    readings: dict[tuple[str, Side], Grade] = {}
    for line in table_lines(path, key, READINGS_COLUMNS, ("scan", *SIDES)):
        scan = line.name("scan", known)
        in_columns = {side: side for side in SIDES if line.cells.get(side)}
        sides = {line.side(): "grade"} if "side" in line.cells else in_columns
        for side, column in sides.items():
            if (scan, side) in readings:
                raise line.wrong("each knee once", f"{scan} {side} again")
            readings[scan, side] = line.grade(column)
    if not readings:
        raise InputError(f"{key}: {path}: expected a knee a line, received none")
    return readings


def write_second_reader(path: Path, readings: Readings, *, stamp: str | None) -> None:
    """Write grades for `read_second_reader`, by scan, right before left, with a stamp a row."""
    column = {"stamp": stamp} if stamp else {}
    in_order = sorted(readings.items(), key=lambda item: (item[0][0], SIDES.index(item[0][1])))
    rows = [
        {"scan": scan, "side": side, "grade": grade} | column for (scan, side), grade in in_order
    ]
    write_rows(path, (*READINGS_COLUMNS, *column), rows)


@dataclass(frozen=True)
class TableLine:
    """The cells of one line of a table, by column, as typed."""

    path: Path
    key: str
    number: int
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """A text as it is, or as `write_rows` writes it."""
        return as_named(self.cells[column])

    def name(
        self,
        column: str,
        known: Collection[str] | None,
        *,
        what: str = "scan",
        guess: bool = True,
    ) -> str:
        """A known name, or any (None), as it is or as `write_rows` writes it.

        To `guess` which of 10,000 names is meant takes a quarter of a second.
        """
        typed = self.cells[column]
        for name in (as_named(typed), typed):
            if name and (known is None or name in known):
                return name
        guessed = meant(typed, known or ()) if guess else ""
        raise self.wrong(f"a {what} of the cohort", f"{typed or 'none'}{guessed}")

    def side(self) -> Side:
        """The side in a line of one knee."""
        for side in SIDES:
            if self.cells["side"].casefold() == side:
                return side
        raise self.wrong("the side right or left", self.cells["side"] or "none")

    def grade(self, column: str) -> Grade:
        """A grade as a number or by its name."""
        grade = self.cells[column]
        if grade.casefold() not in _GRADE_OF:
            received = grade or "none; leave out knees that were not read"
            raise self.wrong(f"a grade of 0 to 4 or {', '.join(GRADE_NAMES)}", received)
        return _GRADE_OF[grade.casefold()]

    def wrong(self, expected: str, received: str) -> InputError:
        """The error of this line."""
        return wrong_line(self.path, self.key, self.number, expected, received)


def table_lines(
    path: Path,
    key: str,
    *forms: tuple[str, ...],
    names: Collection[str] | None = None,
    header_shown: bool = True,
) -> Iterator[TableLine]:
    """Lines as from `read_rows`, which raises InputError."""
    rows = read_rows(path, key, forms, names=names, header_shown=header_shown)
    return (TableLine(path, key, number, cells) for number, cells in rows)
