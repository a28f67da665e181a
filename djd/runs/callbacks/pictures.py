"""TensorBoard's pictures of a training."""

from typing import cast

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from matplotlib.figure import Figure
from tensorboard.compat.proto.summary_pb2 import Summary

from djd.data.cohort import Cohort
from djd.data.crop import VIEW_INDICES, Scaling
from djd.data.datamodule import KneeDataModule
from djd.files import write_whole
from djd.grades import GRADE_COUNT, GRADE_NAMES, SIDES
from djd.models.attention import grade_attention
from djd.models.classifier import GradeClassifier
from djd.plots.confusion import confusion_figure
from djd.plots.reliability import reliability_bins, reliability_figure
from djd.plots.sheets import attention_figure, inputs_figure
from djd.plots.style import figure_png
from djd.runs.callbacks.epoch_recorder import EpochRecorder
from djd.runs.callbacks.tensorboard import writer_of
from djd.runs.folder import VALIDATION_MATRIX
from djd.statistics.held_out import GradedKnees, most_wrong

WIDTH_PIXELS = 350
"""TensorBoard shows 350 pixels and drops pixels of wider pictures, so small letters break."""

SHEET_KNEES = {1: 3, 2: 2}
"""Training knees of a grade on a sheet, by the number of views: captions need room."""

MISTAKES = 6
"""Knees on the sheet of mistakes."""

UNITS: dict[Scaling, str] = {
    "counts": "counts a pixel",
    "sqrt": "square roots of counts a pixel",
    "standard": "standard deviations from a crop's mean",
}
"""Unit of the network's crops."""


class Pictures(Callback):
    """Plots training knees at the start; at score epochs of the recorder the confusion matrix.

    The last score epoch adds a reliability diagram and the worst mistakes with attention; each
    scoring of the test patients adds their confusion matrix.
    """

    def __init__(self, recorder: EpochRecorder) -> None:
        self.recorder = recorder
        self.folder, self.stamp = recorder.prepared.folder, recorder.prepared.stamp

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show training knees, unless the training goes on."""
        if not self.recorder.rows:
            add_picture(trainer, "crops/train", training_sheet(_data(trainer), self.stamp), 0)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the grades of validation knees at a score epoch."""
        classifier = cast(GradeClassifier, pl_module)
        epoch = trainer.current_epoch + 1
        outcome = classifier.outcomes.get("validation")
        if outcome is None or epoch not in self.recorder.score_epochs:
            return
        title = f"Validation, epoch {epoch}"
        matrix = confusion_figure(outcome.counts, title=title, stamp=self.stamp)
        png = add_picture(trainer, "confusion/validation", matrix, epoch)
        if epoch == max(self.recorder.score_epochs):
            # The same bytes also go to a file; a second plot would take a tenth of all time.
            (self.folder / VALIDATION_MATRIX).parent.mkdir(exist_ok=True)
            write_whole(self.folder / VALIDATION_MATRIX, png)
            diagram = reliability_figure(
                reliability_bins(1 - outcome.probabilities[:, 0], outcome.grades > 0),
                title=f"Any disease: validation, epoch {epoch}",
                stamp=self.stamp,
            )
            add_picture(trainer, "reliability/validation", diagram, epoch)
            sheet = mistakes_sheet(classifier, outcome, _data(trainer), epoch, self.stamp)
            add_picture(trainer, "mistakes/validation", sheet, epoch)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the confusion matrix of the test patients."""
        classifier = cast(GradeClassifier, pl_module)
        epoch = classifier.tested_epoch or self.recorder.prepared.config.trainer.max_epochs
        counts, title = classifier.outcomes["test"].counts, f"Test patients, epoch {epoch}"
        figure = confusion_figure(counts, title=title, stamp=self.stamp)
        add_picture(trainer, "confusion/test", figure, epoch)


def training_sheet(datamodule: KneeDataModule, stamp: str | None) -> Figure:
    """Crops of the first few training knees of each grade, in the network's scaling."""
    cohort, train = datamodule.cohort, datamodule.parts.train
    each = SHEET_KNEES[len(VIEW_INDICES[datamodule.views])]
    by_grade = [train[cohort.grades[train] == grade][:each] for grade in range(GRADE_COUNT)]
    knees = np.concatenate(by_grade)
    return inputs_figure(
        datamodule.batch_of(knees)["crop"].cpu().numpy(),
        [f"{_knee_name(cohort, knee)}\n{GRADE_NAMES[cohort.grades[knee]]}" for knee in knees],
        columns=each,
        title=f"Training knees as the network sees them ({datamodule.views})",
        unit=UNITS[datamodule.scaling],
        stamp=stamp,
    )


def mistakes_sheet(
    classifier: GradeClassifier,
    outcome: GradedKnees,
    datamodule: KneeDataModule,
    epoch: int,
    stamp: str | None,
) -> Figure:
    """The worst mistakes of an outcome, with the attention to the predicted grade."""
    worst = most_wrong(outcome, MISTAKES)
    knees, predicted = outcome.knees[worst], outcome.predicted[worst]
    batch = datamodule.batch_of(knees)
    grades = torch.from_numpy(predicted).to(batch["crop"].device)
    chances = outcome.probabilities[worst, predicted]
    maps = grade_attention(classifier, batch, grades)
    mistakes = zip(knees, outcome.grades[worst], predicted, chances, strict=True)
    captions = [
        f"{_knee_name(datamodule.cohort, knee)}: {GRADE_NAMES[truth]}\n"
        f"predicted {GRADE_NAMES[grade]} ({100 * chance:.0f} %)"
        for knee, truth, grade, chance in mistakes
    ]
    return attention_figure(
        batch["crop"].cpu().numpy(),
        None if maps is None else maps.cpu().numpy(),
        captions,
        columns=2,
        title=f"Validation knees graded most wrong, epoch {epoch}; orange: what speaks for the "
        "predicted grade",
        stamp=stamp,
    )


def add_picture(trainer: Trainer, tag: str, figure: Figure, step: int) -> bytes:
    """Show a figure in TensorBoard, if that is a logger, after `step` epochs; return its PNG."""
    png = figure_png(figure, width=WIDTH_PIXELS)
    width, height = figure.canvas.get_width_height()
    # `add_image` would encode the pixels again, in three times the bytes.
    image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
    if writer := writer_of(trainer):
        # The call reopens a writer that the end of the fit closed.
        events = writer._get_file_writer()  # type: ignore[no-untyped-call]
        events.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), step)
    return png


def _data(trainer: Trainer) -> KneeDataModule:
    return cast(KneeDataModule, trainer.datamodule)  # type: ignore[attr-defined]


def _knee_name(cohort: Cohort, knee: int) -> str:
    return f"{cohort.scans[cohort.scan_index[knee]]} {SIDES[cohort.side_index[knee]]}"
