"""Four ways to train one network on the same knees from the same weights, an epoch at a time.

Each runs in a process of its own and waits at a `Gate` before every epoch, so that `training.py`
can let them go in turn.
"""

import contextlib
import resource
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, cast

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchmetrics.classification import MulticlassAccuracy, MulticlassCohenKappa

import djd.runs.fit as fit
import train
from bench.simulated import simulated_cohort
from djd.data.cohort import Cohort
from djd.data.datamodule import EVALUATION_BATCH_SIZE, Batch, Batches, KneeDataModule
from djd.data.split import Parts, PatientSplit
from djd.grades import GRADE_COUNT
from djd.machine import keep_freed_memory
from djd.models.networks import KneeCNN
from djd.runs.config import RunConfig, read_config
from djd.runs.prepare import Prepared
from hydra_plugins.djd._composing import compose_values

TRAIN_KNEES, VALIDATION_KNEES = 256, 64
LEARNING_RATE = 0.001


@dataclass(frozen=True)
class Task:
    """What is trained, on what, for how long."""

    depth: int
    batch_size: int
    threads: int
    epochs: int
    device: str


class Epoch(NamedTuple):
    """What an epoch took.

    steps: Seconds of each step, hooks and batches included.
    seconds: Of the whole epoch, validation and all else included.
    losses: Of each step.
    """

    steps: list[float]
    seconds: float
    losses: list[float]


class NoMoreTurns(Exception):  # noqa: N818 # nothing went wrong
    """All epochs that were asked for are done."""


class Gate:
    """Where a loop waits for its turn and tells what its epoch took."""

    def __init__(self, connection: Connection, task: Task) -> None:
        self.task = task
        self._connection = connection
        self._left = task.epochs

    def wait(self) -> None:
        """Until it is this loop's turn.

        Raises:
            NoMoreTurns: There is none any more.
        """
        if not self._left:
            self._connection.send(peak_memory(self.task.device))
            raise NoMoreTurns
        if self._left == self.task.epochs:
            forget_peak_memory(self.task.device)
        self._connection.recv()

    def tell(self, epoch: Epoch) -> None:
        """What the epoch took."""
        self._left -= 1
        self._connection.send(epoch)


# ---- The knees ----


@contextlib.contextmanager
def prepared(task: Task) -> Iterator[tuple[Prepared, KneeDataModule]]:
    """A training that could start and its knees, the same in every process."""
    torch.set_num_threads(task.threads)
    with tempfile.TemporaryDirectory() as place:
        overrides = [
            f"model.depth={task.depth}",
            "model.clip_logits=true",
            f"data.batch_size={task.batch_size}",
            "optim=sgd",
            f"optim.lr={LEARNING_RATE}",
            f"trainer.max_epochs={task.epochs + 1}",
            f"trainer.accelerator={'gpu' if task.device == 'cuda' else 'cpu'}",
            f"paths.cache='{place}'",
        ]
        config = read_config(compose_values(train.CONF, overrides) | {"kind": "cell"})
        cohort, parts, folder = noisy_cohort(), noisy_parts(), Path(place)
        split = PatientSplit(development=cohort.patients, test=())
        ready = Prepared(config, folder, folder, cohort, "noise", split, parts, task.threads)
        yield ready, fit.build_datamodule(config, cohort, parts)


def noisy_cohort() -> Cohort:
    """Knees whose middle is the hotter, the higher their grade."""
    count = TRAIN_KNEES + VALIDATION_KNEES
    random = np.random.default_rng(0)
    grades = random.integers(0, GRADE_COUNT, count)
    crops = random.poisson(20, (count, 2, 128, 128))
    crops[:, :, 48:80, 48:80] += 5 * grades[:, None, None, None]
    return simulated_cohort(crops.astype(np.uint16), grades)


def noisy_parts() -> Parts:
    """The first knees are trained on, the others held out."""
    knees = np.arange(TRAIN_KNEES + VALIDATION_KNEES)
    return Parts(knees[:TRAIN_KNEES], knees[TRAIN_KNEES:], knees[:0])


def orders(datamodule: KneeDataModule) -> Iterator[list[int]]:
    """Which knees come when, epoch by epoch, as our own loop has them."""
    loader = datamodule.train_batches()
    for epoch in range(2**31):
        loader.set_epoch(epoch)
        yield [int(knee) for batch in loader for knee in batch["knee"]]


# ---- (a) The study's loop ----


class StudyCNN(nn.Module):
    """The study's network, with its depth as a parameter."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        channels = [1, *(16 * 2**block for block in range(depth))]
        self.layers = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(channels[i], channels[i + 1], kernel_size=3, padding=1),
                    nn.BatchNorm2d(channels[i + 1]),
                    nn.ReLU(),
                    nn.MaxPool2d(2),
                )
                for i in range(depth)
            )
        )
        side = 128 // 2**depth
        self.fc_layers = nn.Sequential(nn.Linear(side * side * channels[-1], 5), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Logits of crops."""
        x = self.layers(x)
        logits: Tensor = self.fc_layers(x.view(x.size(0), -1))
        return logits


