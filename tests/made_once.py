"""Folders and trainings that take long: made by one of pytest's processes, and given to all."""

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import filelock
import pytest

T = TypeVar("T")


@dataclass(frozen=True)
class MakeOnce:
    """Gives what was made under a name; while one process makes it, the others wait."""

    folders: pytest.TempPathFactory

    def __call__(self, name: str, make: Callable[[Path], T]) -> T:
        """What `make` made in a new folder: pickled, so a value of its own in each process."""
        shared = self.folders.getbasetemp()
        if "PYTEST_XDIST_WORKER" in os.environ:  # its folder lies in that of the run
            shared = shared.parent
        made = shared / f"{name}.pickle"
        with filelock.FileLock(shared / f"{name}.lock"):
            if not made.exists():
                made.write_bytes(pickle.dumps(make(self.folders.mktemp(name))))
        value: T = pickle.loads(made.read_bytes())
        return value
