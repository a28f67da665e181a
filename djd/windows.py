"""Limits and exit codes of Windows."""

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

from djd.errors import InputError

MOST_PROCESSES = 30 if os.name == "nt" else 1000
"""Processes that one can wait for: Windows waits for 63 things, and a process takes two."""

EXIT_CODES = {
    0xC0000005: "its process crashed: access violation (0xC0000005)",
    0xC0000017: "its process ended for want of memory (0xC0000017)",
    0xC000001D: "its process crashed: illegal instruction (0xC000001D)",
    0xC00000FD: "its process crashed: stack overflow (0xC00000FD)",
    0xC0000135: "its process couldn't start: a DLL is missing (0xC0000135)",
    0xC000013A: "its process was ended by Ctrl-C (0xC000013A)",
    0xC0000142: "its process couldn't start: a DLL failed (0xC0000142)",
    0xC0000374: "its process crashed: damaged memory (0xC0000374)",
    0xC0000409: "its process ended itself: a fault in its memory (0xC0000409)",
}
"""Reasons of a process's end by its exit code (NTSTATUS)."""

ROOM_FOR_FILES = 80
"""Characters of the longest file below a training's folder, TensorBoard's with the host's name."""

LONGEST_PATH = 259
"""Characters (UTF-16 units) of a path on Windows, where long paths are not turned on."""


def takes_long_paths() -> bool:
    """Whether paths beyond `LONGEST_PATH` work: everywhere but on Windows as it is installed."""
    if os.name != "nt":
        return True
    try:
        asked = ctypes.CDLL("ntdll").RtlAreLongPathsEnabled
    except (AttributeError, OSError):  # before Windows 10
        return False
    asked.restype = ctypes.c_ubyte
    return bool(asked())


def require_room(folder: Path, names: Iterable[str], key: str) -> None:
    """Raise InputError where Windows would refuse files in the named folders below a folder.

    `key` is the one by which a person gives the folder.
    """
    if takes_long_paths():
        return
    room = LONGEST_PATH - ROOM_FOR_FILES - max(map(_utf16_units, names)) - 1
    if _utf16_units(str(folder.absolute())) > room:
        raise InputError(
            f"{key}: expected a path of at most {room} characters, since Windows takes "
            f"{LONGEST_PATH} with the files below it, received {folder.absolute()}; choose a "
            "shorter one, such as C:/djd, or turn on long paths in Windows (LongPathsEnabled)"
        )


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2
