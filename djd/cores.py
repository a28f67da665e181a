"""How many cores there are for us, and work spread over them."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


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
