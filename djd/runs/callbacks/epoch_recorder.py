"""Metrics, predictions and weights of a training, epoch by epoch."""

import math
import time
from collections.abc import Mapping
from typing import Any, cast

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from djd.csv_files import append_rows, write_rows
from djd.errors import InputError
from djd.heartbeats import require_held
from djd.models.classifier import GradeClassifier
from djd.runs.folder import METRICS_NAME, PREDICTIONS_NAME, epoch_checkpoint
from djd.runs.predictions import prediction_rows, write_predictions
from djd.runs.prepare import Prepared
from djd.runs.result import PartScores, score_outcome, stamp_column
from djd.statistics.held_out import GradedKnees
from djd.statistics.metrics import score_table


class EpochRecorder(Callback):
    """Writes `metrics.csv` each epoch, and predictions and weights at the score epochs, from 1.

    The first of all callbacks: its `on_train_epoch_end` reads the epoch's passes for all of them.

    Attributes:
        rows: A row of `metrics.csv` an epoch.
        scored: Validation scores at the score epochs.
    """

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.score_epochs = prepared.config.epochs_to_score
        self._folder = prepared.folder
        self._stamp = stamp_column(prepared.stamp)
        self.rows: list[dict[str, float]] = []
        self.scored: list[PartScores] = []
        self._predictions: list[dict[str, Any]] = []
        self._learning_rate = float("nan")
        self._seconds_before = 0.0
        self._started = time.perf_counter()

    def state_dict(self) -> dict[str, Any]:
        """All records so far as plain values, for a checkpoint."""
        return {
            "rows": list(self.rows),
            "scored": [scores.model_dump() for scores in self.scored],
            "predictions": list(self._predictions),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint, and set files back to it."""
        self.rows = list(state_dict["rows"])
        self.scored = [PartScores.model_validate(scores) for scores in state_dict["scored"]]
        self._predictions = list(state_dict["predictions"])
        self._seconds_before = self.rows[-1]["seconds"]
        self._started = time.perf_counter()
        self._write_metrics()
        if self._predictions:
            self._write_predictions()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the epoch's learning rate, and let Lightning validate where that is wanted.

        At the epoch's end a schedule has changed the rate.
        """
        classifier = cast(GradeClassifier, pl_module)
        self._learning_rate = classifier.learning_rate
        if len(self.prepared.parts.validation):
            validated = self.prepared.config.is_validated(trainer.current_epoch + 1)
            trainer.limit_val_batches = 1.0 if validated else 0
            classifier.outcomes.pop("validation", None)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the epoch."""
        classifier = cast(GradeClassifier, pl_module)
        classifier.finish_train_pass()
        require_held()
        epoch = trainer.current_epoch + 1
        self.rows.append(self._row(classifier, epoch))
        self._require_finite(classifier, epoch)
        if epoch == 1:
            self._write_metrics()
        else:
            row = _cells(self.rows[-1]) | self._stamp
            append_rows(self._folder / METRICS_NAME, tuple(row), [row])
        if epoch in self.score_epochs:
            self._keep(trainer, classifier, epoch)

    def _row(self, classifier: GradeClassifier, epoch: int) -> dict[str, float]:
        row: dict[str, float] = {
            "epoch": epoch,
            "learning_rate": self._learning_rate,
            "seconds": round(self._seconds_before + time.perf_counter() - self._started, 3),
        }
        train = classifier.outcomes["train"]
        row |= _scores("train", train)
        if validation := classifier.outcomes.get("validation"):
            row |= _scores("validation", validation)
        elif len(self.prepared.parts.validation):  # an epoch without a pass over them
            row |= dict.fromkeys(_scores("validation", train), math.nan)
        return row

    def _require_finite(self, classifier: GradeClassifier, epoch: int) -> None:
        """Stop a diverged training: a network of NaN grades every knee normal."""
        losses = [outcome.loss for outcome in classifier.outcomes.values()]
        if not all(math.isfinite(loss) for loss in losses):
            raise InputError(
                f"training diverged in epoch {epoch}: expected a finite loss, received "
                f"{', '.join(f'{loss:g}' for loss in losses)}; lower optim.lr or optim.lr_times"
            )

    def _write_metrics(self) -> None:
        columns = (*self.rows[0], *self._stamp)
        rows = [_cells(row) | self._stamp for row in self.rows]
        write_rows(self._folder / METRICS_NAME, columns, rows)

    def _write_predictions(self) -> None:
        path = self._folder / PREDICTIONS_NAME
        write_predictions(path, self._predictions, stamp=self.prepared.stamp)

    def _keep(self, trainer: Trainer, classifier: GradeClassifier, epoch: int) -> None:
        trainer.save_checkpoint(epoch_checkpoint(self._folder, epoch), weights_only=True)
        if outcome := classifier.outcomes.get("validation"):
            self.scored.append(score_outcome(outcome, self.prepared.cohort, epoch=epoch))
            config, cohort = self.prepared.config, self.prepared.cohort
            fold, seed = config.data.fold, config.seed
            rows = prediction_rows(cohort, outcome, fold=fold, seed=seed, epoch=epoch)
            self._predictions += rows
            self._write_predictions()


def _scores(part: str, outcome: GradedKnees) -> dict[str, float]:
    scores = {"loss": outcome.loss, **score_table(outcome.counts)}
    return {f"{part}_{name}": value for name, value in scores.items()}


def _cells(row: Mapping[str, float]) -> dict[str, str]:
    return {name: "" if math.isnan(value) else f"{value:.8g}" for name, value in row.items()}
