"""Runs a program and ends with it whatever it left behind; a program of its own, without pytest."""

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
PR_SET_CHILD_SUBREAPER = 36


def keep(command: list[str]) -> int:
    """The exit status of a program, once all it started is gone, however far it went off.

    Where this process is told to stop, or its own parent is gone, the program is killed.
    """
    parent, libc = os.getppid(), ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphans come here, daemons too
    for number in signal.SIGTERM, signal.SIGINT:
        signal.signal(number, _stop)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        return 1
    program = None
    try:
        program = subprocess.Popen(command).pid
        while True:
            pid, status = os.wait()
            if pid == program:
                return os.waitstatus_to_exitcode(status)
    finally:
        _kill_children()


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _kill_children() -> None:
    """A child goes first, unable to tell anyone of its own children, which then come here."""
    for number in signal.SIGTERM, signal.SIGINT:
        signal.signal(number, signal.SIG_IGN)
    while children := _children():
        for child in children:
            os.kill(child, signal.SIGKILL)
        for child in children:
            os.waitpid(child, 0)


def _children() -> list[int]:
    return [
        int(stat.parent.name)
        for stat in Path("/proc").glob("[0-9]*/stat")
        if _parent(stat) == os.getpid()
    ]


def _parent(stat: Path) -> int:
    """Field 4 of /proc/PID/stat; the second, a name in brackets, may hold anything."""
    try:
        return int(stat.read_text("utf8", "replace").rpartition(")")[2].split()[1])
    except OSError:  # gone since
        return 0


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
