"""A rehearsal: a short training on noise that shows the pace of a training on this machine."""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray

from djd.data.cohort import Cohort
from djd.data.crop import CROP_SIZE
from djd.data.datamodule import EVALUATION_BATCH_SIZE
from djd.data.split import Parts, PatientSplit
from djd.environment import as_configured
from djd.grades import GRADE_COUNT
from djd.models.classifier import GradeClassifier
from djd.runs.callbacks.checkpoints import LastEpoch
from djd.runs.callbacks.epoch_recorder import EpochRecorder
from djd.runs.callbacks.weight_average import WeightAverage
from djd.runs.config import RunConfig
from djd.runs.duration import Pace
from djd.runs.fit import build_classifier, build_datamodule, build_trainer, quiet_lightning
from djd.runs.folder import LAST_CHECKPOINT
from djd.runs.hardware import use_precision
from djd.runs.prepare import Prepared

STEPS = 4
"""Training steps of an epoch of a rehearsal."""

LEAST_EPOCHS, MOST_EPOCHS = 2, 12
"""Epochs of a rehearsal, which has no more than the training; the first is not timed."""

TIMED_SECONDS = 0.5
"""The epoch beyond these seconds is the last."""

MOST_COUNTS = 40
"""Of a pixel of noise; on average as many as in a scan."""


@as_configured()
def rehearse(config: RunConfig) -> Pace:
    """The pace of a training by the same calls as `fit_network`, on noise; nothing is left behind.

    Loggers and pictures take no part. Raises InputError as `build_classifier`.
    """
    use_precision(config.trainer.precision)
    epochs = max(LEAST_EPOCHS, min(config.trainer.max_epochs, MOST_EPOCHS))
    trainer_config = config.trainer.model_copy(update={"max_epochs": epochs})
    optim = config.optim.model_copy(update={"warmup": min(config.optim.warmup, epochs - 1)})
    config = config.model_copy(
        update={"trainer": trainer_config, "optim": optim, "score_epochs": (), "kind": "run"}
    )
    with tempfile.TemporaryDirectory() as place, quiet_lightning():
        prepared = _on_noise(config, Path(place))
        classifier = build_classifier(config, prepared.cohort.grades[prepared.parts.train])
        cohort, parts = prepared.cohort, prepared.parts
        datamodule = build_datamodule(config, cohort, parts, inputs=classifier.inputs)
        averaged = config.trainer.weight_average == "exponential"
        watch = _Watch()
        callbacks = [
            *([WeightAverage()] if averaged else []),
            _Recorder(prepared),
            watch,
            LastEpoch(prepared.folder / LAST_CHECKPOINT),
        ]
        trainer = build_trainer(config, prepared.folder, callbacks, loggers=[], held_out=True)
        trainer.fit(classifier, datamodule=datamodule)
    return watch.pace


def simulated_cohort(crops: NDArray[np.uint16], grades: NDArray[np.int64]) -> Cohort:
    """A cohort without files: two knees a patient, each patient scanned once.

    Args:
        crops: (knee, view 2, row, column), counts; right and left of each patient in turn.
        grades: (knee,), 0 to 4.
    """
    knees = np.arange(len(grades))
    scans = tuple(f"{number:07d}" for number in range(1, len(grades) // 2 + 1))
    return Cohort(
        root=Path("simulated"),
        scans=scans,
        patients=scans,
        crops=crops,
        grades=grades,
        scan_index=knees // 2,
        side_index=knees % 2,
        unspecified=0,
        unreadable={},
        disagreements=(),
        named_knees=0,
        unknown_names=0,
        pixel_digests={},
        copies=np.empty((0, 2), dtype=np.int64),
        oddities={},
        phantom=True,
    )


def _on_noise(config: RunConfig, folder: Path) -> Prepared:
    """A training that could start, on noise of every grade in turn."""
    knees = np.arange(STEPS * config.data.batch_size + EVALUATION_BATCH_SIZE)
    parts = Parts(knees[EVALUATION_BATCH_SIZE:], knees[:EVALUATION_BATCH_SIZE], knees[:0])
    random = np.random.default_rng(0)
    size = (len(knees) + len(knees) % 2, 2, CROP_SIZE, CROP_SIZE)
    crops = random.integers(0, MOST_COUNTS, size, dtype=np.uint16)
    cohort = simulated_cohort(crops, np.arange(len(crops)) % GRADE_COUNT)
    split = PatientSplit(development=cohort.patients, test=())
    threads = torch.get_num_threads()
    return Prepared(config, folder, folder, cohort, "noise", split, parts, threads)


class _Recorder(EpochRecorder):
    """Records noise, on which a training may diverge."""

    def _require_finite(self, classifier: GradeClassifier, epoch: int) -> None:
        """Any loss will do."""


class _Watch(Callback):
    """Times the parts of each epoch but the first, which is slower, and ends the rehearsal."""

    def __init__(self) -> None:
        self._steps: list[float] = []
        self._validations: list[float] = []
        self._epochs: list[float] = []
        self._taken = 0
        self._began = self._stepped = self._step = self._validation_began = self._validated = 0.0

    @property
    def pace(self) -> Pace:
        """Means over the timed epochs."""
        step, validation, epoch = (
            float(np.mean(each)) for each in (self._steps, self._validations, self._epochs)
        )
        rest = epoch - STEPS * step - validation
        return Pace(step, validation / EVALUATION_BATCH_SIZE, max(0.0, rest))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Watch the optimizer."""
        trainer.optimizers[0].register_step_post_hook(lambda *_: self._take_step())

    def _take_step(self) -> None:
        """Time the steps from the end of the first to that of the last: epochs begin slowly."""
        self._taken += 1
        if self._taken in (1, STEPS):
            _wait_for_device()
            now = time.perf_counter()
            self._step, self._stepped = (now - self._stepped) / (STEPS - 1), now

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the start."""
        if trainer.current_epoch > 1:
            self._keep()
        self._taken, self._began = 0, time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the rehearsal after enough timed epochs."""
        timed = sum(self._epochs) + time.perf_counter() - self._began
        trainer.should_stop = trainer.current_epoch > 0 and timed > TIMED_SECONDS

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the last epoch."""
        self._keep()

    def _keep(self) -> None:
        """Keep the times of an epoch that is over."""
        self._epochs.append(time.perf_counter() - self._began)
        self._steps.append(self._step)
        self._validations.append(self._validated)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the start."""
        self._validation_began = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the duration."""
        _wait_for_device()
        self._validated = time.perf_counter() - self._validation_began


def _wait_for_device() -> None:
    """Wait until a GPU has done all its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
