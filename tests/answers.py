from collections.abc import Sequence
from pathlib import Path

import pytest

from djd.report.answer import Answer
from djd.report.findings import Findings
from djd.runs.config import RunConfig
from djd.runs.keys import AxisValue
from djd.sweeps.sweep import Sweep
from tests.made_once import MakeOnce
from tests.sweeps.invented_answers import TEST_PATIENTS, knees_of, read_by, tell
from tests.sweeps.invented_cells import leave_comparison

Told = tuple[Sweep, Answer]


def better_when_deep(config: RunConfig, epoch: int) -> float:
    return 0.8 if config.model.arguments["depth"] == 2 else 0.2


@pytest.fixture(scope="session")
def compared(make_once: MakeOnce) -> Told:
    """Two depths and two optimizers on all of three folds; not to be changed.

    Uptake is there, the best setting was opened, and a second reader read every other knee.
    """

    def make(root: Path) -> Told:
        axes: dict[str, Sequence[AxisValue]] = {"model.depth": (1, 2), "optim": ("adam", "sgd")}
        leave_comparison(root / "sweep", axes, skill=better_when_deep)
        knees = [*knees_of(range(36)), *knees_of(TEST_PATIENTS)]
        readings = read_by(knees, 0.7, every=2)
        return tell(root / "sweep", uptake=0.4, tested=0.7, readings=readings)

    return make_once("answers", make)


@pytest.fixture
def answer(compared: Told) -> Answer:
    """What was found of it."""
    return compared[1]


@pytest.fixture
def findings(answer: Answer) -> Findings:
    """Of its settings."""
    assert answer.findings
    return answer.findings
