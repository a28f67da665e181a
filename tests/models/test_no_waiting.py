"""Inside an epoch nothing is read from the device, which would have to be waited for.

A meta tensor has a shape and no values: whoever asks for one, by `.item()`, `.cpu()` or a
condition, gets an error, here as a GPU would have to be waited for there.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor

from djd.models.classifier import GradeClassifier
from djd.runs.config import read_config
from djd.runs.fit import build_trainer, quiet_lightning
from tests.conftest import compose_values
from tests.data.test_datamodule import datamodule


class WithoutValues(SingleDeviceStrategy):
    """Training on the meta device."""

    def __init__(self) -> None:
        super().__init__("meta", accelerator=CPUAccelerator())

    def setup_environment(self) -> None:
        """The accelerator would refuse any device but its own."""

    def reduce(self, tensor: Any, *args: Any, **kwargs: Any) -> Any:
        """Lightning asks once for the number of batches, before the first epoch."""
        return torch.ones_like(tensor, device="cpu")

    def teardown(self) -> None:
        """No weights to bring back."""


def train(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str, optimizer: str = "Adam"
) -> GradeClassifier:
    """Two epochs in Lightning, as `build_trainer` sets it up, its trainings read out by nobody."""
    classifier = GradeClassifier(
        network={"_target_": "djd.models.networks.KneeCNN", "depth": 2, "width": 2},
        loss={"_target_": "djd.models.losses.CrossEntropy"},
        optimizer={"_target_": f"torch.optim.{optimizer}"},
        learning_rate=1e-3,
        schedule="constant",
        epochs=2,
        views=1,
        class_weights=[1.0, 2.0, 1.0, 1.0, 1.0],
    )
    on_meta = {"strategy": WithoutValues(), "accelerator": "auto", "devices": "auto"}
    whole = lightning.Trainer
    monkeypatch.setattr("lightning.Trainer", lambda **given: whole(**{**given, **on_meta}))
    config = read_config(
        compose_values("trainer.max_epochs=2", "trainer.accelerator=cpu", *overrides)
    )
    trainer = build_trainer(config, folder, [], loggers=[], held_out=False)
    with quiet_lightning():
        trainer.fit(classifier, datamodule=datamodule())
    assert trainer.global_step == 2 * len(datamodule().train_batches())
    return classifier


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("optimizer", ["SGD", "Adagrad", "Adam", "AdamW"])
def test_no_step_reads_from_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, optimizer: str
) -> None:
    overrides = (f"trainer.precision={precision}", "trainer.gradient_clip_val=1")
    classifier = train(tmp_path, monkeypatch, *overrides, optimizer=optimizer)
    assert {weights.device.type for weights in classifier.parameters()} == {"meta"}


@pytest.mark.parametrize(
    "read", [Tensor.item, Tensor.cpu, bool, partial(torch.Tensor.to, device="cpu")]
)
def test_a_step_that_reads_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Tensor], object]
) -> None:
    step = GradeClassifier.train_on

    def reading_step(classifier: GradeClassifier, *given: Any) -> Tensor:
        loss = step(classifier, *given)
        read(loss)
        return loss

    monkeypatch.setattr(GradeClassifier, "train_on", reading_step)
    with pytest.raises((RuntimeError, NotImplementedError), match="meta tensor"):
        train(tmp_path, monkeypatch)


def test_an_order_that_reads_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Choosing by a condition looks harmless: how many knees it leaves has to be known."""
    split = torch.split

    def conditional(order: Tensor, size: int) -> tuple[Tensor, ...]:
        return split(order[order >= 0], size)

    monkeypatch.setattr("torch.split", conditional)
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        train(tmp_path, monkeypatch)