def study_network(config: RunConfig) -> StudyCNN:
    """With the weights that ours begins with."""
    network = StudyCNN(config.model.arguments["depth"])
    with torch.no_grad():
        ours = our_network(config)
        for theirs, mine in zip(network.parameters(), ours.parameters(), strict=True):
            theirs.copy_(mine)
    return network


def study_loop(gate: Gate) -> None:
    """Plain PyTorch with its default settings, as the study's notebook has it."""
    task = gate.task
    with prepared(task) as (ready, datamodule):
        device = torch.device(task.device)
        whole = datamodule.batch_of(datamodule.parts.train)
        crops, grades = whole["crop"].contiguous(), whole["grade"]
        network = study_network(ready.config).to(device)
        criterion = nn.CrossEntropyLoss()
        optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE)
        for order in orders(datamodule):
            loader = DataLoader(TensorDataset(crops, grades), task.batch_size, sampler=order)
            gate.wait()
            began = before = time.perf_counter()
            steps, losses, correct = [], [], 0
            for x, y in loader:
                x, y = x.to(device), y.to(device)
                optimizer.zero_grad()
                outputs = network(x)
                loss = criterion(outputs, y)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
                correct += (outputs.argmax(1) == y).sum().item()
                now = time.perf_counter()
                steps.append(now - before)
                before = now
            gate.tell(Epoch(steps, time.perf_counter() - began, losses))


# ---- (b) The usual Lightning way ----


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

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.criterion = nn.CrossEntropyLoss()
        self.metrics = nn.ModuleDict()
        for stage in ("train", "val"):
            self.metrics[f"{stage}_accuracy"] = MulticlassAccuracy(GRADE_COUNT, average="micro")
            self.metrics[f"{stage}_kappa"] = MulticlassCohenKappa(GRADE_COUNT, weights="quadratic")

    def step(self, batch: tuple[Tensor, Tensor], stage: str) -> Tensor:
        """Loss of a batch; everything is logged."""
        x, y = batch
        outputs = self.network(x)
        loss: Tensor = self.criterion(outputs, y)
        on_step = stage == "train"
        self.log(f"{stage}/loss", loss, on_step=on_step, on_epoch=True, prog_bar=True)
        for name in ("accuracy", "kappa"):
            metric = self.metrics[f"{stage}_{name}"]
            metric(outputs, y)
            self.log(f"{stage}/{name}", metric, on_step=on_step, on_epoch=True, prog_bar=True)  # type: ignore[arg-type]
        return loss

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Loss of a batch."""
        return self.step(batch, "train")

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        """Log a batch."""
        self.step(batch, "val")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The study's."""
        return torch.optim.SGD(self.parameters(), lr=LEARNING_RATE)


class EpochOrder:
    """A sampler that gives each epoch its own order."""

    def __init__(self, datamodule: KneeDataModule) -> None:
        self._orders = orders(datamodule)

    def __len__(self) -> int:
        return TRAIN_KNEES

    def __iter__(self) -> Iterator[int]:
        return iter(next(self._orders))


def usual_loop(gate: Gate) -> None:
    """Dataset, DataLoader, torchmetrics and logging in each step, a bar, a checkpoint an epoch."""
    task = gate.task
    with prepared(task) as (ready, datamodule):
        loaders = {}
        for part in ("train", "validation"):
            batch = datamodule.batch_of(getattr(datamodule.parts, part))
            dataset = KneeDataset(batch["crop"].contiguous(), batch["grade"])
            sampler = EpochOrder(datamodule) if part == "train" else None
            loaders[part] = DataLoader(dataset, task.batch_size, sampler=sampler)
        trainer = lightning.Trainer(
            accelerator="gpu" if task.device == "cuda" else "cpu",
            devices=1,
            max_epochs=task.epochs + 1,
            callbacks=[ModelCheckpoint(save_top_k=-1), EpochGate(gate)],
            default_root_dir=ready.folder,
            log_every_n_steps=1,
        )
        module = UsualModule(study_network(ready.config))
        trainer.fit(module, loaders["train"], loaders["validation"])


class EpochGate(Callback):
    """Times a Lightning loop and makes it wait for its turn."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self._began = 0.0
        self._steps: list[float] = []
        self._losses: list[Tensor] = []
        self._step_ended = 0.0

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """The epoch before is over with all that belongs to it."""
        if self._losses:
            self._tell()
        self.gate.wait()
        self._began = time.perf_counter()
        self._steps, self._losses = [], []

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *batch: Any
    ) -> None:
        """The step before is over; the first one's batch was fetched before."""
        self._steps.append(time.perf_counter())

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        *batch: Any,
    ) -> None:
        """Keep the loss."""
        self._losses.append(outputs["loss"].detach())
        if trainer.is_last_batch:
            synchronize(self.gate.task.device)
            self._step_ended = time.perf_counter()

    def _tell(self) -> None:
        ends = [*self._steps[1:], self._step_ended]
        steps = [end - start for start, end in zip(self._steps, ends, strict=True)]
        steps = evenly(steps, self.gate.task.device)
        seconds = time.perf_counter() - self._began
        self.gate.tell(Epoch(steps, seconds, [float(loss) for loss in self._losses]))


