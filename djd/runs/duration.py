"""The duration of a training, from a few timed steps. Nothing at the top imports torch."""

import time
from collections.abc import Sequence

from djd.grades import GRADE_COUNT
from djd.runs.config import RunConfig

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
        optimizer.zero_grad()
        with precision.train_step_context():
            loss = classifier.training_step(batch, 0)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        float(loss.detach())  # waits for the device
        seconds.append(time.perf_counter() - started)
    return middle(seconds[1:])


def count_values(config: RunConfig) -> int:
    """The number of weights and running means; raises InputError as `build_classifier`."""
    import numpy as np
    import torch

    from djd.runs.fit import build_classifier

    with torch.device("meta"):  # values without memory
        network = build_classifier(config, np.arange(GRADE_COUNT)).network
    return sum(value.numel() for value in network.state_dict().values() if value.dim())


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
