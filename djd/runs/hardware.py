"""What a training runs on: device, CPU threads, and the numbers that it calculates in."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.plugins import Precision as PrecisionPlugin

from djd.errors import InputError
from djd.machine import usable_cores
from djd.runs.config import Precision, RunConfig

TF32_CAPABILITY = (8, 0)
"""Of the first NVIDIA GPUs with TensorFloat-32, in NVIDIA's counting."""


def training_device(config: RunConfig) -> torch.device:
    """The device that Lightning will choose."""
    wanted = config.trainer.accelerator
    if wanted in ("auto", "gpu") and torch.cuda.is_available():
        return torch.device("cuda")
    if wanted in ("auto", "mps") and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def require_accelerator(accelerator: str) -> None:
    """Stop where the hardware that was asked for isn't there.

    Raises:
        InputError: No such hardware, or PyTorch can't use it.
    """
    there = {"gpu": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(accelerator, True):
        raise InputError(
            f"trainer.accelerator: expected hardware that PyTorch {torch.__version__} finds here, "
            f"received {accelerator}; say trainer.accelerator=auto or cpu"
        )


def use_threads(threads: int | str) -> int:
    """Set the CPU threads of a training step; `auto` takes all cores that this process may use.

    Returns:
        How many they are: the same number gives the same results to the last bit, another number
        does not.
    """
    if threads == "auto":
        threads = usable_cores()
    torch.set_num_threads(int(threads))
    return int(threads)


class Bfloat16Training(MixedPrecision):
    """bfloat16 autocast of training steps alone.

    Held-out knees are graded in float32, as new scans are: a bfloat16 logit has three digits, and
    of two grades that it can't tell apart the lower would always be given.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__("bf16-mixed", device.type)

    @contextmanager
    def val_step_context(self) -> Iterator[None]:
        """No autocast."""
        yield

    @contextmanager
    def test_step_context(self) -> Iterator[None]:
        """No autocast."""
        yield


def require_precision(precision: Precision, device: torch.device) -> None:
    """Stop where the hardware doesn't calculate as asked for, and would do so otherwise unheard.

    Args:
        precision: The choice.
        device: Where training would run.

    Raises:
        InputError: There is no TensorFloat-32 there.
    """
    if precision == "tf32" and not _has_tf32(device):
        raise InputError(
            "trainer.precision: expected float32 or bf16 where there is no TensorFloat-32, which "
            f"NVIDIA GPUs from compute capability {'.'.join(map(str, TF32_CAPABILITY))} on have "
            f"(training would run on {device.type}), received tf32"
        )


def _has_tf32(device: torch.device) -> bool:
    if device.type != "cuda" or torch.version.cuda is None:  # AMD's are called cuda, too
        return False
    return torch.cuda.get_device_capability(device) >= TF32_CAPABILITY


def use_precision(precision: Precision) -> None:
    """Say what this process multiplies float32 in on a GPU, until it is said again.

    PyTorch by itself calculates convolutions in TensorFloat-32 and matrix products in float32.
    """
    # The older of PyTorch's two interfaces. After tf32 through the newer (`fp32_precision`, 2.9)
    # `torch.get_float32_matmul_precision` raises, and Lightning 2.6 calls it on such GPUs.
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"


def precision_plugin(precision: Precision, device: torch.device) -> PrecisionPlugin:
    """What wraps Lightning's steps; `use_precision` does the rest.

    Args:
        precision: The choice.
        device: Where training runs.
    """
    return Bfloat16Training(device) if precision == "bf16" else PrecisionPlugin()
