import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from djd.runs.config import RunConfig, read_config
from djd.runs.rehearsal import MOST_EPOCHS, STEPS, rehearse
from tests.conftest import Compose

Augment = Callable[[Tensor, torch.Generator], Tensor]


@pytest.fixture
def augmenting(tiny: Compose, monkeypatch: pytest.MonkeyPatch) -> Callable[[Augment], RunConfig]:
    """Makes a configuration that augments with a function of a test's."""

    def configured(augment: Augment) -> RunConfig:
        monkeypatch.setattr("djd.runs.fit.build_augmentation", lambda _spec: augment)
        return read_config(tiny("trainer.max_epochs=40"))

    return configured


def test_a_step_takes_at_least_as_long_as_its_augmentation(
    augmenting: Callable[[Augment], RunConfig],
) -> None:
    def slowly(counts: Tensor, _generator: torch.Generator) -> Tensor:
        time.sleep(0.03)
        return counts

    pace = rehearse(augmenting(slowly))
    assert pace.step >= 0.03
    assert pace.knee > 0
    assert pace.epoch >= 0


@pytest.mark.parametrize(("seconds", "epochs"), [(0, 2), (1000, MOST_EPOCHS)])
def test_a_rehearsal_ends_after_enough_seconds_or_epochs(
    augmenting: Callable[[Augment], RunConfig],
    monkeypatch: pytest.MonkeyPatch,
    seconds: int,
    epochs: int,
) -> None:
    steps = 0

    def counted(counts: Tensor, _generator: torch.Generator) -> Tensor:
        nonlocal steps
        steps += 1
        return counts

    monkeypatch.setattr("djd.runs.rehearsal.TIMED_SECONDS", seconds)
    rehearse(augmenting(counted))
    assert steps == epochs * STEPS


def test_a_rehearsal_leaves_no_file_and_survives_noise_that_diverges(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    assert rehearse(read_config(tiny("optim.lr=1e30", "optim.warmup=1"))).step > 0
    assert list(place.iterdir()) == []


def test_a_schedule_of_steps_is_rehearsed(tiny: Compose) -> None:
    changes: tuple[Any, ...] = ("optim.schedule=one_cycle", "trainer.weight_average=exponential")
    assert rehearse(read_config(tiny(*changes))).step > 0
