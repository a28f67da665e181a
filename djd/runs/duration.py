"""From seconds a step to seconds a training, and how one says them."""

from collections.abc import Sequence

from djd.runs.config import RunConfig


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
