"""Imports of libraries before a training and, the first time, the inventing of scans meanwhile.

Nothing at the top imports torch.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from djd.garbage import keeping_all
from djd.progress import progress_bar
from djd.runs.config import RunConfig
from djd.runs.reading import invent_scans, lacks_scans


def load(config: RunConfig, import_all: Callable[[], None]) -> None:
    """Import what a training needs; meanwhile invent the scans that the cache lacks.

    Inventing is left to other processes, so that this one can import.

    Raises:
        InputError: As `invent_scans`. Where scans are to be invented, as `count_values`, too: a
            network that can't be built stops the inventing.
    """
    lacking = lacks_scans(config)
    pool = ThreadPoolExecutor(1)
    try:
        loading = pool.submit(_import, import_all, config if lacking else None)
        if lacking:
            invent_scans(config, lambda _: loading.result() if loading.done() else None)
        with progress_bar("loading PyTorch and Lightning"):
            loading.result()
    finally:
        pool.shutdown(wait=False)  # a command that was stopped doesn't wait for imports


def _import(import_all: Callable[[], None], to_check: RunConfig | None) -> None:
    with keeping_all():
        import_all()
    if to_check:
        from djd.runs.duration import count_values

        count_values(to_check)
