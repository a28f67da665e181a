"""The ways to train one network on the same knees from the same weights, an epoch at a time.

Each runs in a process of its own and waits at a `Gate` before every epoch, so that `training.py`
can let them go in turn.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

import djd.models.networks as networks
import djd.runs.fit as fit
from bench.gates import EpochGate, Gate, NoMoreTurns, Task
from bench.plain import Plain, plain_loop, plain_recipe, training_knees
from bench.products import products_loop
from bench.recipes import order_of, our_classifier, prepared, seeds_of, steps_of
from bench.usual import usual_loop
from djd.data.datamodule import KneeDataModule
from djd.machine import keep_freed_memory
from djd.runs.config import RunConfig

SMALL_RATE = 0.001
"""Of the steps whose losses are compared."""


def our_loop(gate: Gate) -> None:
    """`fit_network` as it is: Lightning, metrics, TensorBoard, checkpoints, progress."""
    keep_freed_memory()
    built = fit.build_trainer

    def gated(config: RunConfig, folder: Path, callbacks: list[Callback], **named: Any) -> Any:
        gates = [*callbacks, EpochGate(gate, steps_of(config))]
        return built(config, folder, gates, **named)

    vars(fit)["build_trainer"] = gated
    with prepared(gate.task) as (ready, _):
        fit.fit_network(ready)


def our_loop_on_layers(gate: Gate) -> None:
    """The same without compiled passes."""
    vars(networks)["FUSED"] = False
    our_loop(gate)


PLAIN, USUAL, LAYERS, OURS, PRODUCTS = (
    "a plain PyTorch loop",
    "the usual Lightning way",
    "ours on plain layers",
    "ours",
    "its products alone",
)
LOOPS: dict[str, Callable[[Gate], None]] = {
    PLAIN: plain_loop,
    USUAL: usual_loop,
    LAYERS: our_loop_on_layers,
    OURS: our_loop,
    PRODUCTS: products_loop,
}


def serve(name: str, task: Task, connection: Connection) -> None:
    """In a process of its own: run a loop until all its epochs are done."""
    warnings.simplefilter("ignore")
    with contextlib.suppress(NoMoreTurns):
        LOOPS[name](Gate(connection, task))


# ---- The numbers ----


def serve_differences(task: Task, connection: Connection) -> None:
    """In a process of its own: `largest_difference` of (dtype, steps), whenever asked."""
    while asked := connection.recv():
        connection.send(largest_difference(task, *asked))


def largest_difference(task: Task, dtype: torch.dtype, steps: int) -> float:
    """Between the losses of the plain network and ours over the first steps."""
    with prepared(task) as (ready, datamodule):
        plain = plain_recipe(task.recipe, ready.config)
        losses: list[list[float]] = []
        for network in (plain.network, our_classifier(ready.config).network):
            network.to(dtype)
            optimizer = torch.optim.SGD(network.parameters(), lr=SMALL_RATE)
            batches = first_batches(plain, datamodule, steps)
            taken = [take_step(plain, network, optimizer, x.to(dtype), y) for x, y in batches]
            losses.append(taken)
    theirs, ours = losses
    return max(abs(one - other) for one, other in zip(theirs, ours, strict=True))


def first_batches(
    plain: Plain, datamodule: KneeDataModule, steps: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and grades of the first steps."""
    knees, generator, left = training_knees(plain, datamodule), torch.Generator(), steps
    for seed in seeds_of(plain.config):
        generator.manual_seed(seed)
        for chosen in torch.split(order_of(seed), plain.config.data.batch_size):
            if not left:
                return
            left -= 1
            crops, grades = knees[chosen]
            yield plain.inputs(crops, generator), grades


def take_step(
    plain: Plain, network: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor
) -> float:
    """One step's loss."""
    torch.manual_seed(0)  # dropout leaves out the same features
    optimizer.zero_grad()
    loss = plain.loss_of(network(x), y)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.item())
