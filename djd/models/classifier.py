"""The LightningModule: one shared step, scored once an epoch."""

import inspect
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import lightning
import numpy as np
import torch
from lightning.pytorch.plugins import Precision
from numpy.typing import NDArray
from torch import Tensor, nn

from djd.data.crop import CROP_SIZE
from djd.data.datamodule import EXTRA_INPUTS, Batch, WholeEpochs, inputs_of
from djd.files import read_bytes
from djd.grades import GRADE_COUNT
from djd.models.build import (
    EACH_STEP,
    Spec,
    build_loss,
    build_network,
    build_optimizer,
    build_schedule,
)
from djd.statistics.deciding import Decision
from djd.statistics.held_out import GradedKnees
from djd.statistics.metrics import quadratic_kappa

Stage = Literal["train", "validation", "test"]

LEAST_ROOM = 1024
"""Rows of a pass that has fewer."""


class GradeClassifier(lightning.LightningModule):
    """A knee-grade network under training.

    All arguments are plain values, so that a checkpoint rebuilds the module by itself. `network`,
    `loss`, `optimizer` and `schedule` are values of `conf/`, see `djd.models.build`.

    Args:
        learning_rate: Base rate times factor.
        warmup: Epochs in which the rate rises linearly to that of the schedule.
        epochs: Epochs of the training.
        gradient_clip_val: Largest norm of all gradients of a step; None for any.
        views: Views in a crop of the network's.
        each_view: Whether the network grades each view of a knee by itself, as a sample. A knee's
            probabilities are the means over its views.
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
        warmup: int = 0,
        epochs: int,
        gradient_clip_val: float | None = None,
        views: int,
        each_view: bool = False,
        pixels: int = CROP_SIZE,
        class_weights: list[float] | None = None,
        decision: Spec | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)
        self.automatic_optimization = False  # see `training_step`
        self.loss = build_loss(loss, class_weights=class_weights)
        self.network = build_network(network, views=views, pixels=pixels, outputs=self.loss.outputs)
        self.inputs = extra_inputs(self.network)
        self.decision = Decision(**decision or {})
        self.outcomes: dict[Stage, GradedKnees] = {}
        self.tested_epoch: int | None = None
        self._warmup_steps = 0
        # Outputs, grades and knees of the steps so far: the device is not waited for.
        self._steps: dict[Stage, dict[str, _Rows]] = defaultdict(partial(defaultdict, _Rows))

    def forward(self, crops: Tensor, **inputs: Tensor) -> Tensor:
        """Outputs float32 (sample, output) of crops float32 (knee, view, row, column).

        A sample is a knee or, with `each_view`, a view: those of a knee follow each other.
        """
        crops, inputs = self.samples(crops, inputs)
        outputs: Tensor = self.network(crops, **inputs)
        # Under bfloat16 autocast the network gives bfloat16, which class weights refuse.
        return outputs.to(torch.promote_types(outputs.dtype, torch.float32))

    def samples(
        self, crops: Tensor, inputs: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Crops and other inputs of the network's samples, of those of knees; see `forward`."""
        if not self.hparams["each_view"]:
            return crops, dict(inputs)
        views = crops.shape[1]
        apart = {name: _apart(value, views) for name, value in inputs.items()}
        return _apart(crops, views), apart

    def probabilities(self, outputs: Tensor, knees: int) -> Tensor:
        """(knee, grade 5) of the outputs (sample, output) of so many knees."""
        return self.loss.probabilities(outputs).reshape(knees, -1, GRADE_COUNT).mean(dim=1)

    def exact_probabilities(self, outputs: Tensor, knees: int) -> NDArray[np.float64]:
        """The same in double precision, before the decision's temperature."""
        exact = outputs if outputs.device.type == "mps" else outputs.double()  # mps has no double
        return self.probabilities(exact, knees).cpu().double().numpy()

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
        given, steps = self.hparams, 0
        if given["warmup"] or given["schedule"] == EACH_STEP:
            # The call sets up the loader. An item of it is an epoch.
            epochs = int(self.trainer.estimated_stepping_batches)
            steps = epochs * len(cast(WholeEpochs, self.trainer.train_dataloader).batches)
        make = partial(
            build_optimizer, spec=given["optimizer"], learning_rate=given["learning_rate"]
        )
        optimizer = make(self.parameters())
        own = list(self.loss.parameters()) if isinstance(self.loss, nn.Module) else []
        if own and optimizer.defaults.get("weight_decay"):  # which would pull cuts to zero
            groups: list[dict[str, Any]] = [{"params": list(self.network.parameters())}]
            optimizer = make([*groups, {"params": own, "weight_decay": 0.0}])
        self._warmup_steps = given["warmup"] * steps // given["epochs"]
        schedule = build_schedule(optimizer, given["schedule"], epochs=given["epochs"], steps=steps)
        return ([optimizer], [schedule]) if schedule else optimizer

    @property
    def learning_rate(self) -> float:
        """The rate of the next step."""
        return float(self.trainer.optimizers[0].param_groups[0]["lr"]) * self._warmed

    @property
    def _warmed(self) -> float:
        """The share of the schedule's rate that the next step has."""
        return min(1.0, (self.trainer.global_step + 1) / max(1, self._warmup_steps))

    def training_step(self, batches: Iterable[Batch], index: int) -> None:
        """Train on all batches of an epoch.

        Lightning takes half a millisecond an item of its loader, an eighth of a step of the default
        recipe (two-core x86-64 with AVX-512, 2026-11-30). So an item is an epoch.
        """
        optimizer: Any = self.optimizers()
        schedule: Any = self.lr_schedulers()
        each_step = self.hparams["schedule"] == EACH_STEP
        for batch in batches:
            with self._warming_up(optimizer):
                self.train_on(batch, optimizer, self.trainer.precision_plugin)
            if schedule and each_step:
                schedule.step()
        if schedule and not each_step:
            schedule.step()

    def train_on(
        self, batch: Batch, optimizer: torch.optim.Optimizer, precision: Precision
    ) -> Tensor:
        """Loss of one batch, by whose gradients the optimizer has stepped.

        Some optimizers, such as LBFGS, need several losses and gradients a step; the last counts.
        """
        losses: list[Tensor] = []

        def find_gradients() -> Tensor:
            with precision.forward_context():
                loss = self._step(batch, "train")
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if self.hparams["gradient_clip_val"] is not None:
                nn.utils.clip_grad_norm_(self.parameters(), self.hparams["gradient_clip_val"])
            losses.append(loss.detach())
            return loss

        # The step's return value is not used: an optimizer of one's own may return nothing.
        cast(Any, optimizer).step(find_gradients)
        return losses[-1]

    @contextmanager
    def _warming_up(self, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """The optimizer with a part of the schedule's rate while the training warms up.

        The schedule never sees the part, so that any schedule can be warmed up.
        """
        if not self._warmup_steps:
            yield
            return
        groups, warmed = optimizer.param_groups, self._warmed
        rates = [group["lr"] for group in groups]
        for group in groups:
            group["lr"] = group["lr"] * warmed
        yield
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Tally one batch."""
        self._step(batch, "validation")

    def test_step(self, batch: Batch, batch_index: int) -> None:
        """Tally one batch."""
        self._step(batch, "test")

    def _step(self, batch: Batch, stage: Stage) -> Tensor:
        outputs = self(batch["crop"], **inputs_of(batch, self.inputs))
        loss = self._loss(outputs, batch["grade"])
        for name, rows in (
            ("outputs", outputs),
            ("grades", batch["grade"]),
            ("knees", batch["knee"]),
        ):
            self._steps[stage][name].add(rows.detach())
        return loss

    def _loss(self, outputs: Tensor, grades: Tensor) -> Tensor:
        """Loss of outputs (sample, output) by grades int64 (knee,): a knee's views share one."""
        if self.hparams["each_view"]:
            grades = grades.repeat_interleave(len(outputs) // len(grades))
        loss: Tensor = self.loss(outputs, grades)
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
        outputs, grades, knees = (steps[name].rows for name in ("outputs", "grades", "knees"))
        mean = float(self._loss(outputs, grades))
        shares = self.exact_probabilities(outputs, len(grades))
        self.outcomes[stage] = GradedKnees(
            knees.cpu().numpy(),
            grades.cpu().numpy(),
            self.decision.calibrated(shares),
            loss=mean,
            decision=self.decision,
        )


class _Rows:
    """Rows of all batches of a pass in one tensor, which grows.

    A small tensor kept of each batch would take the place of a large one, so that the next batch
    finds none of its size: after 400 batches of 64 knees at 128 x 128 pixels the process held 1.3
    GB more, and holds 0.05 GB so (glibc 2.36, 2026-11-30).
    """

    def __init__(self) -> None:
        self._count = 0
        self._kept: Tensor | None = None

    @property
    def rows(self) -> Tensor:
        """All rows, (row, ...)."""
        assert self._kept is not None
        return self._kept[: self._count]

    def add(self, rows: Tensor) -> None:
        """Add those of a batch."""
        end = self._count + len(rows)
        if self._kept is None or end > len(self._kept):
            larger = rows.new_empty((max(2 * end, LEAST_ROOM), *rows.shape[1:]))
            if self._kept is not None:
                larger[: self._count] = self.rows
            self._kept = larger
        self._kept[self._count : end] = rows
        self._count = end


def extra_inputs(network: nn.Module) -> tuple[str, ...]:
    """Which of `EXTRA_INPUTS` the network uses: its `inputs`, else those that `forward` names."""
    named: Any = getattr(network, "inputs", None)
    if not isinstance(named, tuple):
        named = inspect.signature(network.forward).parameters
    return tuple(name for name in EXTRA_INPUTS if name in named)


def _apart(values: Tensor, views: int) -> Tensor:
    """An input of knees as that of their views: crops, measures of each view, or one for both."""
    if values.dim() == 1:
        return values.repeat_interleave(views)
    return values.reshape(values.shape[0] * views, -1, *values.shape[2:])
