"""Checkpoints written whole or not at all."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from djd.files import write_whole


class WholeCheckpointIO(TorchCheckpointIO):
    """Writes beside the file, to the disk, then renames.

    Lightning's own goes through the system's temporary folder; where that is another disk, the file
    is copied into its place and a kill in the middle leaves half a checkpoint.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path | io.BytesIO,
        storage_options: Any | None = None,
    ) -> None:
        """Write a checkpoint so that the one before stays usable until this one is whole.

        Given memory in place of a path, it is written there.
        """
        content = path if isinstance(path, io.BytesIO) else io.BytesIO()
        torch.save(checkpoint, content)
        if isinstance(path, io.BytesIO):
            return
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
