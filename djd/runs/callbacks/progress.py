"""The progress line of a training."""

import math
import sys
from collections.abc import Mapping
from typing import cast

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from djd.runs.callbacks.epoch_recorder import EpochRecorder
from djd.terminal import Terminal

LINES_WITHOUT_TERMINAL = 10
"""Lines that a training prints where its output is not a terminal."""


class ProgressLine(Callback):
    """Shows epoch, loss and validation kappa once an epoch, after the recorder."""

    def __init__(self, recorder: EpochRecorder) -> None:
        self.recorder = recorder
        self.name = recorder.prepared.fold_name
        self.style = recorder.prepared.config.trainer.progress
        self._console = Terminal(file=sys.stdout)
        self._progress: Progress | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the bar, on a terminal."""
        if self._console.is_terminal and self.style == "calm":
            self._progress = training_bar(self._console)
            self._progress.add_task(
                self.name, total=trainer.max_epochs, completed=len(self.recorder.rows), scores=""
            )
            self._progress.start()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Move the bar, or print a line now and then."""
        row = self.recorder.rows[-1]
        epoch, epochs = int(row["epoch"]), cast(int, trainer.max_epochs)
        if self.style == "study":
            self._console.print(study_line(row))
            return
        scores = f"loss {row['train_loss']:.3f}"
        if not math.isnan(row.get("validation_kappa", math.nan)):
            scores += f", validation kappa {row['validation_kappa']:.2f}"
        if self._progress:
            task = self._progress.task_ids[0]
            self._progress.update(task, completed=epoch, scores=scores, refresh=True)
        elif epoch == epochs or epoch % max(1, epochs // LINES_WITHOUT_TERMINAL) == 0:
            self._console.print(f"{self.name}: epoch {epoch} of {epochs}, {scores}")

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Close the bar."""
        if self._progress:
            self._progress.stop()
            self._progress = None

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Close the bar."""
        self.on_fit_end(trainer, pl_module)


def study_line(row: Mapping[str, float]) -> str:
    """An epoch's line of the study's log; its accuracy is of training."""
    return (
        f"#{row['epoch']:.0f} Loss: {row['train_loss']:.4f} "
        f"Acc: {100 * row['train_accuracy']:.4f}% Time: {row['seconds']:.4f}s"
    )


def training_bar(console: Console) -> Progress:
    """A bar without refreshes between epochs, which would cost time."""
    scores = TextColumn("{task.fields[scores]}")
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), scores)
    return Progress(*columns, TimeRemainingColumn(), console=console, auto_refresh=False)
