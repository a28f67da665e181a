"""Training steps on a GPU: whether they wait for it, at each precision, and captured as a graph."""

import contextlib
import statistics
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from bench.gpu_machine import RECIPES, WARM_UPS, Machine, Steps, Take, epoch_clock, silent
from djd.data.datamodule import Batch, Batches
from djd.errors import InputError
from djd.models.classifier import GradeClassifier
from djd.runs.hardware import require_precision, use_precision
from djd.runs.train import train
from djd.wording import count_of

STUDY = "the study's network"
WATCHED = {
    **RECIPES,
    **{
        f"{STUDY}, {optim}": ("recipe=study", f"optim={optim}")
        for optim in ("momentum", "adagrad", "adam", "adamw")
    },
    "the default recipe, clipped": ("trainer.gradient_clip_val=1",),
    f"{STUDY}, clipped": ("recipe=study", "trainer.gradient_clip_val=1"),
    "the default recipe, weights averaged": ("trainer.weight_average=exponential",),
    "the default recipe, bf16": ("trainer.precision=bf16",),
    "the default recipe with the other knee": ("model.both_knees=true",),
}

PRECISIONS = ("float32", "tf32", "bf16")

Record = Callable[[Callable[[], Tensor]], Callable[[], Tensor]]
"""Runs a step a few times, on tensors that keep their places; gives what runs it again."""


def synchronizing(machine: Machine) -> None:
    """Print of each training whether a step of a later epoch waits for the GPU."""
    if machine.rehearses:
        print("(a CPU is never waited for: every training passes here)\n")
    print(f"- a step that reads its loss: {or_why(waiting, machine, (), True)}", flush=True)
    for name, overrides in WATCHED.items():
        print(f"- {name}: {or_why(waiting, machine, overrides)}", flush=True)


def waiting(machine: Machine, overrides: tuple[str, ...], read: bool = False) -> str:
    """Where a step of a training waits for the GPU, or that none does."""
    config = machine.config(*overrides, "trainer.max_epochs=3", "plots=false")
    try:
        with _watched(machine.device, read=read) as epochs, silent():
            train(config, machine.new_folder())
    except RuntimeError as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [each for each in frames if Path(each.filename).parts[-3:-2] == ("djd",)]
        at = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "outside of djd"
        return f"WAITS at {at}: {str(error).splitlines()[0]}"
    return f"no wait in {count_of(len(epochs), 'watched epoch')}"


@contextlib.contextmanager
def _watched(device: str, *, read: bool) -> Iterator[list[int]]:
    """Let epochs after the first raise where a step waits for the GPU; gives those epochs.

    A call of `training_step` is all steps of an epoch, their batches and their augmentation.
    """
    epochs: list[int] = []
    step = GradeClassifier.training_step

    def watched_step(classifier: GradeClassifier, batches: Batches, index: int) -> None:
        # In the first epoch kernels are loaded and memory is taken.
        watched = classifier.current_epoch > 0
        with no_waiting(device if watched else "cpu"):
            step(classifier, batches, index)
            epochs.extend([classifier.current_epoch] if watched else [])
            if watched and read:
                next(classifier.parameters()).sum().item()

    with patch.object(GradeClassifier, "training_step", watched_step):
        yield epochs


@contextlib.contextmanager
def no_waiting(device: str) -> Iterator[None]:
    """Let PyTorch raise where the GPU is waited for."""
    if device == "cpu":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def precision(machine: Machine) -> None:
    """Print a step without augmentation, and a whole epoch, at each precision."""
    print("| | precision | step, ms | epoch with validation, ms | memory of steps, MB |")
    print("| --- | --- | --- | --- | --- |", flush=True)
    for name, recipe in RECIPES.items():
        for each in PRECISIONS:
            cells = or_why(_at_precision, machine, recipe, each)
            print(f"| {name} | {each} | {cells} |", flush=True)


