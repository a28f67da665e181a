"""`conf/logger`: the loggers of a training and their values."""

from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from djd.errors import InputError
from djd.models.build import build
from djd.runs.callbacks.epoch_recorder import EpochRecorder
from djd.runs.callbacks.hparams import setting_hparams
from djd.runs.config import RunConfig

SPEED_TAG = "knees_per_second"


def build_loggers(config: RunConfig, folder: Path, *, resumed_epochs: int = 0) -> list[Logger]:
    """The loggers of `logger`; each class gets those of the offered values that it takes.

    They are `save_dir` (the training's folder), `name` and `run_name` (the folder's, from the sweep
    or run down), and `purge_step` (the first epoch of a training that goes on).

    Raises:
        InputError: A class can't be imported, or doesn't take the values of its file.
    """
    name = " ".join(folder.absolute().parts[-3:][{"run": 2, "cell": 1, "refit": 0}[config.kind] :])
    purge_step = resumed_epochs + 1 if resumed_epochs else None
    offered = {"save_dir": folder, "name": name, "run_name": name, "purge_step": purge_step}
    loggers = []
    for option, spec in config.plain()["logger"].items():
        logger = build(f"logger.{option}", spec, offered=offered)
        if not isinstance(logger, Logger):
            raise InputError(
                f"logger.{option}._target_: expected a Lightning logger, received "
                f"{spec['_target_']}, which gives {type(logger).__name__}"
            )
        loggers.append(logger)
    return loggers


class ScoreLogger(Callback):
    """Gives loggers other than TensorBoard the setting and each epoch's scores by the recorder."""

    def __init__(self, recorder: EpochRecorder) -> None:
        self.recorder = recorder

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log setting, fold, seed, and the finished epochs of a stopped training."""
        config, stamp = self.recorder.prepared.config, self.recorder.prepared.stamp
        setting: dict[str, Any] = setting_hparams(config, config.trainer.max_epochs)
        setting |= {"data.fold": config.data.fold, "seed": config.seed}
        setting |= {"stamp": stamp} if stamp else {}
        config.paths.cache.mkdir(parents=True, exist_ok=True)
        for logger in _others(trainer):
            # Cells that start together must not make the same data base twice.
            with FileLock(config.paths.cache / ".loggers.lock"):
                logger.log_hyperparams(setting)
            for epochs in range(1, len(self.recorder.rows) + 1):
                logger.log_metrics(scalars_of(self.recorder, epochs), epochs)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the epoch's scores."""
        epoch = len(self.recorder.rows)
        for logger in _others(trainer):
            logger.log_metrics(scalars_of(self.recorder, epoch), epoch)


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
