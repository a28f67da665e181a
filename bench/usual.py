"""The recipes in the usual Lightning way: a DataLoader, torchmetrics, logging in each step."""

from collections.abc import Iterator
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchmetrics.classification import MulticlassAccuracy, MulticlassCohenKappa

from bench.gates import EpochGate, Gate
from bench.plain import Plain, plain_recipe
from bench.recipes import TRAIN_KNEES, order_of, prepared, seeds_of, steps_of
from djd.grades import GRADE_COUNT
from djd.runs.config import RunConfig


class KneeDataset(Dataset[tuple[Tensor, Tensor]]):
    """A knee at a time."""

    def __init__(self, crops: Tensor, grades: Tensor) -> None:
        self.crops, self.grades = crops.numpy(), grades.numpy()

    def __len__(self) -> int:
        return len(self.grades)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return torch.as_tensor(self.crops[index]), torch.as_tensor(self.grades[index])


class UsualModule(lightning.LightningModule):
    """Metrics objects that are updated and logged in each step."""

    def __init__(self, plain: Plain, steps: int, generator: torch.Generator) -> None:
        super().__init__()
        self.plain, self.network = plain, plain.network
        assert isinstance(plain.loss, nn.Module)
        self.loss = plain.loss
        self.steps, self.generator = steps, generator
        self.metrics = nn.ModuleDict()
        for stage in ("train", "val"):
            self.metrics[f"{stage}_accuracy"] = MulticlassAccuracy(GRADE_COUNT, average="micro")
            self.metrics[f"{stage}_kappa"] = MulticlassCohenKappa(GRADE_COUNT, weights="quadratic")

    def step(self, x: Tensor, y: Tensor, stage: str) -> Tensor:
        """Loss of a batch; everything is logged."""
        outputs = self.network(x)
        loss = self.plain.loss_of(outputs, y)
        on_step = stage == "train"
        self.log(f"{stage}/loss", loss, on_step=on_step, on_epoch=True, prog_bar=True)
        for name in ("accuracy", "kappa"):
            metric = self.metrics[f"{stage}_{name}"]
            metric(self.plain.probabilities(outputs.detach()), y)
            self.log(f"{stage}/{name}", metric, on_step=on_step, on_epoch=True, prog_bar=True)  # type: ignore[arg-type]
        return loss

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Loss of a batch, augmented on its device."""
        return self.step(self.plain.inputs(batch[0], self.generator), batch[1], "train")

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        """Log a batch; its crops are ready."""
        crops = batch[0]
        self.step(crops.flatten(0, 1)[:, None] if self.plain.views > 1 else crops, batch[1], "val")

    def configure_optimizers(self) -> Any:
        """The recipe's."""
        optimizer, schedule = self.plain.optimizer(self.steps)
        if schedule is None:
            return optimizer
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


class EpochOrder:
    """A sampler that gives each epoch its own order, and seeds what the epoch draws."""

    def __init__(self, config: RunConfig, generator: torch.Generator) -> None:
        self._seeds = seeds_of(config)
        self._generator = generator

    def __len__(self) -> int:
        return TRAIN_KNEES

    def __iter__(self) -> Iterator[int]:
        seed = next(self._seeds)
        torch.manual_seed(seed)
        self._generator.manual_seed(seed)
        return iter(order_of(seed).tolist())


def usual_loop(gate: Gate) -> None:
    """Dataset, DataLoader, torchmetrics and logging in each step, a bar, a checkpoint an epoch."""
    task = gate.task
    with prepared(task) as (ready, datamodule):
        config = ready.config
        plain = plain_recipe(task.recipe, config)
        generator = torch.Generator("cuda" if task.device == "cuda" else "cpu")
        loaders = {}
        for part in ("train", "validation"):
            raw = part == "train" and plain.augment is not None
            batch = datamodule.batch_of(getattr(datamodule.parts, part), raw=raw)
            dataset = KneeDataset(batch["crop"].contiguous(), batch["grade"])
            sampler = EpochOrder(config, generator) if part == "train" else None
            loaders[part] = DataLoader(dataset, config.data.batch_size, sampler=sampler)
        trainer = lightning.Trainer(
            accelerator="gpu" if task.device == "cuda" else "cpu",
            devices=1,
            max_epochs=config.trainer.max_epochs,
            callbacks=[ModelCheckpoint(save_top_k=-1), EpochGate(gate, steps_of(config))],
            default_root_dir=ready.folder,
            log_every_n_steps=1,
        )
        steps = steps_of(config) * config.trainer.max_epochs
        module = UsualModule(plain, steps, generator)
        trainer.fit(module, loaders["train"], loaders["validation"])
