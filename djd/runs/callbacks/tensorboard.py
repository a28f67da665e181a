"""TensorBoard: scalars, texts, charts and curves of one training."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard.writer import FileWriter, SummaryWriter

from djd.data.split import PartSummary, part_summaries
from djd.grades import GRADE_NAMES
from djd.models.classifier import GradeClassifier, Outcome
from djd.runs.callbacks.epoch_recorder import EpochRecorder
from djd.runs.callbacks.hparams import (
    HPARAM_METRICS,
    SCORE_RUNS,
    Sessions,
    forget_events,
    session_summaries,
    write_score_run,
)
from djd.runs.callbacks.loggers import SPEED_TAG, scalars_of
from djd.runs.command_line import rerun_command
from djd.runs.config import RunConfig
from djd.runs.result import installed_versions

Charts = Mapping[str, tuple[str, Sequence[str]]]
"""Kind and tags of each chart by its title, as `SummaryWriter.add_custom_scalars` takes them."""


def _lines(*tags: str) -> tuple[str, Sequence[str]]:
    """A chart of these scalars; the tab takes them as patterns that match from the start."""
    return "Multiline", [f"{tag}$" for tag in tags]


def _both(score: str) -> tuple[str, Sequence[str]]:
    return _lines(f"{score}/train", f"{score}/validation")


def _per_grade(score: str) -> tuple[str, Sequence[str]]:
    return _lines(*(f"{score}_{grade}/validation" for grade in GRADE_NAMES))


CHART_LAYOUT: Mapping[str, Charts] = {
    "Does it learn, and does it overfit?": {
        "loss": _both("loss"),
        "kappa": _both("kappa"),
        "accuracy": _both("accuracy"),
    },
    "Which grades does it find, and how far off is it?": {
        "recall of each grade, validation": _per_grade("recall"),
        "precision of each grade, validation": _per_grade("precision"),
        "mean error in grades": _both("mae"),
    },
    "How fast does it train?": {
        "knees a second": _lines(SPEED_TAG),
        "learning rate": _lines("learning_rate"),
    },
}
"""Charts by question. Every training holds it: TensorBoard merges the layouts of all runs that it
finds, and equal charts are shown once, so it is there for one run, one sweep and all of them."""


class EventsLogger(TensorBoardLogger):
    """Lightning's, in the training's own folder and without hparams.yaml: config.yaml says it all.

    Args:
        save_dir: The training's folder.
        purge_step: From which epoch on events of a stopped training are dropped; None where the
            training is new.
    """

    def __init__(self, save_dir: Path, purge_step: int | None = None) -> None:
        super().__init__(save_dir, name="", version="", purge_step=purge_step)
        if purge_step is None:
            forget_events(save_dir, runs_below=SCORE_RUNS)

    def save(self) -> None:
        """Leave it at the events, which are flushed by themselves."""


def writer_of(trainer: Trainer) -> SummaryWriter | None:
    """TensorBoard's writer of a training; None where TensorBoard is not among its loggers."""
    writers = [each.experiment for each in trainer.loggers if isinstance(each, TensorBoardLogger)]
    return writers[0] if writers else None


def is_tensorboard(logger: Logger) -> bool:
    """Whether a logger writes TensorBoard's events."""
    return isinstance(logger, TensorBoardLogger)


def _writer(trainer: Trainer) -> SummaryWriter:
    writer = writer_of(trainer)
    assert writer  # a dashboard is given to trainings with such a logger alone
    return writer


