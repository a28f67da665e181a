"""CSV files that spreadsheets open rightly: written, appended to, and read back.

A file with a sign beyond ASCII begins with a byte order mark, without which Excel takes UTF-8 for
the system's encoding; a file of ASCII alone has none, so that every script reads its first column.

A spreadsheet runs a cell that begins with =, +, - or @ as a formula (CSV injection, CWE-1236). Such
a text gets an apostrophe in front; `as_named` takes the apostrophe off again.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from djd.files import append_bytes, read_bytes, write_whole

NAME_COLUMNS = frozenset({"scan", "patient"})
"""Columns in which a number is a name, such as -5, and never a number."""

_FORMULA = re.compile(r"'*(?:[\s\ufeff\u200b-\u200f\u2060]*[=+\-@＝＋－＠]|[\t\r\n])")
"""The start of a formula, after apostrophes of ours; LibreOffice passes blanks over, and Japanese
and Korean Excel take the wide signs."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV file whole; raises OSError as `write_whole`."""
    head = _lines(columns, [dict(zip(columns, columns, strict=True))])
    write_whole(path, _marked(head + _lines(columns, rows)))


def append_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Append rows to a CSV file in one write.

    The first row with a sign beyond ASCII rewrites the file, since the byte order mark has to stand
    at its start.
    """
    data = _lines(columns, rows)
    if not data.isascii():
        there = read_bytes(path)
        if not there.startswith(codecs.BOM_UTF8):
            write_whole(path, codecs.BOM_UTF8 + there + data)
            return
    append_bytes(path, data)


def csv_lines(path: Path) -> Iterator[list[str]]:
    """Cells of each line of a file of `write_rows`, its head first; earlier versions' files too.

    Raises:
        OSError: The file can't be read.
        ValueError, csv.Error: The file is damaged.
    """
    text = read_bytes(path).decode("utf-8-sig")
    lines = csv.reader(io.StringIO(text, newline=""))
    return (list(map(as_named, line)) for line in lines) if "'" in text else lines


def as_cell(value: object, column: str = "") -> object:
    """What stands in a file for a value: texts that would be formulas have an apostrophe."""
    if not isinstance(value, str) or not _FORMULA.match(value):
        return value
    if column not in NAME_COLUMNS and _NUMBER.fullmatch(value):
        return value
    return f"'{value}"


def as_named(cell: str) -> str:
    """The text that `as_cell` made a cell of."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    lines = []
    for row in rows:
        text = io.StringIO(newline="")
        # Before Python 3.13 a line break in a cell is quoted only if it is in the line's end.
        writer = csv.DictWriter(text, columns, lineterminator="\r\n")
        writer.writerow({column: as_cell(value, column) for column, value in row.items()})
        lines.append(text.getvalue().removesuffix("\r\n") + "\n")
    return "".join(lines).encode(errors="backslashreplace")


def _marked(data: bytes) -> bytes:
    return data if data.isascii() else codecs.BOM_UTF8 + data
