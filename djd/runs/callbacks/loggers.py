"""`conf/logger`: the loggers of a training and their values."""

import inspect
import json
import logging
import os
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any, cast

import numpy as np
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from djd.errors import InputError
from djd.files import write_whole
from djd.locks import wait_for_lock
from djd.models.build import build
from djd.models.classifier import GradeClassifier
from djd.runs.callbacks.epoch_recorder import EpochRecorder
from djd.runs.callbacks.hparams import TENSORBOARD, setting_hparams
from djd.runs.folder import LOGGERS_NAME, begun_runs
from djd.runs.prepare import Prepared
from djd.statistics.metrics import score_table

SPEED_TAG = "knees_per_second"

RUN_ARGUMENTS = ("run_id", "id")
"""Constructor arguments of MLflow and W&B for the run of a resumed training."""

QUIET = {
    "DO_NOT_TRACK": "true",  # MLflow reports its use over the network
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "WANDB_ERROR_REPORTING": "false",
}
"""Defaults of environment variables: scans of patients are private."""


def build_loggers(prepared: Prepared, *, resumed_epochs: int = 0) -> list[Logger]:
    """The loggers of `logger`, with their runs begun.

    Each class gets those of the following values that it takes: `save_dir` (the training's folder),
    `name` and `run_name` (the folder's, from the sweep or run down), `purge_step` (the first epoch
    of a training that goes on), `run_id` and `id` (of the logger's run in an earlier start of the
    training, or None).

    Raises:
        InputError: A class can't be imported, doesn't take the values of its file, or can't begin
            or go on with a run.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("lightning.pytorch.loggers").setLevel(logging.ERROR)
    specs = prepared.config.plain()["logger"]
    begun, loggers = begun_runs(prepared.folder), {}
    # Trainings that start together must not make the same data base twice.
    path = prepared.config.paths.cache / ".loggers.lock"
    with wait_for_lock(path) if specs.keys() - {TENSORBOARD, "csv"} else nullcontext():
        for option, spec in specs.items():
            before = begun.get(option, {})
            run = before.get("run") if before.get("logger") == spec else None
            loggers[option] = _begin(option, spec, _offered(prepared, resumed_epochs, run))
            if _takes(loggers[option], *RUN_ARGUMENTS):
                begun[option] = {"run": str(loggers[option].version), "logger": spec}
    if begun:
        content = json.dumps(begun, indent=1, ensure_ascii=False)
        write_whole(prepared.folder / LOGGERS_NAME, content)
    return list(loggers.values())


def _offered(prepared: Prepared, resumed_epochs: int, run: str | None) -> dict[str, Any]:
    above = prepared.top.absolute().parent
    name = " ".join(prepared.folder.absolute().relative_to(above).parts)
    offered = {"save_dir": prepared.folder, "name": name, "run_name": name}
    offered |= {"purge_step": resumed_epochs + 1 if resumed_epochs else None}
    return offered | dict.fromkeys(RUN_ARGUMENTS, run)


def _begin(option: str, spec: dict[str, Any], offered: dict[str, Any]) -> Logger:
    logger = build(f"logger.{option}", spec, offered=offered)
    if not isinstance(logger, Logger):
        raise InputError(
            f"logger.{option}._target_: expected a Lightning logger, received "
            f"{spec['_target_']}, which gives {type(logger).__name__}"
        )
    try:
        getattr(logger, "experiment", None)  # the first access begins the run
    except Exception as error:
        run = offered[RUN_ARGUMENTS[0]]
        raise InputError(
            f"logger.{option}: expected to {f'go on with run {run}' if run else 'begin a run'}, "
            f"received {type(error).__name__}: {error}"
        ) from error
    return logger


def _takes(logger: Logger, *arguments: str) -> bool:
    """Whether the logger's class takes one of the arguments."""
    return not inspect.signature(type(logger)).parameters.keys().isdisjoint(arguments)


def end_runs(loggers: Iterable[Logger]) -> None:
    """End the runs of loggers that need an end, such as W&B's."""
    for logger in loggers:
        finish = getattr(getattr(logger, "experiment", None), "finish", None)
        if callable(finish):
            finish()


class ScoreLogger(Callback):
    """Gives loggers other than TensorBoard the setting, the recorder's rows, and test scores."""

    def __init__(self, recorder: EpochRecorder) -> None:
        self.recorder = recorder
        self._runs: list[str] = []

    def state_dict(self) -> dict[str, Any]:
        """Runs that have all scores so far."""
        return {"runs": list(self._runs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the runs of a checkpoint."""
        self._runs = list(state_dict["runs"])

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log setting, fold and seed, and the finished epochs of a stopped training.

        A run that goes on has these epochs, except a run of W&B offline: each start makes a folder
        of its own, and the last folder that is sent replaces the earlier ones.
        """
        config, stamp = self.recorder.prepared.config, self.recorder.prepared.stamp
        setting: dict[str, Any] = setting_hparams(config, config.trainer.max_epochs)
        setting |= {"data.fold": config.data.fold, "seed": config.seed, "kind": config.kind}
        setting |= {"sweep": self.recorder.prepared.top.name} if config.kind != "run" else {}
        setting |= {"stamp": stamp} if stamp else {}
        for logger in _others(trainer):
            logger.log_hyperparams(setting)
            if not (_takes(logger, "run_id") and str(logger.version) in self._runs):
                for epochs in range(1, len(self.recorder.rows) + 1):
                    logger.log_metrics(scalars_of(self.recorder, epochs), epochs)
        self._runs = [str(logger.version) for logger in _others(trainer)]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the epoch's scores."""
        epoch = len(self.recorder.rows)
        for logger in _others(trainer):
            logger.log_metrics(scalars_of(self.recorder, epoch), epoch)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the scores on the test patients."""
        classifier = cast(GradeClassifier, pl_module)
        epoch = classifier.tested_epoch or self.recorder.prepared.config.trainer.max_epochs
        scores = score_table(classifier.outcomes["test"].counts)
        defined = {f"{name}/test": each for name, each in scores.items() if not np.isnan(each)}
        for logger in _others(trainer):
            logger.log_metrics(defined, epoch)


def _others(trainer: Trainer) -> list[Logger]:
    return [each for each in trainer.loggers if not isinstance(each, TensorBoardLogger)]


def scalars_of(recorder: EpochRecorder, epoch: int) -> dict[str, float]:
    """Defined scores of an epoch, from 1, by tag such as `kappa/validation`.

    Both parts of a score share a chart's group by such tags.
    """
    before, row = [{"seconds": 0.0}, *recorder.rows][epoch - 1 : epoch + 1]
    scalars = {}
    for name, value in row.items():
        if name not in ("epoch", "seconds") and not np.isnan(value):
            part, _, score = name.partition("_")
            scalars[f"{score}/{part}" if part in ("train", "validation") else name] = value
    knees, seconds = len(recorder.prepared.parts.train), row["seconds"] - before["seconds"]
    return scalars | {SPEED_TAG: knees / max(seconds, 1e-3)}  # kept to milliseconds
