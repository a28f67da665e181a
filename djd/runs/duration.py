"""The duration of a training, from a few timed steps. Nothing at the top imports torch."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from djd.errors import InputError
from djd.grades import GRADE_COUNT
from djd.runs.config import RunConfig

if TYPE_CHECKING:
    from djd.models.classifier import GradeClassifier

TIMED_STEPS = 3


def time_step(config: RunConfig) -> float:
    """Seconds of a training step and its augmentation, the median of a few after a first, on noise.

    The optimizer is always Adam: optimizers differ by a millisecond or two. Raises InputError as
    `build_classifier`.
    """
    import torch

    from djd.models.build import build_augmentation
    from djd.runs.fit import build_classifier, noise_batch
    from djd.runs.hardware import precision_plugin, training_device, use_precision

    device = training_device(config)
    batch = noise_batch(config, device)
    classifier = build_classifier(config, batch["grade"].cpu().numpy()).to(device)
    optimizer = torch.optim.Adam(classifier.parameters())
    precision = precision_plugin(config.trainer.precision, device)
    use_precision(config.trainer.precision)
    augment = build_augmentation(config.plain()["augment"])
    counts, generator = (100 * batch["crop"]).round(), torch.Generator(device)
    seconds = []
    for _ in range(1 + TIMED_STEPS):
        started = time.perf_counter()
        if augment:
            augment(counts, generator)
        float(classifier.train_on(batch, optimizer, precision))  # waits for the device
        seconds.append(time.perf_counter() - started)
    return middle(seconds[1:])


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
    config: RunConfig, step_seconds: float, *, train_knees: int, validation_knees: int
) -> float:
    """Seconds of one training with its validation passes, by the seconds of one step."""
    # A forward pass alone takes about a third of a step.
    knees = train_knees + validation_knees / 3
    return config.trainer.max_epochs * knees / config.data.batch_size * step_seconds


def middle(seconds: Sequence[float]) -> float:
    """The upper median: one of the measured values."""
    return sorted(seconds)[len(seconds) // 2]
