"""Rows of a table, whatever wrote it: encoding, line ends, separators, header and quotes.

A table is text in UTF-8, UTF-16 or cp949 (Excel's CSV in Korea), with or without a byte order mark.
Commas, semicolons or tabs separate the columns, and its first line names them, each once. Other
columns and empty lines are passed over. A list of names needs no first line.
"""

import codecs
import csv
import os
import re
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from djd.data.names import one_form
from djd.errors import InputError
from djd.files import read_bytes, tried_again
from djd.wording import count_of

Columns = tuple[str, ...]

MOST_MIB = 16
"""The table of 100,000 scans has 3; one of 100 was read in two minutes."""

_SEPARATORS = (",", ";", "\t")
_SEPARATOR_LINE = re.compile(r'"?sep=([,;\t|])"?[,;\t ]*', re.IGNORECASE)
"""Excel's own first line."""

_NO_CELLS = re.compile(r'[,;\t|" ]')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def read_rows(
    path: Path,
    key: str,
    forms: Sequence[Columns],
    *,
    names: Collection[str] | None = None,
    header_shown: bool = True,
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and cells of each row, in the columns of the one of the `forms` that is there.

    Cells are in one form (`one_form`). Sentences name the file `key`, and repeat its header where
    that may be shown. A list of known `names` has one column and may lack the header; a name may
    hold separators and quotes, and other lines that begin with # are passed over.

    Raises:
        InputError: The file can't be read, lacks a column, has the columns of two forms, or a line
            is not as expected.
    """
    known = frozenset(names or ())
    lines = _lines(path, key)
    if names is not None:
        lines = [line for line in lines if not _is_comment(line[1], known)]
    separators: Sequence[str] = _SEPARATORS
    if lines and (said := _SEPARATOR_LINE.fullmatch(lines[0][1])):
        separators, lines = said[1], lines[1:]
    number, text = lines[0] if lines else (1, "")
    separator, header = _header(text, separators, forms)
    form = _form(header, forms)
    expected = f"{count_of(len(header), 'column')} as in line {number}"
    if names is not None and (not form or one_form(text) in known):
        form = forms[0]
        header = [*form]
        expected = f"a name a line, or a first line that names the column {form[0]}"
    elif not form or _is_twice(header, forms):
        _cells(path, key, number, text, separator)  # raises for a quote, where no header was found
        columns = " or ".join(map(", ".join, forms))
        received = (", ".join(header).strip(", ") or "nothing") if header_shown else "another line"
        raise wrong_line(path, key, number, f"the columns {columns}, and no column twice", received)
    else:
        lines = lines[1:]
    for number, text in lines:
        name = one_form(text)
        cells = [name] if name in known else _cells(path, key, number, text, separator)
        if any(cells[len(header) :]):
            raise wrong_line(path, key, number, expected, count_of(len(cells), "column"))
        named = dict(zip(form if name in known else header, cells, strict=False))
        wanted = {column: named.get(column, "") for column in form}
        if any(map(_CONTROL.search, wanted.values())):
            raise wrong_line(path, key, number, "text", "a tab or another control character")
        yield number, wanted


def wrong_line(path: Path, key: str, line: int, expected: str, received: str) -> InputError:
    """The error that a line of a file is not as expected."""
    return InputError(f"{key}: {path}, line {line}: expected {expected}, received {received}")


def _header(
    text: str, separators: Sequence[str], forms: Sequence[Columns]
) -> tuple[str, list[str]]:
    """The separator that shows the columns of a form, or else the most columns, and the columns."""
    found = []
    for separator in separators:
        with suppress(csv.Error):
            columns = [cell.casefold() for cell in _split(text, separator)]
            found.append((bool(_form(columns, forms)), len(columns), separator, columns))
    best = max(found, key=lambda each: each[:2], default=(False, 0, separators[0], []))
    return best[2:]


def _form(header: Sequence[str], forms: Sequence[Columns]) -> Columns | None:
    return next((form for form in forms if set(form) <= set(header)), None)


def _is_twice(header: Sequence[str], forms: Sequence[Columns]) -> bool:
    """Whether a column, or what the forms say in different columns, stands there twice."""
    fitting = [form for form in forms if set(form) <= set(header)]
    return len(fitting) > 1 or any(name and header.count(name) > 1 for name in header)


def _cells(path: Path, key: str, number: int, text: str, separator: str) -> list[str]:
    try:
        return _split(text, separator)
    except csv.Error as error:
        raise wrong_line(path, key, number, "a line of CSV", f"{error}") from error


def _split(text: str, separator: str) -> list[str]:
    """Cells of one line; csv.Error for an open quote, which csv closes anywhere in the file."""
    cell = rf' *"(?:[^"]|"")*"|[^"{separator}]*'
    if not re.fullmatch(rf"(?:{cell})(?:[{separator}](?:{cell}))*", text):
        raise csv.Error("a quote that is not closed in its line, or stands amid a cell")
    rows = csv.reader([text], delimiter=separator, skipinitialspace=True, strict=True)
    return [one_form(cell) for cell in next(rows, [])]


def _lines(path: Path, key: str) -> list[tuple[int, str]]:
    """Number and text of each line that holds more than separators and blanks."""
    lines = list(enumerate(re.split(r"\r\n|\r|\n", _text(path, key)), start=1))
    for number, text in lines:
        if found := _CONTROL.search(text.replace("\t", "")):
            received = f"U+{ord(found[0]):04X}, a control character (a workbook? save it as CSV)"
            raise wrong_line(path, key, number, "text", received)
    return [(number, text) for number, text in lines if one_form(_NO_CELLS.sub("", text))]


def _is_comment(text: str, known: frozenset[str]) -> bool:
    return one_form(text).startswith("#") and one_form(text) not in known


def _text(path: Path, key: str) -> str:
    try:
        reason = _reason_against(tried_again(path.stat, path))
        if not reason:
            return _decoded(read_bytes(path)).lstrip("\ufeff")
    except OSError as error:
        reason = error.strerror or str(error)
    except UnicodeDecodeError:
        reason = "not in UTF-8, UTF-16 or cp949; a workbook has to be saved as CSV"
    raise InputError(f"{key}: expected a text file, received {path} ({reason})")


def _reason_against(state: os.stat_result) -> str | None:
    """Why a file is no table; a pipe would let each reader wait, or read once."""
    if not (stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)):
        return "a pipe or a device"
    size = state.st_size // 2**20
    return f"{size} MiB; tables have {MOST_MIB} at most" if size > MOST_MIB else None


def _decoded(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    if b"\0" in content:  # beside each separator and line end in UTF-16
        is_big = content[::2].count(0) > content[1::2].count(0)
        return content.decode("utf-16-be" if is_big else "utf-16-le")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp949")
