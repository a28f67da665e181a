"""How a second reader grades the knees: a file that people write, and the copy that is kept."""

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from djd.data.tables import read_text, wrong_line
from djd.errors import InputError
from djd.files import write_rows
from djd.grades import GRADE_NAMES, SIDES, Grade, Side

Readings = Mapping[tuple[str, Side], Grade]
"""A reader's grade of each knee that was read, by scan and side."""

COLUMNS = ("scan", "side", "grade")

_SIDE_OF: Mapping[str, Side] = {side: side for side in SIDES}
_GRADE_OF: Mapping[str, Grade] = {
    word: grade for grade, name in enumerate(GRADE_NAMES) for word in (str(grade), name)
}


def read_second_reader(
    path: Path, *, known: Collection[str] | None, key: str = "data.second_reader"
) -> Readings:
    """A reader's grade of each knee in a CSV file with the columns scan, side and grade.

    Commas or semicolons part the columns; other columns and empty lines are passed over.

    Args:
        path: The file, UTF-8 with or without a mark at its beginning.
        known: Stems of the scans that may stand there; None where any may.
        key: What sentences call the file.

    Raises:
        InputError: The file can't be read, lacks a column, or names no knee; or a line is no scan,
            side and grade, or names a knee again.
    """
    readings: dict[tuple[str, Side], Grade] = {}
    for line in _lines(path, key):
        scan, side = line.scan(known), line.side()
        if (scan, side) in readings:
            raise line.wrong("each knee once", f"{scan} {side} again")
        readings[scan, side] = line.grade()
    if not readings:
        raise InputError(f"{key}: {path}: expected a knee a line, received none")
    return readings


def write_second_reader(path: Path, readings: Readings, *, stamp: str | None) -> None:
    """Write grades for `read_second_reader` to read back, ordered by scan and then right, left.

    Args:
        path: The file.
        readings: What it is to hold.
        stamp: What every row has to say besides.

    Raises:
        OSError: It can't be written.
    """
    column = {"stamp": stamp} if stamp else {}
    in_order = sorted(readings, key=lambda knee: (knee[0], SIDES.index(knee[1])))
    rows = [
        {"scan": scan, "side": side, "grade": readings[scan, side], **column}
        for scan, side in in_order
    ]
    write_rows(path, (*COLUMNS, *column), rows)


@dataclass(frozen=True)
class _Line:
    """One line of the file: what stands in its three columns, as typed."""

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
        side = self.cells["side"]
        if side.casefold() not in _SIDE_OF:
            raise self.wrong("the side right or left", side or "none")
        return _SIDE_OF[side.casefold()]

    def grade(self) -> Grade:
        grade = self.cells["grade"]
        if grade.casefold() not in _GRADE_OF:
            names = ", ".join(GRADE_NAMES)
            received = grade or "none; leave out knees that were not read"
            raise self.wrong(f"a grade of 0 to 4 or {names}", received)
        return _GRADE_OF[grade.casefold()]

    def wrong(self, expected: str, received: str) -> InputError:
        return wrong_line(self.path, self.key, self.number, expected, received)


def _lines(path: Path, key: str) -> Iterable[_Line]:
    text = read_text(path, key)
    head = text.partition("\n")[0]
    rows = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=";" if head.count(";") > head.count(",") else ",",
        skipinitialspace=True,
        strict=True,  # else a quote that is never closed swallows the rest of the file
    )
    try:
        header = [column.strip() for column in next(rows, [])]
        _require_columns(path, key, header)
        for row in rows:
            cells = [cell.strip() for cell in row]
            if any(cells[len(header) :]):
                expected = f"{len(header)} columns as in line 1"
                raise wrong_line(path, key, rows.line_num, expected, f"{len(cells)}")
            if any(cells):
                filled = dict(zip(header, cells, strict=False))
                told = {column: filled.get(column, "") for column in COLUMNS}
                yield _Line(path, key, rows.line_num, told)
    except csv.Error as error:
        raise wrong_line(path, key, rows.line_num, "a line of CSV", f"{error}") from error


def _require_columns(path: Path, key: str, header: Sequence[str]) -> None:
    if any(header.count(column) != 1 for column in COLUMNS):
        expected = f"the columns {', '.join(COLUMNS)}, each once"
        raise wrong_line(path, key, 1, expected, ", ".join(header).strip(", ") or "nothing")
