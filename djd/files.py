"""Writing files so that no file is ever half written."""

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a CSV file whole."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, text.getvalue())


def append_row(path: Path, values: Iterable[str]) -> None:
    """Append a line to a CSV file in one write."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(values)
    append_text(path, text.getvalue())


def write_whole(path: Path, content: str | bytes | memoryview) -> None:
    """Write a file in one step: beside it, to the disk, then renamed over it.

    Raises:
        OSError: The file can't be written; names `path`, and the earlier file is still whole.
    """
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):  # a read-only disk would name the file beside, which nobody knows
            beside.unlink(missing_ok=True)


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Append one JSON line; lines of several processes don't mix (one write, opened to append)."""
    append_text(path, json.dumps(record, ensure_ascii=False) + "\n")


def append_text(path: Path, text: str) -> None:
    """Append to a file in one write."""
    with path.open("ab", buffering=0) as file:
        file.write(text.encode(errors="backslashreplace"))
