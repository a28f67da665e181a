"""How many cells share GPUs at a time: no more than there is memory for.

Nothing at the top imports torch: the process that leads a sweep never does.
"""

import ctypes
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from djd.data.crop import MOST_BYTES_ON_GPU, seen_bytes
from djd.errors import InputError
from djd.machine import usable_cores
from djd.runs.config import RunConfig
from djd.runs.summary import say
from djd.sweeps.processes import run_in_processes
from djd.windows import MOST_PROCESSES
from djd.wording import count_of, in_bytes, listed

CONTEXT_BYTES = 2**30
"""Memory of a process on a GPU beyond PyTorch's tensors, for CUDA's context and its kernels.
Assumed, not measured: no GPU was at hand. `bench/gpu.py` measures it."""

COPIES_OF_CROPS = 2
"""The crops as they are kept, and as much again on the way. Assumed."""

Knees = Callable[[RunConfig], tuple[int, int]]
"""Numbers of training and validation knees of a configuration."""


@dataclass(frozen=True)
class Gpus:
    """The GPUs that PyTorch finds, one at least, and the memory of a cell.

    Attributes:
        names: Of each GPU.
        free: Bytes of each GPU that no process holds.
        need: Bytes of the cell that needs most.
    """

    names: Sequence[str]
    free: Sequence[int]
    need: int

    def sentences(self, at_once: int) -> list[str]:
        """How many cells run on each GPU, and a warning where memory is short."""
        on_each = cells_on_each(at_once, gpus=len(self.free))
        places = [
            f"{count} on {name} ({in_bytes(free)} free)"
            for count, name, free in zip(on_each, self.names, self.free, strict=True)
        ]
        whole, assumed = in_bytes(self.need), in_bytes(CONTEXT_BYTES)
        sentences = [
            f"Cells at a time: {listed(places)}; a cell is taken to need {whole} there, {assumed} "
            "of it by assumption"
        ]
        if at_once > (room := cells_with_room(self.free, self.need)):
            sentences.append(
                f"warning: the free memory has room for {count_of(room, 'cell')} at a time, and "
                f"hydra.launcher.n_jobs={at_once}: cells may fail for want of memory"
            )
        return sentences


def cells_on_each(cells: int, *, gpus: int) -> list[int]:
    """How many cells at a time each GPU has: cell i is on GPU i % gpus, see `deal_gpu`."""
    return [len(range(gpu, cells, gpus)) for gpu in range(gpus)]


def cells_with_room(free: Sequence[int], need: int) -> int:
    """The most cells at a time, dealt in turn, whose memory fits; 0 where the first doesn't."""
    # GPU g has room for k cells, in places g, g + gpus, and so on: the next one has no room.
    return min(gpu + len(free) * (each // need) for gpu, each in enumerate(free))


def cells_at_once(free: Sequence[int], need: int, *, cores: int) -> int:
    """How many cells to train on GPUs at a time: one a core at most, if memory has room for them.

    Args:
        free: Free bytes of each GPU.
        need: Bytes of a cell.
        cores: Of the CPU, which launches a cell's kernels.
    """
    return max(1, min(cores, cells_with_room(free, need)))


def most_at_once() -> int:
    """Cells at a time without a GPU: one a core."""
    return min(usable_cores(), MOST_PROCESSES)


def choose_at_once(at_once: int | None, gpus: Gpus | None) -> int:
    """The number that was asked for; else one a core, bounded by the memory of the GPUs."""
    if at_once:
        return at_once
    return cells_at_once(gpus.free, gpus.need, cores=most_at_once()) if gpus else most_at_once()


def find_gpus(configs: Iterable[RunConfig], knees: Knees) -> Gpus | None:
    """The GPUs on which cells would be trained; None where PyTorch finds none, or none is wanted.

    A process like those of cells looks for them, and takes a step of each shape there.

    Raises:
        InputError: A configuration wants a GPU or a precision that this machine lacks.
    """
    asked = [config for config in configs if _may_need_gpu(config)]
    if not asked:
        return None
    largest = _largest(asked)
    (ending,) = run_in_processes(_look, [(largest,)], at_once=1, deal_gpus=False)
    if ending and ending.reason:
        say(f"warning: GPUs can't be looked at ({ending.reason}); their memory bounds no cell")
    found = ending.value if ending else None
    if isinstance(found, str):
        raise InputError(found)
    if not found or not found[0]:
        return None
    names, free, step_bytes = found
    crops = max(min(_crop_bytes(config, sum(knees(config))), MOST_BYTES_ON_GPU) for config in asked)
    return Gpus(names, free, CONTEXT_BYTES + step_bytes + COPIES_OF_CROPS * crops)


def _may_need_gpu(config: RunConfig) -> bool:
    """Whether a GPU may be there, or has to be there; to ask PyTorch itself takes a process."""
    trainer = config.trainer
    if trainer.accelerator == "auto" and trainer.precision != "tf32":
        return has_gpu_driver()
    return trainer.accelerator != "cpu" or trainer.precision == "tf32"


def has_gpu_driver() -> bool:
    """Whether the driver of an NVIDIA or AMD GPU is installed; PyTorch may still find no GPU."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    with suppress(OSError):
        ctypes.CDLL(name)
        return True
    return Path("/dev/kfd").exists()  # AMD's, on Linux


def _largest(configs: Iterable[RunConfig]) -> list[RunConfig]:
    """Of each network the configuration with the largest batches."""
    largest: dict[str, RunConfig] = {}
    for config in sorted(configs, key=lambda each: each.data.batch_size):
        plain, trainer = config.plain(), config.trainer
        shape = [plain["model"], plain["augment"], config.data.views, config.data.pixels]
        kind = [*shape, trainer.accelerator, trainer.precision]
        largest[json.dumps(kind, sort_keys=True)] = config
    return list(largest.values())


def _crop_bytes(config: RunConfig, knees: int) -> int:
    return seen_bytes(knees, config.data.views, config.data.pixels)


def _look(configs: Sequence[RunConfig]) -> tuple[list[str], list[int], int] | str:
    """In a process of its own: names and free bytes of the GPUs, and most bytes of a step.

    The text of an InputError where the hardware is not as wanted. Asking takes some memory of each
    GPU, so slightly more will be free.
    """
    import torch

    from djd.runs.hardware import require_accelerator, require_precision, training_device

    try:
        for config in configs:
            require_accelerator(config.trainer.accelerator)
            require_precision(config.trainer.precision, training_device(config))
    except InputError as error:
        return str(error)
    if not torch.cuda.is_available():
        return [], [], 0
    devices = range(torch.cuda.device_count())
    names = [torch.cuda.get_device_name(device) for device in devices]
    free = [torch.cuda.mem_get_info(device)[0] for device in devices]
    return names, free, max(map(_step_bytes, configs))


def _step_bytes(config: RunConfig) -> int:
    """Most bytes of the GPU that PyTorch holds in a training step, also in one that fails."""
    import torch

    from djd.runs.rehearsal import rehearse

    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    with suppress(Exception):  # the cell will say why
        rehearse(config)
    return torch.cuda.max_memory_reserved()
