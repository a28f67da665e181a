"""Errors that a person can mend."""

import os
import re
import sys
from pathlib import Path


class InputError(Exception):
    """Something the person gave is wrong: one sentence with place, expected and received.

    `train.py` and `djd` print the sentence and exit with status 1; any other exception is a fault
    of the software and keeps its traceback.
    """


class DriveError(Exception):
    """A drive failed while a file was read: one sentence. Nothing is known about the file.

    No `InputError`, and no `OSError`, so that nobody takes the file for damaged or missing.
    """


class FailedCellsError(Exception):
    """A comparison reached its end, and some cells failed; the reasons are printed already."""


class ElsewhereError(Exception):
    """A comparison lacks cells that other processes train; who they are is printed already."""

    exit_status = 3


def file_sentence(error: OSError, place: Path | str) -> str:
    """The sentence on a file, or on `place` where the error names none."""
    return f"{error.filename or place}: can't be read or written ({error.strerror or error})"


def require_text(place: str, name: str) -> None:
    """Raise InputError for a name of bytes that are no text, or that no file here can have.

    Python reads such names from the file system, and can't write them to UTF-8 files.
    """
    try:
        name.encode()
        os.fsencode(name)
    except UnicodeEncodeError:
        encoding = sys.getfilesystemencoding()
        mend = "rename it" if encoding == "utf-8" else "set PYTHONUTF8=1, or rename it"
        raise InputError(
            f"{place}: expected text in {encoding}, received {_with_bytes(name)}; {mend}"
        ) from None


def _with_bytes(name: str) -> str:
    r"""A name with bytes for Python's stand-ins, such as `\xb0`, where they are no UTF-8 either."""

    def shown(found: re.Match[str]) -> str:
        return found[0].encode(errors="surrogateescape").decode(errors="backslashreplace")

    return re.sub("[\udc80-\udcff]+", shown, name)
