"""`conf/logger`: the loggers of a training and their values."""

import inspect
import logging
import os
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any, cast

import lightning
import numpy as np
from filelock import FileLock
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from djd.errors import InputError
from djd.models.build import build
from djd.models.classifier import GradeClassifier
from djd.runs.callbacks.epoch_recorder import EpochRecorder
from djd.runs.callbacks.hparams import TENSORBOARD, setting_hparams
from djd.runs.folder import begun_runs, save_begun_runs
from djd.runs.prepare import Prepared
from djd.statistics.metrics import score_table

SPEED_TAG = "knees_per_second"

RUN_ARGUMENTS = ("run_id", "id")
"""How constructors call the run that a resumed training goes on with: MLflow's, W&B's."""

QUIET = {
    "DO_NOT_TRACK": "true",  # MLflow reports its use over the network
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "WANDB_ERROR_REPORTING": "false",
}
"""Variables of the environment, where they are not set: scans of patients are no one's business."""


def build_loggers(prepared: Prepared, *, resumed_epochs: int = 0) -> list[Logger]:
    """The loggers that `logger` names, with their runs begun.

    Each logger gets of these values those that its class takes: `save_dir` (the training's folder),
    `name` and `run_name` (of the folder, below that of the sweep or run), `purge_step` (the first
    epoch that is trained now, where a training goes on), `run_id` and `id` (of the run that the
    logger began at an earlier start of the training; None where it began none).

    Raises:
        InputError: A class can't be imported, does not take the values of its file, or can't begin
            or go on with a run.
    """
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    logging.getLogger("lightning.pytorch.loggers").setLevel(logging.ERROR)
    specs = prepared.config.plain()["logger"]
    begun, loggers = begun_runs(prepared.folder), {}
    cache = prepared.config.paths.cache
    # Trainings that start at once must not make the same data base twice.
    others = specs.keys() - {TENSORBOARD}
    with FileLock(cache / ".loggers.lock") if others else nullcontext():
        for option, spec in specs.items():
            before = begun.get(option, {})
            run = before.get("run") if before.get("logger") == spec else None
            loggers[option] = _begin(option, spec, _offered(prepared, resumed_epochs, run))
            if _goes_on(loggers[option]):
                begun[option] = {"run": str(loggers[option].version), "logger": spec}
    if begun:
        save_begun_runs(prepared.folder, begun)
    return list(loggers.values())


def _offered(prepared: Prepared, resumed_epochs: int, run: str | None) -> dict[str, Any]:
    above = prepared.top.absolute().parent
    name = " ".join(prepared.folder.absolute().relative_to(above).parts)
    return {
        "save_dir": prepared.folder,
        "name": name,
        "run_name": name,
        "purge_step": resumed_epochs + 1 if resumed_epochs else None,
        **dict.fromkeys(RUN_ARGUMENTS, run),
    }


def _begin(option: str, spec: dict[str, Any], offered: dict[str, Any]) -> Logger:
    logger = build(f"logger.{option}", spec, offered=offered)
    if not isinstance(logger, Logger):
        raise InputError(
            f"logger.{option}._target_: expected a Lightning logger, received "
            f"{spec['_target_']}, which gives {type(logger).__name__}"
        )
    try:
        getattr(logger, "experiment", None)  # Lightning's loggers begin their run when asked for it
    except Exception as error:
        run = offered[RUN_ARGUMENTS[0]]
        raise InputError(
            f"logger.{option}: expected to {f'go on with run {run}' if run else 'begin a run'}, "
            f"received {type(error).__name__}: {error}"
        ) from error
    return logger


def _goes_on(logger: Logger) -> bool:
    """Whether the logger can be asked to go on with a run."""
    return any(name in inspect.signature(type(logger)).parameters for name in RUN_ARGUMENTS)


def end_runs(loggers: Iterable[Logger]) -> None:
    """End the runs of loggers that wait for it, such as W&B's."""
    for logger in loggers:
        finish = getattr(getattr(logger, "experiment", None), "finish", None)
        if callable(finish):
            finish()


class ScoreLogger(Callback):
    """Gives loggers other than TensorBoard the setting, each epoch's scores, and test scores.

    Args:
        recorder: Comes before this one among the callbacks; its rows are the scores.
    """

    def __init__(self, recorder: EpochRecorder) -> None:
        self.recorder = recorder
        self._runs: list[str] = []

    def state_dict(self) -> dict[str, Any]:
        """The runs that have all scores until now."""
        return {"runs": list(self._runs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Know the runs that need no scores again."""
        self._runs = list(state_dict["runs"])

    def on_fit_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Log the setting, fold and seed; and the epochs that a stopped training has finished.

        A run that goes on has these epochs. Not so a run of W&B offline: each start leaves a folder
        of its own, and the last one that is sent replaces those before.
        """
        config, stamp = self.recorder.prepared.config, self.recorder.prepared.stamp
        setting: dict[str, Any] = setting_hparams(config, config.trainer.max_epochs)
        setting |= {"data.fold": config.data.fold, "seed": config.seed, "kind": config.kind}
        setting |= {"sweep": self.recorder.prepared.top.name} if config.kind != "run" else {}
        setting |= {"stamp": stamp} if stamp else {}
        for logger in _others(trainer):
            logger.log_hyperparams(setting)
            has_all = "run_id" in inspect.signature(type(logger)).parameters
            if not (has_all and str(logger.version) in self._runs):
                for epochs in range(1, len(self.recorder.rows) + 1):
                    logger.log_metrics(scalars_of(self.recorder, epochs), epochs)
        self._runs = [str(logger.version) for logger in _others(trainer)]

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Log the epoch's scores."""
        epoch = len(self.recorder.rows)
        for logger in _others(trainer):
            logger.log_metrics(scalars_of(self.recorder, epoch), epoch)

    def on_test_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Log the scores on the test patients."""
        classifier = cast(GradeClassifier, pl_module)
        epoch = classifier.tested_epoch or self.recorder.prepared.config.trainer.max_epochs
        scores = score_table(classifier.outcomes["test"].counts)
        defined = {f"{name}/test": each for name, each in scores.items() if not np.isnan(each)}
        for logger in _others(trainer):
            logger.log_metrics(defined, epoch)


def _others(trainer: lightning.Trainer) -> list[Logger]:
    return [each for each in trainer.loggers if not isinstance(each, TensorBoardLogger)]


def scalars_of(recorder: EpochRecorder, epoch: int) -> dict[str, float]:
    """Scores of an epoch, from 1, by tag such as `kappa/validation`; without undefined ones."""
    before, row = [{"seconds": 0.0}, *recorder.rows][epoch - 1 : epoch + 1]
    scalars = {
        _tag(name): value
        for name, value in row.items()
        if name not in ("epoch", "seconds") and not np.isnan(value)
    }
    knees, seconds = len(recorder.prepared.parts.train), row["seconds"] - before["seconds"]
    return scalars | {SPEED_TAG: knees / max(seconds, 1e-3)}  # kept to milliseconds


def _tag(name: str) -> str:
    """`validation_kappa` to `kappa/validation`, so that both parts share a chart's group."""
    stage, _, score = name.partition("_")
    return f"{score}/{stage}" if stage in ("train", "validation") else name
