"""How many cores there are for us."""

import os


def usable_cores() -> int:
    """Cores that this process may use; on macOS and Windows, which don't tell, all of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
