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
    """

    def __init__(self) -> None:
        self._checkpoint: dict[str, Any] | None = None

    def keep(self, checkpoint: dict[str, Any]) -> None:
        """Copy it, all but what callbacks told of themselves, which they don't change any more."""
        told = checkpoint.get("callbacks", {})
        rest = {name: value for name, value in checkpoint.items() if name != "callbacks"}
        self._checkpoint = copy.deepcopy(rest) | {"callbacks": told}

    def take(self) -> dict[str, Any] | None:
        """What was kept last; None where nothing was since it was taken."""
        taken, self._checkpoint = self._checkpoint, None
        return taken


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
