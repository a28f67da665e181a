"""What TensorBoard shows of one training in numbers and text; see `pictures` for the rest."""

from typing import cast

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard.writer import SummaryWriter

from djd.training.config import RunConfig
from djd.training.record import EpochRecorder


class Dashboard(Callback):
    """Writes scalars once an epoch, and the configuration as text.

    Args:
        config: Shown as text.
        recorder: Comes before this one among the callbacks; its rows are the scalars.
    """

    def __init__(self, config: RunConfig, recorder: EpochRecorder) -> None:
        self.config = config
        self.recorder = recorder
        self.stamp = config.stamp(phantom=recorder.cohort.phantom)

    def on_fit_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Show what is trained, and on what, unless an earlier start of the training did."""
        if self.recorder.rows:
            return
        text = self.config.as_yaml()
        writer = _writer(trainer)
        stamp = f"**{self.stamp}**. " if self.stamp else ""
        writer.add_text("about", f"{stamp}Research use only, not a medical device.")
        writer.add_text("config", "    " + text.replace("\n", "\n    "))

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Log the epoch's row."""
        row = self.recorder.rows[-1]
        epoch = int(row["epoch"])
        writer = _writer(trainer)
        for name, value in row.items():
            if name not in ("epoch", "seconds") and not np.isnan(value):
                writer.add_scalar(_tag(name), value, epoch)


def _tag(name: str) -> str:
    """`validation_kappa` to `kappa/validation`, so that both parts share a chart's group."""
    stage, _, score = name.partition("_")
    return f"{score}/{stage}" if stage in ("train", "validation") else name


def _writer(trainer: lightning.Trainer) -> SummaryWriter:
    writer: SummaryWriter = cast(TensorBoardLogger, trainer.logger).experiment
    return writer
