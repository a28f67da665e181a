"""Checkpoints: the end of the last finished epoch, in files written whole or not at all."""

import contextlib
import copy
import io
from pathlib import Path
from typing import Any, cast

import torch
from lightning import LightningModule, Trainer
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint

from djd.errors import InputError
from djd.files import write_whole

EPOCHS_BETWEEN_WRITES = 5
"""What a killed process can lose."""


class KeptCheckpoint:
    """A checkpoint in memory, as it was: what goes on being trained doesn't change it.

    Copying a network of depth 1 and its optimizer takes a millisecond, writing them as bytes eight
    and, as the tables in the checkpoint grow, more with each epoch (2026-11-25, two-core x86-64).

    Attributes:
        held: What was kept last; None where nothing was since `forget`.
    """

    def __init__(self) -> None:
        self.held: dict[str, Any] | None = None

    def keep(self, checkpoint: dict[str, Any]) -> None:
        """Copy it."""
        rest = {name: value for name, value in checkpoint.items() if name != "callbacks"}
        callbacks = {
            name: {key: _copied(value) for key, value in state.items()}
            for name, state in checkpoint.get("callbacks", {}).items()
        }
        self.held = copy.deepcopy(rest) | {"callbacks": callbacks}

    def forget(self) -> None:
        """It is on the disk."""
        self.held = None


def _copied(value: Any) -> Any:
    """Lightning's callbacks tell dicts that they go on changing; our lists are told anew each time.

    They hold a row an epoch, which copying deeply would go through in each epoch.
    """
    return value if isinstance(value, list) else copy.deepcopy(value)


class WholeCheckpointIO(TorchCheckpointIO):
    """Writes beside the file, to the disk, then renames.

    Lightning's own goes through the system's temporary folder; where that is another disk, the file
    is copied into its place and a kill in the middle leaves half a checkpoint.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path | KeptCheckpoint,
        storage_options: Any | None = None,
    ) -> None:
        """Write a checkpoint so that the one before stays usable until this one is whole.

        Given memory in place of a path, it is kept there.
        """
        if isinstance(path, KeptCheckpoint):
            path.keep(checkpoint)
            return
        content = io.BytesIO()
        torch.save(checkpoint, content)
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, content.getbuffer())

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read a checkpoint without running code that it may hold."""
        checkpoint: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
        return checkpoint


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

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the epoch in memory; write it where it is time."""
        trainer.save_checkpoint(cast(Any, self._kept))  # `WholeCheckpointIO` keeps it there
        if (trainer.current_epoch + 1) % EPOCHS_BETWEEN_WRITES == 0:
            self._write(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the last epoch."""
        self._write(trainer)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Write the last finished epoch, whatever ended the training, unless the disk did."""
        with contextlib.suppress(OSError):
            self._write(trainer)

    def _write(self, trainer: Trainer) -> None:
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
