"""What TensorBoard shows of one training."""

from typing import cast

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from matplotlib.figure import Figure
from torch.utils.tensorboard.writer import SummaryWriter

from djd.figures.confusion import confusion_figure
from djd.figures.crops import crop_sheet
from djd.figures.style import figure_pixels
from djd.grades import GRADE_NAMES, SIDES
from djd.training.classifier import GradeClassifier
from djd.training.config import RunConfig
from djd.training.datamodule import KneeDataModule
from djd.training.record import EpochRecorder

SHEET_KNEES = 20
"""Knees on the sheet of crops: four of each grade where there are as many."""


class Dashboard(Callback):
    """Writes scalars once an epoch, pictures at the score epochs, and the configuration as text.

    Args:
        config: Shown as text.
        recorder: Comes before this one among the callbacks; its rows are the scalars,
            and its score epochs have a confusion matrix.
    """

    def __init__(self, config: RunConfig, recorder: EpochRecorder) -> None:
        self.config = config
        self.recorder = recorder
        self.stamp = config.stamp(phantom=recorder.cohort.phantom)

    def on_fit_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Show what is trained, and on what, unless an earlier start of the training did."""
        if self.recorder.rows:
            return
        datamodule = cast(KneeDataModule, trainer.datamodule)  # type: ignore[attr-defined]
        text = self.config.as_yaml()
        writer = _writer(trainer)
        stamp = f"**{self.stamp}**. " if self.stamp else ""
        writer.add_text("about", f"{stamp}Research use only, not a medical device.")
        writer.add_text("config", "    " + text.replace("\n", "\n    "))
        _add_figure(writer, "crops/train", training_sheet(datamodule, self.stamp), 0)

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Log the epoch's row, and the validation's confusion matrix where one is due."""
        row = self.recorder.rows[-1]
        epoch = int(row["epoch"])
        writer = _writer(trainer)
        for name, value in row.items():
            if name not in ("epoch", "seconds") and not np.isnan(value):
                writer.add_scalar(_tag(name), value, epoch)
        outcome = cast(GradeClassifier, pl_module).outcomes.get("validation")
        if outcome and epoch in self.recorder.score_epochs:
            figure = confusion_figure(
                outcome.counts,
                title=f"Validation, epoch {epoch}",
                stamp=self.stamp,
            )
            _add_figure(writer, "confusion/validation", figure, epoch)

    def on_test_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Show the confusion matrix of the test patients."""
        classifier = cast(GradeClassifier, pl_module)
        outcome = classifier.outcomes["test"]
        epoch = classifier.tested_epoch or self.config.trainer.max_epochs
        figure = confusion_figure(
            outcome.counts,
            title=f"Test patients, epoch {epoch}",
            stamp=self.stamp,
        )
        _add_figure(_writer(trainer), "confusion/test", figure, epoch)


def training_sheet(datamodule: KneeDataModule, stamp: str | None) -> Figure:
    """Training crops with their grades, the first few of each grade, as counts."""
    cohort, train = datamodule.cohort, datamodule.parts.train
    each = SHEET_KNEES // len(GRADE_NAMES)
    by_grade = [train[cohort.grades[train] == grade][:each] for grade in range(len(GRADE_NAMES))]
    knees = np.concatenate(by_grade)
    captions = [
        f"{cohort.scans[cohort.scan_index[knee]]} {SIDES[cohort.side_index[knee]]}: "
        f"{GRADE_NAMES[cohort.grades[knee]]}"
        for knee in knees
    ]
    return crop_sheet(
        cohort.crops[knees, 0],
        captions,
        columns=each,
        title="Training knees, anterior view",
        stamp=stamp,
    )


def _tag(name: str) -> str:
    """`validation_kappa` to `kappa/validation`, so that both parts share a chart's group."""
    stage, _, score = name.partition("_")
    return f"{score}/{stage}" if stage in ("train", "validation") else name


def _add_figure(writer: SummaryWriter, tag: str, figure: Figure, step: int) -> None:
    writer.add_image(tag, figure_pixels(figure), step, dataformats="HWC")


def _writer(trainer: lightning.Trainer) -> SummaryWriter:
    writer: SummaryWriter = cast(TensorBoardLogger, trainer.logger).experiment
    return writer
