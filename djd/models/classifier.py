"""The LightningModule: one shared step, scored once an epoch."""

import inspect
import io
from collections import defaultdict
from pathlib import Path
from typing import Any, Literal

import lightning
import numpy as np
import torch
from torch import Tensor, nn

from djd.data.crop import CROP_SIZE
from djd.data.datamodule import EXTRA_INPUTS, Batch, inputs_of
from djd.files import read_bytes
from djd.models.build import Spec, build_loss, build_network, build_optimizer, build_schedule
from djd.statistics.deciding import Decision
from djd.statistics.held_out import GradedKnees
from djd.statistics.metrics import quadratic_kappa

Stage = Literal["train", "validation", "test"]


class GradeClassifier(lightning.LightningModule):
    """A knee-grade network under training.

    All arguments are plain values, so that a checkpoint rebuilds the module by itself. `network`,
    `loss`, `optimizer` and `schedule` are values of `conf/`, see `djd.models.build`.

    Args:
        learning_rate: Base rate times factor.
        epochs: Epochs of the training.
        views: Views in a crop.
        pixels: Rows and columns of a crop.
        class_weights: Weight of each grade in the loss; None weighs all knees equally.
        decision: Values of a `Decision`.

    Attributes:
        outcomes: The last finished pass of each stage.
        tested_epoch: Epochs of training behind the weights, once `take_epoch` has set it.
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
        decision: Spec | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.loss = build_loss(loss, class_weights=class_weights)
        self.network = build_network(network, views=views, pixels=pixels, outputs=self.loss.outputs)
        self.inputs = extra_inputs(self.network)
        self.decision = Decision(**decision or {})
        self.outcomes: dict[Stage, GradedKnees] = {}
        self.tested_epoch: int | None = None
        # Outputs, grades and knees of the steps so far: the device is not waited for.
        self._steps: dict[Stage, list[tuple[Tensor, Tensor, Tensor]]] = defaultdict(list)

    def forward(self, crops: Tensor, **inputs: Tensor) -> Tensor:
        """Outputs float32 (knee, output) of crops float32 (knee, view, row, column)."""
        outputs: Tensor = self.network(crops, **inputs)
        # Under bfloat16 autocast the network gives bfloat16, which class weights refuse.
        return outputs.to(torch.promote_types(outputs.dtype, torch.float32))

    @property
    def versions(self) -> dict[str, str]:
        """Facts that the network reports of its own layers."""
        trained_with = getattr(self.network, "trained_with", None)
        return {"blocks": trained_with} if trained_with else {}

    def take_epoch(self, checkpoint: Path, epoch: int) -> None:
        """Go back to the weights that were kept at an epoch."""
        content = io.BytesIO(read_bytes(checkpoint))
        kept = torch.load(content, map_location=self.device, weights_only=True)
        self.load_state_dict(kept["state_dict"])
        self.tested_epoch = epoch

    def configure_optimizers(self) -> Any:
        """The optimizer, and the schedule of its rate where the rate changes."""
        given = self.hparams
        rate = given["learning_rate"]
        optimizer = build_optimizer(self.parameters(), given["optimizer"], learning_rate=rate)
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
        self._steps[stage].append((outputs.detach(), batch["grade"], batch["knee"]))
        return loss

    def on_validation_epoch_end(self) -> None:
        """Read the pass; its kappa chooses the best checkpoint, where one is kept."""
        self._finish("validation")
        outcome = self.outcomes.get("validation")
        checkpoints = self.trainer.checkpoint_callbacks
        best_is_kept = any(getattr(checkpoint, "monitor", None) for checkpoint in checkpoints)
        if outcome and best_is_kept:  # logging takes Lightning 1 ms
            kappa = float(np.nan_to_num(quadratic_kappa(outcome.counts), nan=-1.0))
            self.log("validation/kappa", kappa, logger=False)

    def finish_train_pass(self) -> None:
        """Read the training pass; callbacks do so at each epoch's end before they read outcomes."""
        self._finish("train")

    def on_test_epoch_end(self) -> None:
        """Read the pass."""
        self._finish("test")

    @torch.no_grad()  # a loss may have parameters of its own
    def _finish(self, stage: Stage) -> None:
        if not (steps := self._steps.pop(stage, None)):
            return
        outputs, grades, knees = (torch.cat(column) for column in zip(*steps, strict=True))
        mean = float(self.loss(outputs, grades))
        exact = outputs if outputs.device.type == "mps" else outputs.double()  # mps has no double
        shares = self.loss.probabilities(exact).cpu().double().numpy()
        self.outcomes[stage] = GradedKnees(
            knees.cpu().numpy(),
            grades.cpu().numpy(),
            self.decision.calibrated(shares),
            loss=mean,
            decision=self.decision,
        )


def extra_inputs(network: nn.Module) -> tuple[str, ...]:
    """Which of `EXTRA_INPUTS` the network's `forward` names."""
    named = inspect.signature(network.forward).parameters
    return tuple(name for name in EXTRA_INPUTS if name in named)
