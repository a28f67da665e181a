"""The recipes in plain PyTorch, as a person would write them: the reference of all speeds."""

import copy
import time
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset

from bench.gates import Epoch, Gate, synchronize
from bench.recipes import DEFAULT, order_of, our_classifier, prepared, seeds_of
from djd.data.augment import scintigraphy
from djd.data.datamodule import KneeDataModule, Prepare, scaled
from djd.grades import GRADE_COUNT
from djd.models.losses import CrossEntropy, Loss
from djd.runs.config import RunConfig


class StudyCNN(nn.Module):
    """The study's network, with its depth as a parameter."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.layers = plain_blocks([1, *(16 * 2**block for block in range(depth))])
        side = 128 // 2**depth
        width = 16 * 2 ** (depth - 1)
        self.fc_layers = nn.Sequential(nn.Linear(side * side * width, GRADE_COUNT), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Logits of crops."""
        x = self.layers(x)
        logits: Tensor = self.fc_layers(x.view(x.size(0), -1))
        return logits


class PooledLayers(nn.Module):
    """Today's network in plain layers: mean and maximum of the last map, dropout, linear."""

    def __init__(self, depth: int, width: int, dropout: float, outputs: int) -> None:
        super().__init__()
        widths = [1, *(width * 2**block for block in range(depth))]
        self.layers = plain_blocks(widths)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * widths[-1], outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of crops."""
        x = self.layers(x)
        outputs: Tensor = self.head(torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1))
        return outputs


def plain_blocks(channels: list[int]) -> nn.Sequential:
    """Blocks in the order of the study."""
    return nn.Sequential(
        *(
            nn.Sequential(
                nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1),
                nn.BatchNorm2d(channels_out),
                nn.ReLU(),
                nn.MaxPool2d(2),
            )
            for channels_in, channels_out in pairwise(channels)
        )
    )


@dataclass(eq=False)
class Plain:
    """A recipe in plain PyTorch.

    Attributes:
        views: Views in a crop that are a sample each.
        augment: Changes raw counts; None for crops that are ready.
    """

    config: RunConfig
    network: nn.Module
    loss: Loss
    views: int = 1
    augment: Prepare | None = None

    def inputs(self, crops: Tensor, generator: torch.Generator) -> Tensor:
        """The network's input (sample, view, row, column) of crops of knees."""
        if self.augment:
            crops = scaled(self.augment(crops, generator), self.config.data.scaling)
        return crops.reshape(-1, crops.shape[1] // self.views, *crops.shape[2:])

    def loss_of(self, outputs: Tensor, grades: Tensor) -> Tensor:
        """Mean loss of outputs (sample, output) and grades (knee,)."""
        return self.loss(outputs, grades.repeat_interleave(self.views))

    def probabilities(self, outputs: Tensor) -> Tensor:
        """(knee, grade)."""
        return self.loss.probabilities(outputs).view(-1, self.views, GRADE_COUNT).mean(dim=1)

    def optimizer(self, steps: int) -> tuple[Optimizer, OneCycleLR | None]:
        """The optimizer, and the schedule of a training of so many steps."""
        rate = self.config.optim.learning_rate
        if not self.augment:
            return SGD(self.network.parameters(), lr=rate), None
        assert isinstance(self.loss, nn.Module)
        cuts: dict[str, Any] = {"params": list(self.loss.parameters()), "weight_decay": 0.0}
        optimizer = AdamW([{"params": list(self.network.parameters())}, cuts], lr=rate)
        rates = [rate, rate]
        return optimizer, OneCycleLR(optimizer, rates, total_steps=steps, cycle_momentum=False)


def plain_recipe(recipe: str, config: RunConfig) -> Plain:
    """A recipe with the weights that our own begins with."""
    ours, model = our_classifier(config), config.model.arguments
    if recipe == DEFAULT:
        loss = copy.deepcopy(ours.loss)
        network: nn.Module = PooledLayers(
            model["depth"], model["width"], model["dropout"], loss.outputs
        )
        augment = partial(scintigraphy, **config.augment.arguments)
        plain = Plain(config, network, loss, views=2, augment=augment)
    else:
        plain = Plain(config, StudyCNN(model["depth"]), CrossEntropy())
    with torch.no_grad():
        pairs = zip(plain.network.parameters(), ours.network.parameters(), strict=True)
        for theirs, mine in pairs:
            theirs.copy_(mine)
    return plain


def training_knees(plain: Plain, datamodule: KneeDataModule) -> TensorDataset:
    """Crops and grades; raw counts where the recipe augments."""
    whole = datamodule.batch_of(datamodule.parts.train, raw=plain.augment is not None)
    return TensorDataset(whole["crop"].contiguous(), whole["grade"])


def plain_loop(gate: Gate) -> None:
    """Plain PyTorch with its default settings, as the study's notebook has it."""
    task = gate.task
    with prepared(task) as (ready, datamodule):
        config, device = ready.config, torch.device(task.device)
        plain = plain_recipe(task.recipe, config)
        network, loss = plain.network.to(device), plain.loss
        if isinstance(loss, nn.Module):
            loss.to(device)
        knees, generator = training_knees(plain, datamodule), torch.Generator(device)
        steps = -(-len(knees) // config.data.batch_size)
        optimizer, schedule = plain.optimizer(steps * config.trainer.max_epochs)
        for seed in seeds_of(config):
            order = order_of(seed).tolist()
            torch.manual_seed(seed)
            generator.manual_seed(seed)
            loader = DataLoader(knees, config.data.batch_size, sampler=order)
            gate.wait()
            began = time.perf_counter()
            losses, correct = [], 0.0
            for x, y in loader:
                x, y = plain.inputs(x.to(device), generator), y.to(device)
                optimizer.zero_grad()
                outputs = network(x)
                value = plain.loss_of(outputs, y)
                value.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                if schedule:
                    schedule.step()
                losses.append(value.item())
                with torch.no_grad():
                    correct += (plain.probabilities(outputs).argmax(1) == y).sum().item()
            synchronize(task.device)
            seconds = time.perf_counter() - began
            gate.report(Epoch(seconds, steps, 0.0, seconds, tuple(losses)))
