"""The recipes that are measured, and the knees that all loops train on."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import lightning
import numpy as np
import torch
from torch import Tensor

import djd.runs.fit as fit
import train
from bench.gates import Task
from djd.data.cohort import Cohort
from djd.data.datamodule import KneeDataModule, epoch_seed
from djd.data.split import Parts, PatientSplit
from djd.grades import GRADE_COUNT
from djd.models.classifier import GradeClassifier
from djd.runs.config import RunConfig, read_config
from djd.runs.hardware import use_threads
from djd.runs.prepare import Prepared
from djd.runs.rehearsal import simulated_cohort
from hydra_plugins.djd._composing import compose_values

TRAIN_KNEES, VALIDATION_KNEES = 256, 64

DEFAULT = "default"
RECIPES: dict[str, tuple[str, ...]] = {
    **{f"depth {depth}": ("recipe=study", f"model.depth={depth}") for depth in (1, 2, 3)},
    DEFAULT: (),
}
"""The study's networks, and `python train.py` without keys."""


@contextlib.contextmanager
def prepared(task: Task) -> Iterator[tuple[Prepared, KneeDataModule]]:
    """A training that could start and its knees, the same in every process."""
    torch.set_num_threads(task.threads)
    with tempfile.TemporaryDirectory() as place:
        config, folder = config_of(task, cache=place), Path(place)
        cohort, parts = noisy_cohort(), noisy_parts()
        split = PatientSplit(development=cohort.patients, test=())
        ready = Prepared(config, folder, folder, cohort, "noise", split, parts, task.threads)
        yield ready, fit.build_datamodule(config, cohort, parts)


def threads_of(recipe: str) -> int:
    """Threads that `python train.py` gives to a recipe."""
    values = compose_values(train.CONF, RECIPES[recipe])
    return use_threads(read_config(values | {"kind": "run"}))


def config_of(task: Task, *, cache: str) -> RunConfig:
    """The configuration of a task, with one epoch more than is measured."""
    overrides = [
        *RECIPES[task.recipe],
        *([f"data.batch_size={task.batch_size}"] if task.batch_size else []),
        f"trainer.max_epochs={task.rounds + 1}",
        f"trainer.accelerator={'gpu' if task.device == 'cuda' else 'cpu'}",
        f"paths.cache='{cache}'",
    ]
    return read_config(compose_values(train.CONF, overrides) | {"kind": "cell"})


def noisy_cohort() -> Cohort:
    """Knees whose middle is the hotter, the higher their grade."""
    count = TRAIN_KNEES + VALIDATION_KNEES
    random = np.random.default_rng(0)
    grades = random.integers(0, GRADE_COUNT, count)
    crops = random.poisson(20, (count, 2, 128, 128))
    crops[:, :, 48:80, 48:80] += 5 * grades[:, None, None, None]
    return simulated_cohort(crops.astype(np.uint16), grades)


def noisy_parts() -> Parts:
    """The first knees are trained on, the others held out."""
    knees = np.arange(TRAIN_KNEES + VALIDATION_KNEES)
    return Parts(knees[:TRAIN_KNEES], knees[TRAIN_KNEES:], knees[:0])


def steps_of(config: RunConfig) -> int:
    """Training steps of an epoch."""
    return -(-TRAIN_KNEES // config.data.batch_size)


def seeds_of(config: RunConfig) -> Iterator[int]:
    """The seed of each epoch, of which order and augmentation follow."""
    for epoch in range(2**31):
        yield epoch_seed(config.seed, epoch)


def order_of(seed: int) -> Tensor:
    """Training knees in the order of an epoch, int64 (knee,)."""
    return torch.randperm(TRAIN_KNEES, generator=torch.Generator().manual_seed(seed))


def our_classifier(config: RunConfig) -> GradeClassifier:
    """The module as `djd.runs` begins with it."""
    lightning.seed_everything(config.seed, verbose=False)
    return fit.build_classifier(config, np.arange(GRADE_COUNT))
