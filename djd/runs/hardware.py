"""Hardware of a training: device, CPU threads, and precision of its numbers."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.plugins import Precision as PrecisionPlugin

from djd.errors import InputError
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


def use_threads(threads: int | str) -> int:
    """Set and return the CPU threads of a training step; `auto` is all cores of this process.

    The same number gives the same results to the last bit, another number doesn't.
    """
    count = usable_cores() if threads == "auto" else int(threads)
    torch.set_num_threads(count)
    return count


class Bfloat16Training(MixedPrecision):
    """bfloat16 autocast of the forward passes of training alone: its `forward_context`.

    Lightning's step is an epoch, in which autocast would go on with the first step's weights.

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
