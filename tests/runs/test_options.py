"""Options that are off by default: each has its effect, and none where it is off."""

import math
from pathlib import Path

import pytest
import torch

from djd.errors import InputError
from djd.runs.config import read_config
from djd.runs.fit import build_trainer
from djd.runs.hardware import require_accelerator
from tests.conftest import Compose
from tests.finished_run import FinishedRun
from tests.sweeping import rows_of
from tests.training import run


def metrics_of(tiny: Compose, folder: Path, *overrides: str) -> list[dict[str, str]]:
    folder.mkdir()
    run(tiny("test=never", *overrides), folder)
    return rows_of(folder / "metrics.csv")


def test_a_cosine_schedule_lets_the_rate_fall_to_nearly_nothing(
    tiny: Compose, tmp_path: Path
) -> None:
    rows = metrics_of(tiny, tmp_path / "run", "optim.schedule=cosine", "trainer.max_epochs=4")
    rates = [float(row["learning_rate"]) for row in rows]
    expected = [0.01 * (1 + math.cos(math.pi * epoch / 4)) / 2 for epoch in range(4)]
    assert rates == pytest.approx(expected, rel=1e-4)


def test_a_scheduled_run_is_scored_at_its_last_epoch_alone(tiny: Compose) -> None:
    """A prefix of it is not a shorter run."""
    config = read_config(tiny("optim.schedule=cosine", "trainer.max_epochs=4"))
    assert config.epochs_to_score == (4,)
    assert read_config(tiny("trainer.max_epochs=4")).epochs_to_score == (1, 4)


@pytest.mark.slow
def test_clipping_bounds_each_steps_gradient(tiny: Compose, tmp_path: Path) -> None:
    """With plain SGD at rate 1, what a clipped step moves is at most the norm."""
    overrides = ("optim=sgd", "optim.lr=1", "trainer.max_epochs=1", "data.batch_size=200")
    free = metrics_of(tiny, tmp_path / "free", *overrides)
    clipped = metrics_of(tiny, tmp_path / "clipped", *overrides, "trainer.gradient_clip_val=0.0001")
    assert free[0]["train_loss"] == clipped[0]["train_loss"], "before the only step"
    assert float(free[0]["validation_loss"]) > 2 * float(clipped[0]["validation_loss"])


def test_balanced_weights_change_what_is_learned(
    finished: FinishedRun, tiny: Compose, tmp_path: Path
) -> None:
    equal = rows_of(finished.folder / "metrics.csv")
    balanced = metrics_of(tiny, tmp_path / "balanced", "loss.class_weights=balanced")
    assert equal[-1]["train_loss"] != balanced[-1]["train_loss"]


@pytest.mark.parametrize("accelerator", ["gpu", "mps"])
def test_hardware_that_is_missing_is_one_sentence(accelerator: str) -> None:
    there = torch.cuda.is_available() if accelerator == "gpu" else torch.backends.mps.is_available()
    if there:
        pytest.skip("this machine has it")
    with pytest.raises(InputError, match=rf"trainer\.accelerator: .* received {accelerator}"):
        require_accelerator(accelerator)


def test_the_accelerator_asked_for_is_handed_on(
    monkeypatch: pytest.MonkeyPatch, tiny: Compose, tmp_path: Path
) -> None:
    received: dict[str, object] = {}
    monkeypatch.setattr("lightning.Trainer", lambda **arguments: received.update(arguments))
    for accelerator in ("gpu", "mps", "cpu"):
        config = read_config(tiny(f"trainer.accelerator={accelerator}"))
        build_trainer(config, tmp_path, [], loggers=[], held_out=True)
        assert received["accelerator"] == accelerator
