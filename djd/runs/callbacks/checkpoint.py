"""Checkpoints written whole or not at all."""

import copy
import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from djd.files import write_whole


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
        self,
        path: str | Path,
        map_location: Any = "cpu",
        weights_only: bool | None = True,
    ) -> dict[str, Any]:
        """Read a checkpoint without running code that it may hold."""
        checkpoint: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
        return checkpoint
