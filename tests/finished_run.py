from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from djd.runs.result import RunResult
from tests.conftest import tiny_values
from tests.made_once import MakeOnce
from tests.training import run


@dataclass(frozen=True)
class FinishedRun:
    """A whole small run with pictures that tests look at; nobody changes it."""

    values: dict[str, Any]
    folder: Path
    result: RunResult

    @property
    def winner(self) -> Path:
        """Folder of the refitted setting."""
        (folder,) = (self.folder / "winner").iterdir()
        return folder


@pytest.fixture(scope="session")
def finished(phantom_folder: Path, make_once: MakeOnce) -> FinishedRun:
    def make(root: Path) -> FinishedRun:
        folder = root / "run"
        folder.mkdir()
        values = tiny_values(phantom_folder, root, "plots=true", "optim.lr=0.001")
        return FinishedRun(values, folder, run(values, folder))

    return make_once("finished", make)
