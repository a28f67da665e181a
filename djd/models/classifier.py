"""The LightningModule: one shared step, scored once an epoch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from djd.data.datamodule import Batch
from djd.models.networks import KneeCNN
from djd.models.optimizers import build_optimizer
from djd.statistics.metrics import confusion_counts, quadratic_kappa

Stage = Literal["train", "validation", "test"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one pass over one part gave.

    Attributes:
        loss: Mean loss a knee.
        grades: int64 (knee,), true grades 0 to 4.
        probabilities: float64 (knee, grade 5), 0 to 1, rows sum to 1.
        knees: int64 (knee,), indices into the cohort's knees.
    """

    loss: float
    grades: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    knees: NDArray[np.int64]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Most probable grade of each knee, int64 (knee,)."""
        predicted: NDArray[np.int64] = self.probabilities.argmax(axis=1)
        return predicted

    @property
    def counts(self) -> NDArray[np.int64]:
        """Confusion counts, int64 (true grade 5, predicted grade 5)."""
        return confusion_counts(self.grades, self.predicted)


class Tally:
    """Gathers a pass step by step without waiting for the device; read out once at its end."""

    def __init__(self) -> None:
        self._steps: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, logits: Tensor, batch: Batch) -> None:
        """Keep one step's logits and knees."""
        self._steps.append((logits.detach(), batch["grade"], batch["knee"]))

    def collect(self, loss: nn.Module) -> Outcome | None:
        """The pass so far, and start anew; None where there was no step."""
        if not self._steps:
            return None
        logits, grades, knees = (torch.cat(column) for column in zip(*self._steps, strict=True))
        self._steps = []
        return Outcome(
            loss=float(loss(logits, grades)),
            grades=grades.cpu().numpy(),
            probabilities=logits.cpu().double().softmax(dim=1).numpy(),
            knees=knees.cpu().numpy(),
        )


class GradeClassifier(lightning.LightningModule):
    """A knee-grade network under training.

    All arguments are plain values, so that a checkpoint rebuilds the module by itself.

    Args:
        network: Arguments of `KneeCNN`.
        optimizer: Arguments of `build_optimizer`: target, learning_rate, arguments.
        class_weights: Weight of each grade in the cross entropy; None weighs all knees equally.
        cosine_epochs: Epochs over which the rate falls to zero along a half cosine; None keeps it.

    Attributes:
        outcomes: The last finished pass of each stage.
        tested_epoch: Epochs that the weights were trained for, once `take_epoch` has said it.
    """

    def __init__(
        self,
        network: Mapping[str, Any],
        optimizer: Mapping[str, Any],
        class_weights: Sequence[float] | None = None,
        cosine_epochs: int | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.network = KneeCNN(**network)
        self.loss = nn.CrossEntropyLoss(torch.tensor(class_weights) if class_weights else None)
        self.outcomes: dict[Stage, Outcome] = {}
        self.tested_epoch: int | None = None
        self._tallies: dict[Stage, Tally] = {
            "train": Tally(),
            "validation": Tally(),
            "test": Tally(),
        }

    def forward(self, crops: Tensor) -> Tensor:
        """Logits float32 (knee, grade 5) of crops float32 (knee, view, row, column)."""
        logits: Tensor = self.network(crops)
        # Under bfloat16 autocast the network gives bfloat16, which class weights refuse.
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    def take_epoch(self, checkpoint: Path, epoch: int) -> None:
        """Go back to the weights that were kept at an epoch."""
        kept = torch.load(checkpoint, map_location=self.device, weights_only=True)
        self.load_state_dict(kept["state_dict"])
        self.tested_epoch = epoch

    def configure_optimizers(self) -> Any:
        """The optimizer of the configuration, and the schedule of its rate where there is one."""
        optimizer = build_optimizer(self.parameters(), **self.hparams["optimizer"])
        if not self.hparams["cosine_epochs"]:
            return optimizer
        epochs = self.hparams["cosine_epochs"]
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
        return [optimizer], [schedule]

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Loss of one batch."""
        return self._step(batch, "train")

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Tally one batch."""
        self._step(batch, "validation")

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """Tally one batch."""
        self._step(batch, "test")

    def _step(self, batch: Batch, stage: Stage) -> Tensor:
        logits = self(batch["crop"])
        loss: Tensor = self.loss(logits, batch["grade"])
        self._tallies[stage].add(logits, batch)
        return loss

    def on_validation_epoch_end(self) -> None:
        """Read the pass out; its kappa is what the best checkpoint goes by, where one is kept."""
        self._finish("validation")
        outcome = self.outcomes.get("validation")
        if outcome and self._best_is_kept():  # logging takes Lightning 1 ms
            kappa = float(np.nan_to_num(quadratic_kappa(outcome.counts), nan=-1.0))
            self.log("validation/kappa", kappa, logger=False)

    def _best_is_kept(self) -> bool:
        checkpoints = self.trainer.checkpoint_callbacks
        return any(getattr(checkpoint, "monitor", None) for checkpoint in checkpoints)

    def finish_train_pass(self) -> None:
        """Read the training pass out; callbacks do it at each epoch's end before they read."""
        self._finish("train")

    def on_test_epoch_end(self) -> None:
        """Read the pass out."""
        self._finish("test")

    def _finish(self, stage: Stage) -> None:
        outcome = self._tallies[stage].collect(self.loss)
        if outcome is not None:
            self.outcomes[stage] = outcome
