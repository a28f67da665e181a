"""What TensorBoard shows of one training in numbers and text; see `pictures` for the rest."""

from collections.abc import Mapping
from typing import cast

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard.writer import FileWriter, SummaryWriter

from djd.data.datamodule import KneeDataModule
from djd.data.split import part_summaries
from djd.models.classifier import GradeClassifier, Outcome
from djd.runs.callbacks.chart_layout import CHART_LAYOUT, SPEED_TAG
from djd.runs.callbacks.dashboard_text import dashboard_texts
from djd.runs.callbacks.epoch_recorder import EpochRecorder
from djd.runs.callbacks.hparams import HPARAM_METRICS, Sessions, session_summaries, write_score_run
from djd.runs.config import RunConfig


class Dashboard(Callback):
    """Writes scalars once an epoch, scores at the score epochs, and the rest as text.

    Args:
        config: What is trained.
        recorder: Comes before this one among the callbacks; its rows are the scalars,
            and its score epochs have a curve and a row among the settings.
        fingerprint: Of the cohort.
    """

    def __init__(self, config: RunConfig, recorder: EpochRecorder, *, fingerprint: str) -> None:
        self.config = config
        self.recorder = recorder
        self.stamp = config.stamp(phantom=recorder.cohort.phantom)
        self.sessions = Sessions(config, recorder.folder, fingerprint, self.stamp)

    def on_fit_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Show what is trained, and on what, unless an earlier start of the training did."""
        if self.recorder.rows:
            return
        datamodule = cast(KneeDataModule, trainer.datamodule)  # type: ignore[attr-defined]
        writer = _writer(trainer)
        texts = dashboard_texts(
            self.config,
            part_summaries(datamodule.cohort, datamodule.parts),
            stamp=self.stamp,
            threads=torch.get_num_threads(),
        )
        for tag, text in texts.items():
            writer.add_text(tag, text)
        writer.add_custom_scalars(CHART_LAYOUT)

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Log the epoch's row, and what is shown of the validation knees where it is due."""
        row = self.recorder.rows[-1]
        epoch = int(row["epoch"])
        writer = _writer(trainer)
        scalars = {
            _tag(name): value
            for name, value in row.items()
            if name not in ("epoch", "seconds") and not np.isnan(value)
        }
        outcomes = cast(GradeClassifier, pl_module).outcomes
        scalars[SPEED_TAG] = len(outcomes["train"].knees) / self._seconds_of_last_epoch()
        _add_scalars(writer, scalars, epoch)
        for logger in trainer.loggers[1:]:  # none, unless build_trainer was given one
            logger.log_metrics(scalars, epoch)
        outcome = outcomes.get("validation")
        if outcome and epoch in self.recorder.score_epochs:
            _add_any_disease_curve(writer, "validation", outcome, epoch)
            self._show_as_setting(writer, scalars, epoch)

    def _seconds_of_last_epoch(self) -> float:
        before, now = [0.0, *(row["seconds"] for row in self.recorder.rows)][-2:]
        return max(now - before, 1e-3)  # they are kept to milliseconds

    def _show_as_setting(
        self, writer: SummaryWriter, scalars: Mapping[str, float], epoch: int
    ) -> None:
        """Be one of the trainings behind a row of the HParams tab."""
        if epoch < self.config.trainer.max_epochs:
            tags = [f"{score}/validation" for score in HPARAM_METRICS]
            write_score_run(
                self.sessions, epoch, {tag: scalars[tag] for tag in tags if tag in scalars}
            )
            return
        events = cast(FileWriter, writer.file_writer)
        for summary in session_summaries(self.sessions, epoch):
            events.add_summary(summary)

    def on_test_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Show the curve of the test patients."""
        classifier = cast(GradeClassifier, pl_module)
        outcome = classifier.outcomes["test"]
        epoch = classifier.tested_epoch or self.config.trainer.max_epochs
        _add_any_disease_curve(_writer(trainer), "test", outcome, epoch)


def _add_scalars(writer: SummaryWriter, scalars: Mapping[str, float], epoch: int) -> None:
    """One event for all of an epoch's; an event each takes 1 ms more, a tenth of a short epoch."""
    values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
    cast(FileWriter, writer.file_writer).add_summary(Summary(value=values), epoch)


def _add_any_disease_curve(writer: SummaryWriter, part: str, outcome: Outcome, epoch: int) -> None:
    """Precision against recall of any DJD, by the probability of any grade above normal."""
    any_disease = 1 - outcome.probabilities[:, 0]
    writer.add_pr_curve(f"any_djd/{part}", outcome.grades >= 1, any_disease, epoch)


def _tag(name: str) -> str:
    """`validation_kappa` to `kappa/validation`, so that both parts share a chart's group."""
    stage, _, score = name.partition("_")
    return f"{score}/{stage}" if stage in ("train", "validation") else name


def _writer(trainer: lightning.Trainer) -> SummaryWriter:
    writer: SummaryWriter = cast(TensorBoardLogger, trainer.logger).experiment
    return writer
