"""How long a training takes, from a few timed steps."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from djd.data.crop import CROP_SIZE, VIEW_INDICES
from djd.grades import GRADE_COUNT
from djd.runs.config import RunConfig

if TYPE_CHECKING:
    import torch

    from djd.data.datamodule import Batch

# A sweep's own process reckons with times and never imports torch, which takes seconds: what
# builds networks imports it.

TIMED_STEPS = 3


def time_step(config: RunConfig) -> float:
    """Seconds of one training step of this configuration, the median of a few after a first.

    It trains a network of its own on noise, with Adam whatever the configuration has: optimizers
    differ by a millisecond or two. It seeds nothing that lasts: `fit_cell` seeds anew.
    """
    import torch

    from djd.runs.fit import build_classifier
    from djd.runs.hardware import precision_plugin, training_device, use_precision

    device = training_device(config)
    classifier = build_classifier(config, np.arange(GRADE_COUNT)).to(device)
    optimizer = torch.optim.Adam(classifier.parameters())
    precision = precision_plugin(config.trainer.precision, device)
    use_precision(config.trainer.precision)
    batch = _noise(config, device)
    seconds = []
    for _ in range(1 + TIMED_STEPS):
        started = time.perf_counter()
        optimizer.zero_grad()
        with precision.train_step_context():
            loss = classifier.training_step(batch, 0)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        float(loss.detach())  # waits for the device
        seconds.append(time.perf_counter() - started)
    return middle(seconds[1:])


def count_values(config: RunConfig) -> int:
    """How many values the network's state has, such as weights and running means.

    Raises:
        InputError: The network can't be built.
    """
    import torch

    from djd.runs.fit import build_classifier

    with torch.device("meta"):
        network = build_classifier(config, np.arange(GRADE_COUNT)).network
    return sum(value.numel() for value in network.state_dict().values() if value.dim())


def _noise(config: RunConfig, device: "torch.device") -> "Batch":
    import torch

    from djd.data.datamodule import Batch

    knees, views = config.data.batch_size, len(VIEW_INDICES[config.data.views])
    crop = torch.rand(knees, views, CROP_SIZE, CROP_SIZE)
    return Batch(
        crop=crop.contiguous(memory_format=torch.channels_last).to(device),
        grade=torch.arange(knees, device=device) % GRADE_COUNT,
        knee=torch.arange(knees, device=device),
    )


def training_seconds(
    config: RunConfig, step_seconds: float, *, train_knees: int, validation_knees: int
) -> float:
    """Seconds of one training with its validation passes.

    A forward pass alone takes about a third of a step.

    Args:
        config: What is trained.
        step_seconds: Of one batch of `data.batch_size` knees.
        train_knees: Knees trained on.
        validation_knees: Knees held out.
    """
    knees = train_knees + validation_knees / 3
    return config.trainer.max_epochs * knees / config.data.batch_size * step_seconds


def middle(seconds: Sequence[float]) -> float:
    """The upper median: one of the measured values."""
    return sorted(seconds)[len(seconds) // 2]
