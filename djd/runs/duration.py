"""The duration of a training, from its pace in a rehearsal. Nothing at the top imports torch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from djd.errors import InputError
from djd.grades import GRADE_COUNT
from djd.runs.config import RunConfig

if TYPE_CHECKING:
    from djd.models.classifier import GradeClassifier

FIT_SECONDS = 0.6
"""Of a training beyond its epochs: start, first epoch, figures, files."""

ANSWER_SECONDS, REPORT_SECONDS = 1.7, 1.8
"""After the trainings of a run or sweep: baselines, intervals and the end of the process; the
report. All three on a two-core x86-64 with AVX-512, 2026-11-30."""


class Pace(NamedTuple):
    """Seconds of the parts of a training, as `rehearse` finds them.

    Attributes:
        step: A training step: batch, augmentation and optimizer included.
        knee: Grading a held-out knee.
        epoch: The rest of an epoch: record, checkpoint, display.
    """

    step: float
    knee: float
    epoch: float


def count_values(config: RunConfig) -> int:
    """The number of weights and running means.

    Raises:
        InputError: As `build_classifier`, or the network gives other outputs than the loss takes.
    """
    import numpy as np
    import torch

    from djd.runs.fit import build_classifier

    grades = np.arange(GRADE_COUNT)
    with torch.device("meta"):  # values without memory
        classifier = build_classifier(config, grades)
        graded = _require_outputs(classifier, config)
    if not graded:  # a network may need values
        _require_outputs(build_classifier(config, grades), config)
    state = classifier.network.state_dict()
    return sum(value.numel() for value in state.values() if value.dim())


def _require_outputs(classifier: "GradeClassifier", config: RunConfig) -> bool:
    """Raise InputError where the outputs of two knees are not as the loss takes them.

    False where the network can't grade them; a training will say why.
    """
    import torch

    from djd.data.datamodule import inputs_of
    from djd.runs.fit import noise_batch

    data = config.data.model_copy(update={"batch_size": 2})
    batch = noise_batch(config.model_copy(update={"data": data}), torch.empty(0).device)
    crops, inputs = classifier.samples(batch["crop"], inputs_of(batch, classifier.inputs))
    try:
        with torch.no_grad():
            outputs = classifier.network.eval()(crops, **inputs)
    except Exception:
        return False
    expected, received = (len(crops), classifier.loss.outputs), tuple(outputs.shape)
    if received != expected:
        raise InputError(
            f"model: expected outputs of shape {expected} for {len(crops)} crops, as "
            f"{config.loss.target} takes, received {received} from {config.model.target}"
        )
    return True


def training_seconds(
    config: RunConfig, pace: Pace, *, train_knees: int, validation_knees: int
) -> float:
    """Seconds of one training with its validation passes, by its pace."""
    steps, epochs = -(-train_knees // config.data.batch_size), config.trainer.max_epochs
    validations = sum(map(config.is_validated, range(1, epochs + 1)))
    held_out = validations * validation_knees * pace.knee
    return FIT_SECONDS + epochs * (steps * pace.step + pace.epoch) + held_out


def end_seconds(config: RunConfig) -> float:
    """Seconds after the trainings of a run or sweep."""
    return ANSWER_SECONDS + (REPORT_SECONDS if config.report else 0)


def middle(seconds: Sequence[float]) -> float:
    """The upper median: one of the measured values."""
    return sorted(seconds)[len(seconds) // 2]
