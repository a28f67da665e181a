"""The invented cohort of `data=phantom`: made on first use, kept in the cache."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from djd.data.phantom.cohort import PHANTOM_VERSION, make_cohort


def kept_phantom(
    cache: Path, *, patients: int, seed: int, on_scan: Callable[[int], None] | None = None
) -> Path:
    """Folder of an invented cohort, made now unless an earlier run made it.

    It is made beside its place and renamed into it when whole, so that a stopped process leaves no
    half cohort and two at once do no harm.

    Raises:
        InputError: The cache can't be written.
    """
    folder = cache / f"phantom-v{PHANTOM_VERSION}-patients={patients}-seed={seed}"
    if folder.is_dir():
        return folder
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        make_cohort(beside, patients=patients, seed=seed, on_scan=on_scan)
        beside.rename(folder)
    except OSError:
        if not folder.is_dir():  # another process was first: its cohort is the same
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder
