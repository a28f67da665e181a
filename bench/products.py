"""The convolutions and matrix products of a training step, alone: what no other code can save.

PyTorch's own calls of a step in plain layers are recorded, forward and backward, and repeated with
the same tensors: no normalization, pooling, loss, optimizer, augmentation or batch. Tensors are
channels_last, as in our plain layers: in PyTorch's default order the same products took 1.1 to 2
times as long (two-core x86-64 with AVX-512, 2026-11-30).
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import djd.models.networks as networks
from bench.gates import Epoch, Gate, synchronize
from bench.plain import plain_recipe, training_knees
from bench.recipes import our_classifier, prepared, steps_of
from djd.machine import keep_freed_memory

_ATEN = torch.ops.aten
PRODUCTS = (
    _ATEN.convolution.default,
    _ATEN.convolution_backward.default,
    _ATEN.addmm.default,
    _ATEN.mm.default,
)


class ProductRecorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the calls of `PRODUCTS`, each ready to be repeated."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[Callable[[], Any]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Record a call, and make it."""
        named = kwargs or {}
        if func in PRODUCTS:
            self.calls.append(partial(func, *args, **named))
        return func(*args, **named)


def products_loop(gate: Gate) -> None:
    """Repeat the products of a step, as many times an epoch as others take steps."""
    task = gate.task
    keep_freed_memory()
    vars(networks)["FUSED"] = False
    with prepared(task) as (ready, datamodule):
        config, device = ready.config, torch.device(task.device)
        plain = plain_recipe(task.recipe, config)
        crops, grades = training_knees(plain, datamodule)[: config.data.batch_size]
        generator = torch.Generator(device)
        inputs = plain.inputs(crops.to(device), generator)
        calls = recorded_products(our_classifier(config).to(device), inputs, grades.to(device))
        steps = steps_of(config)
        with torch.inference_mode():
            while True:
                gate.wait()
                began = time.perf_counter()
                for _ in range(steps):
                    for call in calls:
                        call()
                synchronize(task.device)
                seconds = time.perf_counter() - began
                gate.report(Epoch(seconds, steps, 0.0, seconds))


def recorded_products(classifier: Any, inputs: Tensor, grades: Tensor) -> list[Callable[[], Any]]:
    """The calls of a training step of our network in plain layers.

    Args:
        classifier: A `GradeClassifier`.
        inputs: (sample, view, row, column).
        grades: int64 (knee,).
    """
    recorder = ProductRecorder()
    with recorder:
        outputs = classifier.network(inputs)
        loss = classifier.loss(outputs, grades.repeat_interleave(len(outputs) // len(grades)))
        loss.backward()
    return recorder.calls
