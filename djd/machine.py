"""How many cores there are for us, and work spread over them."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


WAITING_TURNS = "1000"
"""How often a thread of OpenMP's looks for work before it sleeps."""


def let_waiting_threads_sleep() -> None:
    """Tell GNU's OpenMP, before PyTorch loads it, to sleep soon where there is nothing to do.

    By default its threads spin for milliseconds after each piece of work, on cores that others may
    need. Beside one other busy process on two cores a step of two threads took 174 and 19 ms at
    depth 1 in two runs, and 13 in both when told this; at depth 2 250 and 64 ms, and 57. On quiet
    cores it takes 7 and 29 ms either way (medians, two-core x86-64, 2026-11-25). What a user has
    said of waiting stays as it is.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", WAITING_TURNS)


def usable_cores() -> int:
    """Cores that this process may use; on macOS and Windows, which don't tell, all of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def on_all_cores(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """What `work` makes of each item, a thread a core; for work outside the interpreter's lock.

    Linear algebra is held to one thread in each of them: threads of its own beside these wait for
    each other longer than they work, on busy cores four times as long (two cores, 2026-11-25).
    """
    from threadpoolctl import threadpool_limits  # 30 ms, and many only want to know the cores

    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(usable_cores()) as pool:
        return list(pool.map(work, items))
