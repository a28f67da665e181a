"""Hardware of a training: device, CPU threads, and precision of its numbers."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import torch
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.plugins import Precision as PrecisionPlugin
from torch import Tensor

from djd.data.datamodule import inputs_of
from djd.errors import InputError
from djd.grades import GRADE_COUNT
from djd.machine import usable_cores
from djd.runs.config import Precision, RunConfig

TF32_CAPABILITY = (8, 0)
"""NVIDIA's compute capability of the first GPUs with TensorFloat-32."""


def training_device(config: RunConfig) -> torch.device:
    """The device that Lightning will choose."""
    wanted = config.trainer.accelerator
    cuda = wanted in ("auto", "gpu") and torch.cuda.is_available()
    mps = wanted in ("auto", "mps") and torch.backends.mps.is_available()
    return torch.device("cuda" if cuda else "mps" if mps else "cpu")


def require_accelerator(accelerator: str) -> None:
    """Raise InputError where PyTorch can't use the hardware that was asked for."""
    there = {"gpu": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(accelerator, True):
        raise InputError(
            f"trainer.accelerator: expected hardware that PyTorch {torch.__version__} finds here, "
            f"received {accelerator}; say trainer.accelerator=auto or cpu"
        )


OPERATIONS_A_PIXEL = 1000
"""Of a training batch: the cost of passes over memory, beside the products."""

OPERATIONS_A_THREAD = 300_000_000
"""Of a step's forward pass. A second thread brought 1.2 times the epochs a second to the default
recipe (190 million operations), 1.4 times to its network on 64 pixels (770) and to the study's of
depth 1 (700), and 1.7 times to that of depth 2 (1,900). Beside another busy process the default
recipe took 2.3 times as long on two threads (two-core x86-64, AVX-512, 2026-11-30)."""

THREADS_IN_SWEEP = 1
"""Two trainings on a core each take less time than one after the other on both cores, and the
number of threads changes results."""


def use_threads(config: RunConfig) -> int:
    """Set and return the CPU threads of a training step; a cell of a sweep has one.

    `trainer.threads=auto` is as many as a step has work for, by a fixed rule, and all cores at
    most. The same number gives the same results to the last bit, another number doesn't.
    """
    wanted = config.trainer.threads if config.kind == "run" else THREADS_IN_SWEEP
    if wanted == "auto":
        wanted = min(usable_cores(), max(1, step_operations(config) // OPERATIONS_A_THREAD))
    count = int(wanted)
    torch.set_num_threads(count)
    return count


def step_operations(config: RunConfig) -> int:
    """Operations of a training step's forward pass, by which threads are chosen.

    Products and convolutions are counted on tensors without values. For a network that needs values
    only the batch's pixels are counted.
    """
    from torch.utils.flop_counter import FlopCounterMode

    from djd.runs.fit import build_classifier, noise_batch

    with torch.device("meta"), torch.no_grad():
        batch = noise_batch(config, torch.device("meta"))
        crops, inputs = batch["crop"], dict[str, Tensor]()
        with suppress(Exception), FlopCounterMode(display=False) as counted:
            classifier = build_classifier(config, np.arange(GRADE_COUNT))
            crops, inputs = classifier.samples(crops, inputs_of(batch, classifier.inputs))
            classifier.network(crops, **inputs)
    return int(counted.get_total_flops()) + OPERATIONS_A_PIXEL * crops.numel()


class Bfloat16Training(MixedPrecision):
    """bfloat16 autocast of the forward passes of training alone: its `forward_context`.

    Lightning's own context lasts an epoch, in which autocast would keep its copies of the first
    step's weights.

    Held-out knees and new scans are graded in float32: bfloat16 logits have three digits, and
    equal logits always give the lower grade.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__("bf16-mixed", device.type)

    @contextmanager
    def train_step_context(self) -> Iterator[None]:
        """No autocast."""
        yield

    val_step_context = test_step_context = train_step_context


def require_precision(precision: Precision, device: torch.device) -> None:
    """Raise InputError for tf32 on a device without TensorFloat-32."""
    nvidia = device.type == "cuda" and torch.version.cuda is not None  # AMD's are called cuda, too
    if precision == "tf32" and not (
        nvidia and torch.cuda.get_device_capability(device) >= TF32_CAPABILITY
    ):
        raise InputError(
            "trainer.precision: expected float32 or bf16 where there is no TensorFloat-32, which "
            f"NVIDIA GPUs from compute capability {'.'.join(map(str, TF32_CAPABILITY))} on have "
            f"(training would run on {device.type}), received tf32"
        )


def use_precision(precision: Precision) -> None:
    """Set the precision of float32 products on a GPU for this process.

    PyTorch's default is TensorFloat-32 for convolutions and float32 for matrix products.
    """
    # The older of PyTorch's two interfaces. After tf32 through the newer (`fp32_precision`, 2.9)
    # `torch.get_float32_matmul_precision` raises, and Lightning 2.6 calls it on such GPUs.
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"


def precision_plugin(precision: Precision, device: torch.device) -> PrecisionPlugin:
    """The plugin around Lightning's steps; `use_precision` does the rest."""
    return Bfloat16Training(device) if precision == "bf16" else PrecisionPlugin()
