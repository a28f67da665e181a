"""Inside an epoch nothing is read from the device, which would have to be waited for.

A meta tensor has a shape and no values: whoever asks for one, by `.item()`, `.cpu()` or a
condition, gets an error, here as a GPU would have to be waited for there.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor

from djd.data.augment import scintigraphy
from djd.data.datamodule import Batch, Batches, scaled
from djd.grades import GRADE_COUNT
from djd.models.classifier import GradeClassifier
from djd.models.pooled import PooledCNN
from djd.runs.config import read_config
from djd.runs.fit import build_classifier, build_trainer, noise_batch, quiet_lightning
from djd.runs.hardware import precision_plugin
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


@pytest.mark.parametrize(
    "overrides",
    [
        ("recipe=best",),
        ("recipe=study",),
        ("recipe=best", "trainer.precision=bf16"),
        ("recipe=best", "model=residual", "model.uptake=true"),
        *(
            ("recipe=best", f"loss={loss}")
            for loss in ("cross_entropy", "corn", "soft", "expected")
        ),
    ],
)
def test_no_step_of_a_recipe_reads_from_the_device(overrides: tuple[str, ...]) -> None:
    meta = torch.device("meta")
    config = read_config(compose_values(*overrides, "trainer.gradient_clip_val=1"))
    classifier = build_classifier(config, np.arange(GRADE_COUNT)).to(meta)
    optimizer = torch.optim.AdamW(classifier.parameters())
    batch, precision = (
        noise_batch(config, meta),
        precision_plugin(config.trainer.precision, torch.device("cpu")),
    )
    for _ in range(2):
        assert classifier.train_on(batch, optimizer, precision).device == meta


def test_no_augmentation_reads_from_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU: a CPU draws the counts that few are lost of by themselves, and knows how many."""
    without_kernel, generator = torch.empty_like, torch.Generator()
    monkeypatch.setattr("torch.binomial", lambda counts, *given: without_kernel(counts))
    monkeypatch.setattr("torch.Generator", lambda device="cpu": generator)  # none is of meta
    prepare = partial(scintigraphy, shift=0.05, turn=10, zoom=0.1, mirror=0.5, thin=0.5)
    data = datamodule()
    whole = cast(dict[str, Tensor], data.batch_of(data.parts.train))
    counts = {name: each.to("meta") for name, each in whole.items()}
    batches = Batches(
        cast(Batch, counts),
        batch_size=4,
        shuffle_seed=0,
        prepare=lambda *given: scaled(prepare(*given), "standard"),
    )
    crops = [batch["crop"] for batch in batches]
    assert sum(len(crop) for crop in crops) == len(counts["grade"])
    assert {crop.device.type for crop in crops} == {"meta"}


def test_the_other_knee_is_waited_for() -> None:
    """Once a step: how many knees have another one has to be known. docs/gpu.md says so."""
    with torch.device("meta"):
        network = PooledCNN(both_knees=True, pixels=32)
        crops, there = torch.rand(4, 1, 32, 32), torch.ones(4, dtype=torch.bool)
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        network(crops, other_knee=crops, has_other_knee=there)
