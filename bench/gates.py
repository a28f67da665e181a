"""The places where loops of `training.py` wait for their turns, and the times of their epochs."""

import contextlib
import resource
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn


@dataclass(frozen=True)
class Task:
    """A training to measure.

    Attributes:
        recipe: A name of `bench.recipes.RECIPES`.
        batch_size: Knees a step; None takes the recipe's.
        rounds: Epochs of each loop; the first does not count.
    """

    recipe: str
    batch_size: int | None
    threads: int
    rounds: int
    device: str


class Epoch(NamedTuple):
    """Times of an epoch.

    Attributes:
        training: Seconds from the epoch's start to the end of its last step.
        steps: Number of its steps.
        validation: Seconds of its validation pass.
        seconds: From the epoch's start to the next one's.
        losses: Of each step.
    """

    training: float
    steps: int
    validation: float = 0.0
    seconds: float = 0.0
    losses: tuple[float, ...] = ()

    @property
    def step(self) -> float:
        """Mean seconds of a step, from its batch to the next one's."""
        return self.training / self.steps


class Footprint(NamedTuple):
    """Of a process at its end.

    Attributes:
        memory: Bytes held at most, or on the GPU.
        blocks: The network's own `versions`: compiled blocks or plain layers.
    """

    memory: int
    blocks: str


class NoMoreTurns(Exception):  # noqa: N818 # nothing went wrong
    """All epochs that were asked for are done."""


class Gate:
    """A loop's place to wait for its turn, and to report each epoch."""

    def __init__(self, connection: Connection, task: Task) -> None:
        self.task = task
        self.blocks = "plain layers"
        self._connection = connection
        self._left = task.rounds

    def wait(self) -> None:
        """Wait for this loop's turn.

        Raises:
            NoMoreTurns: No turn is left.
        """
        if not self._left:
            self._connection.send(Footprint(peak_memory(self.task.device), self.blocks))
            raise NoMoreTurns
        if self._left == self.task.rounds:
            forget_peak_memory(self.task.device)
        self._connection.recv()

    def report(self, epoch: Epoch) -> None:
        """Send the times of an epoch."""
        self._left -= 1
        self._connection.send(epoch)


class EpochGate(Callback):
    """Times a Lightning loop and makes it wait for its turn.

    A training step of Lightning may hold one batch or all batches of an epoch.
    """

    def __init__(self, gate: Gate, steps: int) -> None:
        self.gate = gate
        self.steps = steps
        self._losses: list[Tensor] = []
        self._began = self._trained = self._validation_began = self._validated = 0.0

    def on_fit_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Keep the losses of all training steps."""
        loss = pl_module.loss
        assert isinstance(loss, nn.Module)
        loss.register_forward_hook(self._keep)

    def _keep(self, _loss: nn.Module, _inputs: Any, value: Tensor) -> None:
        if torch.is_grad_enabled():
            self._losses.append(value.detach())

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Report the epoch before, which is over with all that belongs to it."""
        if self._losses:
            seconds = time.perf_counter() - self._began
            self.gate.blocks = getattr(pl_module, "versions", {}).get("blocks", self.gate.blocks)
            losses = tuple(float(loss) for loss in self._losses[: self.steps])
            training = self._trained - self._began
            self.gate.report(Epoch(training, self.steps, self._validated, seconds, losses))
        self.gate.wait()
        self._losses, self._validated = [], 0.0
        self._began = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        *batch: Any,
    ) -> None:
        """Note the end of the last step."""
        if trainer.is_last_batch:
            synchronize(self.gate.task.device)
            self._trained = time.perf_counter()

    def on_validation_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Note the start."""
        self._validation_began = time.perf_counter()

    def on_validation_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Note the end."""
        synchronize(self.gate.task.device)
        self._validated = time.perf_counter() - self._validation_began


def synchronize(device: str) -> None:
    """Wait until the device has done all its work."""
    if device == "cuda":
        torch.cuda.synchronize()


def forget_peak_memory(device: str) -> None:
    """Count the peak from here on, where the system allows that."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory(device: str) -> int:
    """Bytes that the process, or the GPU for it, held at most since `forget_peak_memory`."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/status").read_text().splitlines()
        (peak,) = (line for line in lines if line.startswith("VmHWM"))
        return int(peak.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
