"""Writing files so that no file is ever half written, and finding those typed in another form."""

import csv
import io
import json
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from djd.errors import InputError


def cache_folder() -> Path:
    """The user's folder for what can be made again.

    Raises:
        InputError: The user has no home, as in some containers.
    """
    try:
        return user_cache_path("djd")
    except RuntimeError as error:
        raise InputError(
            "paths.cache: expected a folder, received none, and this user has no home; say "
            "paths.cache=FOLDER"
        ) from error


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


def as_stored(path: Path) -> Path:
    """A path as far as it is stored, where names differ from those typed in Unicode's form alone.

    macOS stores letters such as those of Korean taken apart (NFD), and keyboards write them whole.
    """
    if str(path).isascii() or os.path.exists(path):  # noqa: PTH110 (of a name too long, no error)
        return path
    stored = Path(path.anchor)
    for name in path.parts[1 if path.anchor else 0 :]:
        stored /= name if os.path.lexists(stored / name) else _stored_name(stored, name)
    return stored


def _stored_name(folder: Path, name: str) -> str:
    typed = unicodedata.normalize("NFC", name)
    with suppress(OSError):
        there = [each.name for each in folder.iterdir()]
        same = [each for each in there if unicodedata.normalize("NFC", each) == typed]
        if len(same) == 1:
            return same[0]
    return name
