"""Which blocks the compiled passes take; all others are plain layers, which differ by rounding.

A run or sweep decides once and records the decision before the first step: its resumes, cells and
refits take the same blocks on any machine.
"""

import logging
from functools import cache, partial
from pathlib import Path
from typing import Literal, cast

import torch
from pydantic import BaseModel, ValidationError
from torch import Tensor, nn

from djd.errors import InputError
from djd.files import is_there, read_bytes, write_whole
from djd.locks import wait_for_lock
from djd.models.fused.compiled import library
from djd.models.fused.fused import mean_and_largest, scored_activation, trained_activation
from djd.models.fused.passes import lanes

TOLERANCES = {torch.float32: 1e-3, torch.float64: 1e-9}
"""Largest difference between passes and plain layers; both err by rounding alone."""

BLOCKS_NAME = "blocks.json"
"""In the folder of a run or sweep from its first step."""


class Blocks(BaseModel, frozen=True):
    """Which blocks are compiled.

    Attributes:
        blocks: All that `can_fuse` names, or none.
        lanes: Float lanes of the processor that decided; None where none is compiled.
    """

    blocks: Literal["compiled", "plain"]
    lanes: int | None


_in_use: list[Blocks] = []
"""One at most: the decision of `use_blocks` for this process."""


def use_blocks(folder: Path) -> Blocks:
    """Take, in all of this process, the blocks that a run's or sweep's folder records.

    The first call records them.

    Raises:
        InputError: The record is damaged.
    """
    path = folder / BLOCKS_NAME
    if not is_there(path):
        with wait_for_lock(folder / f".{BLOCKS_NAME}.lock"):
            if not is_there(path):
                write_whole(path, blocks_here().model_dump_json())
    try:
        blocks = Blocks.model_validate_json(read_bytes(path))
    except ValidationError as error:
        raise InputError(
            f'{path}: expected a record such as {{"blocks":"compiled","lanes":16}}, received a '
            "damaged file; delete the file to decide anew"
        ) from error
    _in_use[:] = [blocks]
    if blocks.blocks == "compiled" and not trusted(torch.float32):
        logging.getLogger("djd").warning(
            "%s: this training was started with compiled blocks, which are not available here; "
            "plain layers are used, and results differ by rounding",
            path,
        )
    return blocks


def blocks_here() -> Blocks:
    """This machine's own decision: compiled blocks wherever they are available."""
    if trusted(torch.float32):
        return Blocks(blocks="compiled", lanes=lanes(torch.float32))
    return Blocks(blocks="plain", lanes=None)


CHANNELS = 16
"""Of the layers that the passes are compared with: one, two or four registers' lanes."""


def can_fuse(crops: Tensor, block: nn.Sequential) -> bool:
    """Whether `djd.models.fused.fused` takes a block for crops (knee, channel, row, column).

    The block has a convolution of 3x3 with padding 1, batch normalization, pooling of 2x2, ReLU.
    """
    weight = cast(Tensor, block[0].weight)
    return (
        crops.device == weight.device
        and crops.dtype == weight.dtype
        and crops.shape[2] % 2 == 0
        and not any(layer._forward_hooks or layer._forward_pre_hooks for layer in block)
        and can_pass(crops, len(weight))
    )


def can_pass(maps: Tensor, channels: int) -> bool:
    """Whether passes take maps (knee, channel, row, column) and give so many channels."""
    knees, _, rows, columns = maps.shape
    return (
        maps.device.type == "cpu"
        and maps.dtype in TOLERANCES
        and not torch.is_autocast_enabled("cpu")
        and not _being_recorded(maps)
        and knees > 0
        and rows == columns
        and trusted(maps.dtype)
        and _fills_registers(channels, maps.dtype)
    )


def _fills_registers(channels: int, dtype: torch.dtype) -> bool:
    """On this processor, and on the one that decided."""
    decided = (_in_use[0] if _in_use else blocks_here()).lanes
    return decided is not None and channels % max(decided, lanes(dtype)) == 0


def _being_recorded(crops: Tensor) -> bool:
    """Whether PyTorch only records operations: the passes read memory, and leave no trace."""
    if type(crops) is not Tensor:  # a FakeTensor, for one, has no memory
        return True
    tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return tracing or torch.compiler.is_compiling()


@cache
def trusted(dtype: torch.dtype) -> bool:
    """Whether the passes are compiled here and agree with plain layers; checked once a process.

    An untested compiler may compile wrongly, and a training would not show that.
    """
    if library(in_double=dtype == torch.float64) is None:
        return False
    # New layers draw their weights, and a training's own are drawn after this.
    drawing, tracking = torch.random.fork_rng(devices=[]), torch.enable_grad()
    with drawing, torch.inference_mode(False), tracking:
        agrees = all(_agrees(dtype, channels) for channels in (1, CHANNELS))
    if not agrees:
        logging.getLogger("djd").warning(
            "the compiled blocks give other numbers than PyTorch's layers here: the layers are used"
        )
    return agrees


def _agrees(dtype: torch.dtype, channels: int) -> bool:
    random = torch.Generator().manual_seed(0)
    of_maps = ((3, channels, 2 * CHANNELS, 2 * CHANNELS), (CHANNELS, channels, 3, 3))
    draw = partial(torch.randn, generator=random, dtype=dtype)
    crops, *parameters = map(draw, (*of_maps, *[(CHANNELS,)] * 3))
    crops += 1  # a wrong mean shows
    ours, theirs = (_results(crops, parameters, compiled=compiled) for compiled in (True, False))
    return all(
        bool((mine - other).abs().max() <= TOLERANCES[dtype] * other.abs().max().clamp(min=1))
        for mine, other in zip(ours, theirs, strict=True)
    )


def _results(crops: Tensor, parameters: list[Tensor], *, compiled: bool) -> list[Tensor]:
    """Activation in training and in evaluation, features, gradients and running statistics."""
    channels = crops.shape[1]
    convolution = nn.Conv2d(channels, CHANNELS, kernel_size=3, padding=1, dtype=crops.dtype)
    norm = nn.BatchNorm2d(CHANNELS, dtype=crops.dtype)
    own = [*convolution.parameters(), *norm.parameters()]
    with torch.no_grad():
        for parameter, value in zip(own, parameters, strict=True):
            parameter.copy_(value)

    def layers(crops: Tensor, *_: nn.Module) -> Tensor:
        return nn.functional.max_pool2d(norm(convolution(crops)), 2).relu()

    def head(maps: Tensor) -> Tensor:
        return torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)

    out = (trained_activation if compiled else layers)(crops, convolution, norm)
    features = (mean_and_largest if compiled else head)(out)
    (out.square().sum() + features.square().sum()).backward()  # type: ignore[no-untyped-call]
    norm.eval()
    with torch.no_grad():
        scored = (scored_activation if compiled else layers)(crops, convolution, norm)
    # Not of the bias: it is 0, and what plain layers give is rounding.
    gradients = [cast(Tensor, each.grad) for each in (own[0], *own[2:])]
    statistics = [cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)]
    return [out, features, scored, *gradients, *statistics]
