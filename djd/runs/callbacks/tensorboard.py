"""TensorBoard's scalars, texts, charts and curves of a training."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard.writer import FileWriter, SummaryWriter

from djd.data.split import PartSummary, part_summaries
from djd.grades import GRADE_NAMES
from djd.models.classifier import GradeClassifier
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
from djd.statistics.held_out import GradedKnees

Chart = tuple[str, Sequence[str]]
"""Kind and tags, for `SummaryWriter.add_custom_scalars`."""


def _lines(*tags: str) -> Chart:
    """A chart of these scalars; the tab takes tags as patterns that match from the start."""
    return "Multiline", [f"{tag}$" for tag in tags]


def _both(score: str) -> Chart:
    return _lines(f"{score}/train", f"{score}/validation")


def _per_grade(score: str) -> Chart:
    return _lines(*(f"{score}_{grade}/validation" for grade in GRADE_NAMES))


CHART_LAYOUT: Mapping[str, Mapping[str, Chart]] = {
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
"""Charts by question. Every training has them: TensorBoard merges the layouts of all runs and
shows equal charts once."""


class EventsLogger(TensorBoardLogger):
    """Lightning's logger in the training's folder, without hparams.yaml beside config.yaml.

    Events of a stopped training from the epoch `purge_step` on are dropped; all where it is None.
    """

    def __init__(self, save_dir: Path, purge_step: int | None = None) -> None:
        super().__init__(save_dir, name="", version="", purge_step=purge_step)
        if purge_step is None:
            forget_events(save_dir, runs_below=SCORE_RUNS)

    def save(self) -> None:
        """Write nothing: events are flushed anyway."""


def writer_of(trainer: Trainer) -> SummaryWriter | None:
    """TensorBoard's writer of a training, or None."""
    writers = [each.experiment for each in trainer.loggers if isinstance(each, TensorBoardLogger)]
    return writers[0] if writers else None


def _writer(trainer: Trainer) -> SummaryWriter:
    writer = writer_of(trainer)
    assert writer  # only trainings with such a logger have a dashboard
    return writer


class Dashboard(Callback):
    """Writes texts, the recorder's rows as scalars, and at score epochs a curve and a setting."""

    def __init__(self, recorder: EpochRecorder) -> None:
        self.recorder = recorder
        self.prepared = given = recorder.prepared
        self.sessions = Sessions(given.config, given.folder, given.fingerprint, given.stamp)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write texts and charts, unless the training goes on."""
        if self.recorder.rows:
            return
        given, writer = self.prepared, _writer(trainer)
        parts, threads = part_summaries(given.cohort, given.parts), torch.get_num_threads()
        texts = dashboard_texts(given.config, parts, stamp=given.stamp, threads=threads)
        for tag, text in texts.items():
            writer.add_text(tag, text)
        writer.add_custom_scalars(CHART_LAYOUT)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the epoch's row, and at score epochs curve and setting."""
        row = self.recorder.rows[-1]
        epoch = int(row["epoch"])
        writer = _writer(trainer)
        scalars = scalars_of(self.recorder, epoch)
        outcome = cast(GradeClassifier, pl_module).outcomes.get("validation")
        # An event for each scalar takes 1 ms more, a tenth of a short epoch.
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        cast(FileWriter, writer.file_writer).add_summary(Summary(value=values), epoch)
        if outcome and epoch in self.recorder.score_epochs:
            _add_any_disease_curve(writer, "validation", outcome, epoch)
            self._show_as_setting(writer, scalars, epoch)

    def _show_as_setting(
        self, writer: SummaryWriter, scalars: Mapping[str, float], epoch: int
    ) -> None:
        """Write a session of the HParams tab."""
        if epoch < self.prepared.config.trainer.max_epochs:
            tags = [f"{score}/validation" for score in HPARAM_METRICS]
            shown = {tag: scalars[tag] for tag in tags if tag in scalars}
            write_score_run(self.sessions, epoch, shown)
        else:
            for summary in session_summaries(self.sessions, epoch):
                cast(FileWriter, writer.file_writer).add_summary(summary)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the curve of the test patients."""
        classifier = cast(GradeClassifier, pl_module)
        outcome = classifier.outcomes["test"]
        epoch = classifier.tested_epoch or self.prepared.config.trainer.max_epochs
        _add_any_disease_curve(_writer(trainer), "test", outcome, epoch)


def _add_any_disease_curve(
    writer: SummaryWriter, part: str, outcome: GradedKnees, epoch: int
) -> None:
    """Precision against recall of any DJD, by the probability of all grades above normal."""
    any_disease = 1 - outcome.probabilities[:, 0]
    writer.add_pr_curve(f"any_djd/{part}", outcome.grades >= 1, any_disease, epoch)


def dashboard_texts(
    config: RunConfig, parts: Mapping[str, PartSummary], *, stamp: str | None, threads: int
) -> dict[str, str]:
    """Two Markdown texts by tag: TensorBoard opens the first two texts and folds the others."""
    stamped = f"**{stamp}**. " if stamp else ""
    rows = [
        (part, len(who.patients), sum(who.knees_per_grade), *who.knees_per_grade)
        for part, who in parts.items()
    ]
    about = (
        f"{stamped}Research use only, not a medical device.",
        _table(("part", "patients", "knees", *GRADE_NAMES), rows),
        "The same weights again, alone, with the test patients left closed:",
        _as_code(rerun_command(config, threads=threads)),
        _table(("part", "version"), installed_versions().items()),
    )
    return {"about": "\n\n".join(about), "config": _as_code(config.as_yaml())}


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _as_code(text: str) -> str:
    return "\n".join(f"    {line}" for line in re.split(r"\r\n|\r|\n", text))