class Dashboard(Callback):
    """Writes scalars once an epoch, scores at the score epochs, and the rest as text.

    Args:
        recorder: Comes before this one among the callbacks; its rows are the scalars, and its score
            epochs have a curve and a row among the settings.
    """

    def __init__(self, recorder: EpochRecorder) -> None:
        self.recorder = recorder
        self.prepared = recorder.prepared
        given = self.prepared
        self.sessions = Sessions(given.config, given.folder, given.fingerprint, given.stamp)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show what is trained, and on what, unless an earlier start of the training did."""
        if self.recorder.rows:
            return
        writer = _writer(trainer)
        texts = dashboard_texts(
            self.prepared.config,
            part_summaries(self.prepared.cohort, self.prepared.parts),
            stamp=self.prepared.stamp,
            threads=torch.get_num_threads(),
        )
        for tag, text in texts.items():
            writer.add_text(tag, text)
        writer.add_custom_scalars(CHART_LAYOUT)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the epoch's row, and what is shown of the validation knees where it is due."""
        row = self.recorder.rows[-1]
        epoch = int(row["epoch"])
        writer = _writer(trainer)
        scalars = scalars_of(self.recorder, epoch)
        outcome = cast(GradeClassifier, pl_module).outcomes.get("validation")
        _add_scalars(writer, scalars, epoch)
        if outcome and epoch in self.recorder.score_epochs:
            _add_any_disease_curve(writer, "validation", outcome, epoch)
            self._show_as_setting(writer, scalars, epoch)

    def _show_as_setting(
        self, writer: SummaryWriter, scalars: Mapping[str, float], epoch: int
    ) -> None:
        """Be one of the trainings behind a row of the HParams tab."""
        if epoch < self.prepared.config.trainer.max_epochs:
            tags = [f"{score}/validation" for score in HPARAM_METRICS]
            write_score_run(
                self.sessions, epoch, {tag: scalars[tag] for tag in tags if tag in scalars}
            )
            return
        events = cast(FileWriter, writer.file_writer)
        for summary in session_summaries(self.sessions, epoch):
            events.add_summary(summary)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the curve of the test patients."""
        classifier = cast(GradeClassifier, pl_module)
        outcome = classifier.outcomes["test"]
        epoch = classifier.tested_epoch or self.prepared.config.trainer.max_epochs
        _add_any_disease_curve(_writer(trainer), "test", outcome, epoch)


def _add_scalars(writer: SummaryWriter, scalars: Mapping[str, float], epoch: int) -> None:
    """One event for all of an epoch's; an event each takes 1 ms more, a tenth of a short epoch."""
    values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
    cast(FileWriter, writer.file_writer).add_summary(Summary(value=values), epoch)


def _add_any_disease_curve(writer: SummaryWriter, part: str, outcome: Outcome, epoch: int) -> None:
    """Precision against recall of any DJD, by the probability of any grade above normal."""
    any_disease = 1 - outcome.probabilities[:, 0]
    writer.add_pr_curve(f"any_djd/{part}", outcome.grades >= 1, any_disease, epoch)


def dashboard_texts(
    config: RunConfig, parts: Mapping[str, PartSummary], *, stamp: str | None, threads: int
) -> dict[str, str]:
    """Texts by tag, as Markdown: two, since TensorBoard opens the first two and folds the others.

    Args:
        config: What is trained.
        parts: Who is on each part of the split.
        stamp: What has to stand on everything; see `RunConfig.stamp`.
        threads: CPU threads of a training step.
    """
    stamped = f"**{stamp}**. " if stamp else ""
    about = (
        f"{stamped}Research use only, not a medical device.",
        split_table(parts),
        "The same weights again, alone, with the test patients left closed:",
        _as_code(rerun_command(config, threads=threads)),
        _table(("part", "version"), installed_versions().items()),
    )
    return {"about": "\n\n".join(about), "config": _as_code(config.as_yaml())}


def split_table(parts: Mapping[str, PartSummary]) -> str:
    """Patients and knees per grade on each part, as a Markdown table."""
    rows = [
        (part, len(who.patients), sum(who.knees_per_grade), *who.knees_per_grade)
        for part, who in parts.items()
    ]
    return _table(("part", "patients", "knees", *GRADE_NAMES), rows)


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _as_code(text: str) -> str:
    return "    " + text.replace("\n", "\n    ")
