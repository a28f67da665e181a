"""Training steps on a GPU: whether they wait for it, and their time at each precision."""

import contextlib
import io
import statistics
import time
import traceback
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from bench.gpu_settings import RECIPES, Rehearsed, Steps, Take
from djd.data.datamodule import Batches
from djd.errors import InputError
from djd.models.classifier import GradeClassifier
from djd.runs.hardware import require_precision, use_precision
from djd.runs.train import train
from djd.wording import count_of

WATCHED = {
    **RECIPES,
    **{
        f"the study's network, {optim}": ("recipe=study", f"optim={optim}")
        for optim in ("momentum", "adagrad", "adam", "adamw")
    },
    "the default recipe, clipped": ("trainer.gradient_clip_val=1",),
    "the study's network, clipped": ("recipe=study", "trainer.gradient_clip_val=1"),
    "the default recipe, weights averaged": ("trainer.weight_average=exponential",),
    "the default recipe, bf16": ("trainer.precision=bf16",),
    "the default recipe with the other knee": ("model.both_knees=true",),
}

PRECISIONS = ("float32", "tf32", "bf16")

WARM_UPS = 5
"""Steps before the ones that count: kernels are loaded, convolutions chosen, memory taken."""


# ---- Waiting ----


def synchronizing(settings: Rehearsed) -> None:
    """Print of each training whether a step of a later epoch waits for the GPU."""
    if settings.rehearsal:
        print("(a CPU is never waited for: every training passes here)\n")
    print(f"- a step that reads its loss: {or_why(waiting, settings, (), True)}", flush=True)
    for name, overrides in WATCHED.items():
        print(f"- {name}: {or_why(waiting, settings, overrides)}", flush=True)


def waiting(settings: Rehearsed, overrides: tuple[str, ...], read: bool = False) -> str:
    """Where a step of a training waits for the GPU, or that none does."""
    config = settings.config(*overrides, "trainer.max_epochs=3", "plots=false")
    try:
        with _watched(settings.device, read=read) as epochs, _silent():
            train(config, settings.new_folder())
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


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


# ---- Precision ----


def precision(settings: Rehearsed) -> None:
    """Print a step without augmentation, and a whole epoch, at each precision."""
    print("| | precision | step, ms | epoch with validation, ms | memory of steps, MB |")
    print("| --- | --- | --- | --- | --- |", flush=True)
    for name, recipe in RECIPES.items():
        for each in PRECISIONS:
            print(
                f"| {name} | {each} | {or_why(_at_precision, settings, recipe, each)} |", flush=True
            )


def _at_precision(settings: Rehearsed, recipe: tuple[str, ...], precision: str) -> str:
    epochs = settings.few(many=12, few=3)
    config = settings.config(
        *recipe, f"trainer.precision={precision}", f"trainer.max_epochs={epochs}", "plots=false"
    )
    try:
        require_precision(config.trainer.precision, torch.device(settings.device))
    except InputError:
        return "not on this device | - | -"
    use_precision(config.trainer.precision)
    if not settings.rehearsal:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    steps = Steps.of(config, settings.device)
    step, _ = time_steps(settings, steps, steps.launch(steps.optimizer()))
    memory = 0 if settings.rehearsal else torch.cuda.max_memory_allocated()
    with epoch_clock() as starts, _silent():
        train(config, settings.new_folder())
    epoch = statistics.median(np.diff(starts)[1:])
    return f"{1e3 * step:.2f} | {1e3 * epoch:.1f} | {memory / 1e6:.0f}"


@contextlib.contextmanager
def epoch_clock() -> Iterator[list[float]]:
    """Gives when each epoch has begun; an epoch includes its validation, logs and files."""
    starts: list[float] = []
    hook = GradeClassifier.on_train_epoch_start

    def note(classifier: GradeClassifier) -> None:
        starts.append(time.perf_counter())
        hook(classifier)

    with patch.object(GradeClassifier, "on_train_epoch_start", note):
        yield starts


def time_steps(settings: Rehearsed, steps: Steps, take: Take) -> tuple[float, Tensor]:
    """Seconds of a step, the GPU waited for at the end alone; and the losses of all steps."""
    batches = cycle(steps.batches)
    losses = [take(next(batches)) for _ in range(WARM_UPS)]
    count = settings.few(many=200, few=3)
    settings.wait()
    began = time.perf_counter()
    losses += [take(next(batches)) for _ in range(count)]
    settings.wait()
    seconds = (time.perf_counter() - began) / count
    return seconds, torch.stack(losses).cpu()


def or_why(measure: Callable[..., str], *arguments: Any) -> str:
    """What was measured; where that fails, why, so that the rest is measured."""
    try:
        return measure(*arguments)
    except Exception as error:
        return f"FAILED: {type(error).__name__}: {error}".splitlines()[0]
