"""The LightningModule: one shared step, scored once an epoch."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from djd.data.crop import CROP_SIZE
from djd.data.datamodule import EXTRA_INPUTS, Batch, inputs_of
from djd.models.build import Spec, build_loss, build_network, build_optimizer, build_schedule
from djd.models.losses import Loss
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

    def add(self, outputs: Tensor, batch: Batch) -> None:
        """Keep one step's outputs and knees."""
        self._steps.append((outputs.detach(), batch["grade"], batch["knee"]))

    @torch.no_grad()  # a loss may have parameters of its own
    def collect(self, loss: Loss) -> Outcome | None:
        """The pass so far, and start anew; None where there was no step."""
        if not self._steps:
            return None
        outputs, grades, knees = (torch.cat(column) for column in zip(*self._steps, strict=True))
        self._steps = []
        return Outcome(
            loss=float(loss(outputs, grades)),
            grades=grades.cpu().numpy(),
            probabilities=loss.probabilities(_exact(outputs)).cpu().double().numpy(),
            knees=knees.cpu().numpy(),
        )


def _exact(outputs: Tensor) -> Tensor:
    """The outputs in double, where the device knows it."""
    return outputs if outputs.device.type == "mps" else outputs.double()


class GradeClassifier(lightning.LightningModule):
    """A knee-grade network under training.

    All arguments are plain values, so that a checkpoint rebuilds the module by itself.

    Args:
        network: Values of `conf/model`; see `build_network`.
        loss: Values of `conf/loss`; see `build_loss`.
        optimizer: Values of `conf/optim` without rate and schedule; see `build_optimizer`.
        learning_rate: Base rate times factor.
        schedule: See `build_schedule`.
        epochs: Epochs of the training.
        views: Views in a crop.
        pixels: Rows and columns of a crop.
        class_weights: Weight of each grade in the loss; None weighs all knees equally.

    Attributes:
        outcomes: The last finished pass of each stage.
        tested_epoch: Epochs that the weights were trained for, once `take_epoch` has said it.
    """

    def __init__(
        self,
        network: Spec,
        loss: Spec,
        optimizer: Spec,
        *,
        learning_rate: float,
        schedule: str | Spec,
        epochs: int,
        views: int,
        pixels: int = CROP_SIZE,
        class_weights: list[float] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.loss = build_loss(loss, class_weights=class_weights)
        self.network = build_network(network, views=views, pixels=pixels, outputs=self.loss.outputs)
        self.inputs = extra_inputs(self.network)
        self.outcomes: dict[Stage, Outcome] = {}
        self.tested_epoch: int | None = None
        self._tallies: dict[Stage, Tally] = {
            "train": Tally(),
            "validation": Tally(),
            "test": Tally(),
        }

    def forward(self, crops: Tensor, **inputs: Tensor) -> Tensor:
        """Outputs float32 (knee, output) of crops float32 (knee, view, row, column).

        Args:
            crops: As the network sees them.
            inputs: What else the network's `forward` takes, see `extra_inputs`.
        """
        outputs: Tensor = self.network(crops, **inputs)
        # Under bfloat16 autocast the network gives bfloat16, which class weights refuse.
        return outputs.to(torch.promote_types(outputs.dtype, torch.float32))

    @property
    def versions(self) -> dict[str, str]:
        """What the network says of its own layers, where it does."""
        trained_with = getattr(self.network, "trained_with", None)
        return {"blocks": trained_with} if trained_with else {}

    def take_epoch(self, checkpoint: Path, epoch: int) -> None:
        """Go back to the weights that were kept at an epoch."""
        kept = torch.load(checkpoint, map_location=self.device, weights_only=True)
        self.load_state_dict(kept["state_dict"])
        self.tested_epoch = epoch

    def configure_optimizers(self) -> Any:
        """The optimizer, and the schedule of its rate where the rate changes."""
        given = self.hparams
        optimizer = build_optimizer(
            self.parameters(), given["optimizer"], learning_rate=given["learning_rate"]
        )
        schedule = build_schedule(optimizer, given["schedule"], epochs=given["epochs"])
        return ([optimizer], [schedule]) if schedule else optimizer

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
        outputs = self(batch["crop"], **inputs_of(batch, self.inputs))
        loss: Tensor = self.loss(outputs, batch["grade"])
        self._tallies[stage].add(outputs, batch)
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
        """Read the training pass out; callbacks do so at each epoch's end before they read."""
        self._finish("train")

    def on_test_epoch_end(self) -> None:
        """Read the pass out."""
        self._finish("test")

    def _finish(self, stage: Stage) -> None:
        outcome = self._tallies[stage].collect(self.loss)
        if outcome is not None:
            self.outcomes[stage] = outcome


def extra_inputs(network: nn.Module) -> tuple[str, ...]:
    """Which of `EXTRA_INPUTS` the network's `forward` names."""
    named = inspect.signature(network.forward).parameters
    return tuple(name for name in EXTRA_INPUTS if name in named)
