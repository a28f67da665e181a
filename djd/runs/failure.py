"""What a failed cell leaves behind: the reason, and the way there."""

import contextlib
import traceback
from pathlib import Path

from djd.errors import InputError
from djd.files import write_whole
from djd.resume_latest import RESULT_NAME
from djd.runs.lock import is_claimed

ERROR_NAME = "error.txt"
"""In a failed cell's folder: a sentence, or a traceback that ends with one."""


def record_failure(folder: Path, error: BaseException | str) -> None:
    """Leave why a cell failed; a disk that is full is no second failure."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / ERROR_NAME, _text(error))


def record_loss(folder: Path, error: BaseException | str) -> None:
    """Leave why a cell was lost that could not say it itself.

    Not where it did say, or has ended well after all, or another process works on it by now.
    """
    ended = (folder / RESULT_NAME).exists() or (folder / ERROR_NAME).exists()
    if not ended and not is_claimed(folder):
        record_failure(folder, error)


def forget_failure(folder: Path) -> None:
    """Let what failed be tried again; where that can't be written, it will fail again."""
    with contextlib.suppress(OSError):
        (folder / ERROR_NAME).unlink()


def failure_reason(folder: Path) -> str | None:
    """Why a cell failed, in one line; None where it hasn't."""
    try:
        lines = (folder / ERROR_NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.strip() for line in reversed(lines) if line.strip()), "no reason was left")


def _text(error: BaseException | str) -> str:
    if isinstance(error, str | InputError):
        return f"{error}\n"
    if isinstance(error, SystemExit):
        lines = traceback.format_exception(error)
        return "".join([*lines, f"the cell called sys.exit({error.code!r})\n"])
    return "".join(traceback.format_exception(error))
