"""Which weights stay once a comparison has ended."""

import shutil
from collections.abc import Iterable

from djd.runs.config import Keep
from djd.runs.folder import epoch_checkpoint
from djd.sweeps.cells import FinishedCell
from djd.sweeps.settings import Setting


def drop_weights(finished: Iterable[FinishedCell], *, keep: Keep, best: Setting | None) -> None:
    """Remove the weights of finished cells, apart from those that are to be kept.

    Args:
        finished: The cells.
        keep: `winner` keeps the best setting's folds at its epoch, `none` nothing, `all` all.
        best: The setting that validation chose; without one nothing is removed.
    """
    if keep == "all" or best is None:
        return
    kept = {cell.folder for cell in best.cells} if keep == "winner" else set()
    for cell in finished:
        folder = cell.folder
        if folder not in kept:
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
            continue
        for checkpoint in (folder / "checkpoints").glob("*.ckpt"):
            if checkpoint != epoch_checkpoint(folder, best.epochs):
                checkpoint.unlink(missing_ok=True)