def _at_precision(machine: Machine, recipe: tuple[str, ...], precision: str) -> str:
    epochs = f"trainer.max_epochs={machine.few(many=12, few=3)}"
    config = machine.config(*recipe, f"trainer.precision={precision}", epochs, "plots=false")
    try:
        require_precision(config.trainer.precision, torch.device(machine.device))
    except InputError:
        return "not on this device | - | -"
    use_precision(config.trainer.precision)
    if not machine.rehearses:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    steps = Steps.of(config, machine.device)
    step, _ = steps.time(machine, steps.launch(steps.optimizer()))
    memory = 0 if machine.rehearses else torch.cuda.max_memory_allocated()
    with epoch_clock() as starts, silent():
        train(config, machine.new_folder())
    epoch = statistics.median(np.diff(starts)[1:])
    return f"{1e3 * step:.2f} | {1e3 * epoch:.1f} | {memory / 1e6:.0f}"


def captured(machine: Machine) -> None:
    """Print a step launched operator by operator and one captured, and how far losses differ."""
    if machine.rehearses:
        print("(a CPU captures nothing: `captured` is the same step, launched again)\n")
    print("At a constant rate, without augmentation and dropout:\n", flush=True)
    for name, recipe in RECIPES.items():
        print(f"- {name}: {or_why(_captured, machine, recipe)}", flush=True)


def _captured(machine: Machine, recipe: tuple[str, ...]) -> str:
    config = machine.config(*recipe, *(() if recipe else ("model.dropout=0",)))
    use_precision(config.trainer.precision)
    # With their steps counted on the GPU; other optimizers take no such argument.
    on_gpu = not machine.rehearses and "Adam" in str(config.optim.target)
    changed = {"capturable": True} if on_gpu else {}
    record = record_nothing if machine.rehearses else record_graph
    timed = []
    for arguments, is_captured in (({}, False), ({}, False), (changed, False), (changed, True)):
        steps = Steps.of(config, machine.device)
        optimizer = steps.optimizer(**arguments)
        take = capture(steps, optimizer, record) if is_captured else steps.launch(optimizer)
        timed.append(steps.time(machine, take))
    (usual, losses), (_, again), (ready, others), (graph, replayed) = timed
    return (
        f"launched {1e3 * usual:.2f} ms, with a capturable optimizer {1e3 * ready:.2f} ms, "
        f"captured {1e3 * graph:.2f} ms ({usual / graph:.1f} times as fast as launched); "
        f"{len(losses)} losses: captured at most {_apart(others, replayed):.1e} from the same "
        f"steps launched, launched steps at most {_apart(losses, again):.1e} from themselves"
    )


def _apart(losses: Tensor, others: Tensor) -> float:
    """The largest relative difference."""
    return float(((losses - others).abs() / losses.abs()).max())


def capture(steps: Steps, optimizer: torch.optim.Optimizer, record: Record) -> Take:
    """The same step as one CUDA graph, from the present weights and an unused optimizer.

    A measurement alone: the package captures no steps.
    """
    kept = {name: each.clone() for name, each in steps.classifier.state_dict().items()}
    static = {name: cast(Tensor, each).clone() for name, each in steps.batches[0].items()}
    take = steps.launch(optimizer)
    replay = record(lambda: take(cast(Batch, static)))
    with torch.no_grad():
        for name, each in steps.classifier.state_dict().items():
            each.copy_(kept[name])
        for state in optimizer.state.values():  # moments and counts start at 0
            for each in state.values():
                if isinstance(each, Tensor):
                    each.zero_()

    def copy_and_replay(batch: Batch) -> Tensor:
        for name, each in batch.items():
            static[name].copy_(cast(Tensor, each))
        return replay().clone()

    return copy_and_replay


def record_graph(take: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """As PyTorch's notes on CUDA graphs: some steps in a stream of their own, then one captured."""
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UPS):
            take()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = take()

    def replay() -> Tensor:
        graph.replay()
        return loss

    return replay


def record_nothing(take: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """In place of `record_graph` on a CPU."""
    for _ in range(WARM_UPS):
        take()
    return take


def or_why(measure: Callable[..., str], *arguments: Any) -> str:
    """What was measured; where that fails, why, so that the rest is measured."""
    try:
        return measure(*arguments)
    except Exception as error:
        return f"FAILED: {type(error).__name__}: {error}".splitlines()[0]
