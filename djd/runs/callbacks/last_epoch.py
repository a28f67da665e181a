"""The end of the last finished epoch: in memory always, on disk every few epochs and at the end."""

import contextlib
from pathlib import Path
from typing import Any, cast

import lightning
import torch
from lightning.pytorch.callbacks import Checkpoint

from djd.errors import InputError
from djd.runs.callbacks.checkpoint import KeptCheckpoint

EPOCHS_BETWEEN_WRITES = 5
"""What a killed process can lose."""


class LastEpoch(Checkpoint):
    """Keeps what a stopped training goes on from.

    Only ends of epochs are kept: a training resumed from the middle of one would see wrong batches.
    Lightning calls checkpoint callbacks after all others, so their states are those of the epoch's
    end; this one comes last of all.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept = KeptCheckpoint()

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Keep the epoch in memory; write it where it is time."""
        trainer.save_checkpoint(cast(Any, self._kept))  # `WholeCheckpointIO` keeps it there
        if (trainer.current_epoch + 1) % EPOCHS_BETWEEN_WRITES == 0:
            self._write(trainer)

    def on_train_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Write the last epoch."""
        self._write(trainer)

    def on_exception(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        exception: BaseException,
    ) -> None:
        """Write the last finished epoch, whatever ended the training, unless the disk did."""
        with contextlib.suppress(OSError):
            self._write(trainer)

    def _write(self, trainer: lightning.Trainer) -> None:
        if self._kept.held:
            trainer.strategy.checkpoint_io.save_checkpoint(self._kept.held, self.path)
            self._kept.forget()  # only now: what stops the writing may be asked to write again


def finished_epochs(path: Path) -> int:
    """How many epochs a `LastEpoch` file holds; 0 where there is none.

    Raises:
        InputError: The file is damaged.
    """
    if not path.exists():
        return 0
    try:
        return int(torch.load(path, map_location="cpu", weights_only=True)["epoch"]) + 1
    except Exception as error:
        raise InputError(
            f"{path}: expected the checkpoint of a stopped training, received a damaged file; "
            "delete it to train from the start"
        ) from error