# ---- (c) Ours ----


def our_network(config: RunConfig) -> KneeCNN:
    """The network as `djd.runs` begins with it."""
    lightning.seed_everything(config.seed, verbose=False)
    return cast(KneeCNN, fit.build_classifier(config, np.arange(GRADE_COUNT)).network)


def our_loop(gate: Gate) -> None:
    """`fit_network` as it is: Lightning, metrics, TensorBoard, checkpoints, progress."""
    keep_freed_memory()
    built = fit.build_trainer

    def gated(config: RunConfig, folder: Path, callbacks: list[Callback], **named: Any) -> Any:
        return built(config, folder, [*callbacks, EpochGate(gate)], **named)

    vars(fit)["build_trainer"] = gated
    with prepared(gate.task) as (ready, _):
        fit.fit_network(ready)


def bare_loop(gate: Gate) -> None:
    """Our network and batches in a plain loop that keeps nothing but the losses."""
    keep_freed_memory()
    task = gate.task
    with prepared(task) as (ready, datamodule):
        device = torch.device(task.device)
        network = our_network(ready.config).to(device)
        loss_of = nn.CrossEntropyLoss()
        optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE)
        train_batches = on_device(datamodule, datamodule.parts.train, task, seed=ready.config.seed)
        held_out = on_device(datamodule, datamodule.parts.validation, task, seed=None)
        for epoch in range(2**31):
            train_batches.set_epoch(epoch)
            gate.wait()
            began = before = time.perf_counter()
            steps, losses = [], []
            for batch in train_batches:
                optimizer.zero_grad()
                loss = loss_of(network(batch["crop"]), batch["grade"])
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
                now = time.perf_counter()
                steps.append(now - before)
                before = now
            synchronize(task.device)
            steps[-1] += time.perf_counter() - before
            network.eval()
            with torch.inference_mode():
                for batch in held_out:
                    loss_of(network(batch["crop"]), batch["grade"])
            network.train()
            synchronize(task.device)
            seconds = time.perf_counter() - began
            steps = evenly(steps, task.device)
            gate.tell(Epoch(steps, seconds, [float(loss) for loss in losses]))


def on_device(
    datamodule: KneeDataModule, knees: NDArray[np.int64], task: Task, *, seed: int | None
) -> Batches:
    """Some knees as ours has them: where they are trained on, from the start."""
    batch = datamodule.batch_of(knees)
    there = Batch(
        crop=batch["crop"].to(task.device),
        grade=batch["grade"].to(task.device),
        knee=batch["knee"].to(task.device),
    )
    batch_size = EVALUATION_BATCH_SIZE if seed is None else task.batch_size
    return Batches(there, batch_size=batch_size, shuffle_seed=seed)


LOOPS: dict[str, Callable[[Gate], None]] = {
    "the study's loop": study_loop,
    "the usual Lightning way": usual_loop,
    "ours": our_loop,
    "ours without Lightning": bare_loop,
}


def serve(name: str, task: Task, connection: Connection) -> None:
    """In a process of its own: run a loop until all its epochs are done."""
    warnings.simplefilter("ignore")
    with contextlib.suppress(NoMoreTurns):
        LOOPS[name](Gate(connection, task))


# ---- The numbers and the memory ----


def serve_differences(task: Task, connection: Connection) -> None:
    """In a process of its own: `largest_difference` of (dtype, steps), whenever asked."""
    while asked := connection.recv():
        connection.send(largest_difference(task, *asked))


def largest_difference(task: Task, dtype: torch.dtype, steps: int) -> float:
    """Between the losses of the study's network and ours over the first steps."""
    with prepared(task) as (ready, datamodule):
        losses: list[list[float]] = []
        for network in (study_network(ready.config), our_network(ready.config)):
            network.to(dtype)
            optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE)
            losses.append(
                [
                    take_step(
                        network,
                        optimizer,
                        batch["crop"].to(dtype).clone(memory_format=torch.contiguous_format),
                        batch["grade"],
                    )
                    for batch in first_batches(datamodule, steps)
                ]
            )
    theirs, ours = losses
    return max(abs(one - other) for one, other in zip(theirs, ours, strict=True))


def first_batches(datamodule: KneeDataModule, steps: int) -> Iterator[Batch]:
    """The batches of the first steps."""
    loader = datamodule.train_batches()
    for step in range(steps):
        if step % len(loader) == 0:
            loader.set_epoch(step // len(loader))
            batches = iter(loader)
        yield next(batches)


def take_step(
    network: nn.Module, optimizer: torch.optim.Optimizer, crops: Tensor, grades: Tensor
) -> float:
    """One step's loss."""
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(network(crops), grades)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.item())


def evenly(steps: list[float], device: str) -> list[float]:
    """On a GPU the mean for each: when a step ends on the host, the GPU may only have begun it."""
    return [sum(steps) / len(steps)] * len(steps) if device == "cuda" else steps


def synchronize(device: str) -> None:
    """Wait until the device has done all it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def forget_peak_memory(device: str) -> None:
    """Let the peak be counted from here on, where the system lets us."""
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
