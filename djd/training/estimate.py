"""How long a training will take, from a few timed steps."""

import time

import torch

from djd.scans.cohort import Cohort
from djd.training.cell import build_classifier, build_datamodule
from djd.training.config import RunConfig
from djd.training.datamodule import Batch
from djd.training.optimizers import build_optimizer
from djd.training.split import Parts

TIMED_STEPS = 3


def time_step(config: RunConfig, cohort: Cohort, parts: Parts) -> float:
    """Seconds of one training step of this configuration, the median of a few after a first.

    It trains a network of its own and seeds nothing that lasts: `fit_cell` seeds anew.
    """
    device = training_device(config)
    classifier = build_classifier(config, cohort, parts).to(device)
    optimizer = build_optimizer(classifier.parameters(), **classifier.hparams["optimizer"])
    knees = parts.train[: config.data.batch_size]
    batch = build_datamodule(config, cohort, parts).batch_of(knees)
    on_device = Batch(
        crop=batch["crop"].to(device),
        grade=batch["grade"].to(device),
        knee=batch["knee"].to(device),
    )
    seconds = []
    for _ in range(1 + TIMED_STEPS):
        started = time.perf_counter()
        optimizer.zero_grad()
        loss = classifier.training_step(on_device, 0)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        float(loss.detach())  # waits for the device
        seconds.append(time.perf_counter() - started)
    return sorted(seconds[1:])[TIMED_STEPS // 2]


def estimate_seconds(config: RunConfig, step_seconds: float, parts: Parts, *, refit: bool) -> float:
    """Seconds of a run: the fit, the validation passes and the refit on all development patients.

    A forward pass alone takes about a third of a step.
    """
    train, held_out = len(parts.train), len(parts.validation)
    knees = train + held_out / 3
    if refit and held_out:
        knees += train + held_out
    return config.trainer.max_epochs * knees / config.data.batch_size * step_seconds


def training_device(config: RunConfig) -> torch.device:
    """The device that Lightning will choose."""
    wanted = config.trainer.accelerator
    if wanted in ("auto", "gpu") and torch.cuda.is_available():
        return torch.device("cuda")
    if wanted in ("auto", "mps") and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def in_words(seconds: float) -> str:
    """About how long, as one says it."""
    if seconds < 1.5:
        return "a second"
    if seconds < 90:
        return f"{round(seconds)} seconds"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours"
