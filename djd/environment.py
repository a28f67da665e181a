"""What a terminal, a launcher or a notebook leaves to a process: variables, streams, a home."""

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def let_waiting_threads_sleep() -> None:
    """Let idle threads of GNU's OpenMP look for work 1,000 times, then sleep; before PyTorch loads.

    By default the threads spin for milliseconds after each piece of work, on cores that others may
    need. Beside one other busy process on two cores a step of two threads took 174 and 19 ms at
    depth 1 in two runs, and 13 in both with this setting; at depth 2 250 and 64 ms, and 57. On
    quiet cores a step takes 7 and 29 ms either way (medians, two-core x86-64, 2026-11-25). A user's
    own setting stays.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def show_every_line() -> None:
    """Let the terminal's streams write escapes for signs that their encoding lacks.

    By default Python raises an error, and a log drops the whole line. A stream that was closed
    (`>&-`) leads nowhere: the next file that is opened would take its number, and its lines.
    """
    while (null := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(null, True)
    os.close(null)
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def outlive_terminal() -> None:
    """Ignore errors of printing to a closed pipe or a full disk, so that a training goes on.

    By default rich ends the process without a line, and Python ends it with status 120.
    """
    for stream in (sys.stdout, sys.stderr):
        for name in ("write", "flush"):
            setattr(stream, name, _without_errors(getattr(stream, name)))


def _without_errors(write: Callable[..., Any]) -> Callable[..., Any]:
    def act(*text: str) -> Any:
        with contextlib.suppress(OSError):
            return write(*text)
        return sum(map(len, text))

    return act


def expand_home(path: str) -> str:
    """A path with its tilde expanded; unchanged where no user has the name after the tilde."""
    return os.path.expanduser(path)  # noqa: PTH111 - Path's own raises an error there


_RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
_OBEYED = (*_RANKS, "WORLD_SIZE", "SLURM_NTASKS", "TORCHELASTIC_RUN_ID", "DISABLE_MPS")


def forget_launcher() -> None:
    """Remove variables of launchers and notebooks that libraries read as they are imported.

    Lightning takes a rank for that of the process and writes nothing under another than 0.
    Matplotlib refuses the backend of a notebook outside of the notebook; plots need no backend.
    """
    _remove(*_RANKS, "MPLBACKEND")


def lightning_variables() -> list[str]:
    """Names of the variables that would change Lightning's defaults, such as its epochs."""
    return sorted(name for name in os.environ if name.startswith("PL_"))


@contextmanager
def as_configured() -> Iterator[None]:
    """Hide the variables that Lightning obeys, and remove those that Lightning sets."""
    names = (*lightning_variables(), *_OBEYED)
    hidden = {name: os.environ[name] for name in names if name in os.environ}
    _remove(*names)
    try:
        yield
    finally:
        _remove(*lightning_variables(), *_OBEYED)
        os.environ.update(hidden)


def _remove(*names: str) -> None:
    for name in names:
        os.environ.pop(name, None)
