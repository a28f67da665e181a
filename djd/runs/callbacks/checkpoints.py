"""Checkpoints of the last finished epoch, in files written whole or not at all."""

import contextlib
import io
from pathlib import Path
from typing import Any, cast

import torch
from lightning import LightningModule, Trainer
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from djd.errors import InputError
from djd.files import is_there, read_bytes, write_whole
from djd.heartbeats import was_lost
from djd.runs.folder import earlier_version
from djd.runs.result import RESULTS_VERSION

EPOCHS_BETWEEN_WRITES = 5
"""Most epochs that a killed process loses."""


class KeptCheckpoint:
    """A copy of a checkpoint in memory; `held` is None where there is none.

    Writing a network of depth 1 and its optimizer as bytes takes eight milliseconds and, as the
    tables in the checkpoint grow, more with each epoch (2026-11-25, two-core x86-64).
    """

    def __init__(self) -> None:
        self.held: dict[str, Any] | None = None

    def keep(self, checkpoint: dict[str, Any]) -> None:
        """Copy a checkpoint; the recorder's lists are new at each epoch and stay as they are."""
        states = {
            name: {
                key: value if isinstance(value, list) else _copied(value)
                for key, value in state.items()
            }
            for name, state in checkpoint.get("callbacks", {}).items()
        }
        self.held = _copied(checkpoint | {"callbacks": {}}) | {"callbacks": states}


def _copied(value: Any) -> Any:
    """Tensors and the dicts and lists above them anew: 0.1 ms where `copy.deepcopy` takes 0.9."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else value


class WholeCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its file, then renames.

    Lightning writes in the system's temporary folder and copies the file; a kill during a copy
    from another disk leaves half a checkpoint.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path | KeptCheckpoint,
        storage_options: Any | None = None,
    ) -> None:
        """Write a checkpoint to a path, or keep it in memory."""
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
        """Read a checkpoint; code in it never runs."""
        content = io.BytesIO(read_bytes(Path(path)))
        return dict(torch.load(content, map_location=map_location, weights_only=True))


class LastEpoch(Checkpoint):
    """Keeps the checkpoint from which a stopped training goes on; the last of all callbacks.

    Only ends of epochs are kept: a training resumed within an epoch would get wrong batches.
    Lightning calls checkpoint callbacks after all others, whose states are then complete.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept = KeptCheckpoint()

    def state_dict(self) -> dict[str, Any]:
        """The version by which `finished_epochs` knows a training of this software."""
        return {"results_version": RESULTS_VERSION}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the epoch in memory, and write each `EPOCHS_BETWEEN_WRITES`-th."""
        trainer.save_checkpoint(cast(Any, self._kept))  # `WholeCheckpointIO` keeps it there
        if (trainer.current_epoch + 1) % EPOCHS_BETWEEN_WRITES == 0:
            self._write(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the last epoch."""
        self._write(trainer)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Write the last finished epoch, if the disk allows and the folder is this process's."""
        if not was_lost():
            with contextlib.suppress(OSError):
                self._write(trainer)

    def _write(self, trainer: Trainer) -> None:
        if self._kept.held:
            trainer.strategy.checkpoint_io.save_checkpoint(self._kept.held, self.path)
            self._kept.held = None  # only now: a failed write may be repeated


def finished_epochs(path: Path) -> int:
    """The epochs of a `LastEpoch` file, or 0.

    Raises:
        InputError: The file is damaged, or of another `RESULTS_VERSION`.
    """
    if not is_there(path):
        return 0
    content = io.BytesIO(read_bytes(path))
    try:
        kept = torch.load(content, map_location="cpu", weights_only=True)
        epochs, state = int(kept["epoch"]) + 1, kept["callbacks"].get(LastEpoch.__name__, {})
    except Exception as error:
        raise InputError(
            f"{path}: expected the checkpoint of a stopped training, received a damaged file; "
            "delete it to train from the start"
        ) from error
    if state.get("results_version") != RESULTS_VERSION:
        raise InputError(earlier_version(path))
    return epochs
