"""Processes that don't outlive the one that started them."""

import contextlib
import ctypes
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading

_PR_SET_PDEATHSIG = 1  # of linux/prctl.h


def die_with_parent() -> None:
    """End this process at once when its parent does, by whatever signal.

    Linux sees to it. Elsewhere, and for a process out of a fork server, whose parent is the server
    and not the one who asked for it, a thread waits for the latter's end.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # not Linux
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_die_after, args=(parent.sentinel,), daemon=True).start()


def _die_after(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
