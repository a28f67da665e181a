"""Whether a block can be taken by the compiled passes; where it can't, plain layers do the same."""

import logging
from functools import cache
from typing import cast

import torch
from torch import Tensor, nn

from djd.models.fused.compiled import library
from djd.models.fused.fused import scored_activation, trained_activation
from djd.models.fused.passes import LANES, MOST_VIEWS

TOLERANCES = {torch.float32: 1e-3, torch.float64: 1e-9}
"""How far the passes may be from plain layers; both err by rounding alone."""


def fits(crops: Tensor, block: nn.Sequential) -> bool:
    """Whether `blocks.fused` can take a block.

    Args:
        crops: (knee, channel, row, column), what goes in.
        block: Convolution of 3x3 with padding 1, batch normalization, pooling of 2x2, ReLU.
    """
    knees, _, rows, columns = crops.shape
    weight = cast(Tensor, block[0].weight)
    return (
        crops.device.type == weight.device.type == "cpu"
        and crops.dtype == weight.dtype
        and crops.dtype in TOLERANCES
        and not torch.is_autocast_enabled("cpu")
        and not _being_recorded(crops)
        and not any(layer._forward_hooks or layer._forward_pre_hooks for layer in block)
        and knees > 0
        and rows == columns
        and rows % 2 == 0
        and len(weight) % LANES == 0
        and trusted(crops.dtype)
    )


def _being_recorded(crops: Tensor) -> bool:
    """Whether PyTorch only looks what is calculated: the passes read memory, and leave no trace."""
    if type(crops) is not Tensor:  # a FakeTensor, for one, has no memory
        return True
    tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return tracing or torch.compiler.is_compiling()


@cache
def trusted(dtype: torch.dtype) -> bool:
    """Whether the passes are compiled here and agree with plain layers; looked at once a process.

    A compiler that nobody has tried may compile wrongly, and a training would tell nobody.
    """
    if library(in_double=dtype == torch.float64) is None:
        return False
    # New layers draw their weights, and a training's own are drawn after this.
    drawing, tracking = torch.random.fork_rng(devices=[]), torch.enable_grad()
    with drawing, torch.inference_mode(False), tracking:
        agrees = all(_agrees(dtype, channels) for channels in (*range(1, MOST_VIEWS + 1), LANES))
    if not agrees:
        logging.getLogger("djd").warning(
            "the compiled blocks give other numbers than PyTorch's layers here: the layers are used"
        )
    return agrees


def _agrees(dtype: torch.dtype, channels: int) -> bool:
    random = torch.Generator().manual_seed(0)
    shapes = (
        (3, channels, 2 * LANES, 2 * LANES),
        (LANES, channels, 3, 3),
        (LANES,),
        (LANES,),
        (LANES,),
    )
    crops, *parameters = (torch.randn(shape, generator=random, dtype=dtype) for shape in shapes)
    ours, theirs = (_results(crops, parameters, compiled=compiled) for compiled in (True, False))
    return all(
        torch.allclose(one, other, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype])
        for one, other in zip(ours, theirs, strict=True)
    )


def _results(crops: Tensor, parameters: list[Tensor], *, compiled: bool) -> list[Tensor]:
    """Activation in training and in evaluation, gradients and running statistics."""
    channels = crops.shape[1]
    convolution = nn.Conv2d(channels, LANES, kernel_size=3, padding=1, dtype=crops.dtype)
    norm = nn.BatchNorm2d(LANES, dtype=crops.dtype)
    own = [*convolution.parameters(), *norm.parameters()]
    with torch.no_grad():
        for parameter, value in zip(own, parameters, strict=True):
            parameter.copy_(value)

    def layers(crops: Tensor, *_: nn.Module) -> Tensor:
        return nn.functional.max_pool2d(norm(convolution(crops)), 2).relu()

    out = (trained_activation if compiled else layers)(crops, convolution, norm)
    out.square().mean().backward()  # type: ignore[no-untyped-call]
    norm.eval()
    with torch.no_grad():
        scored = (scored_activation if compiled else layers)(crops, convolution, norm)
    gradients = [cast(Tensor, parameter.grad) for parameter in own]
    statistics = [cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)]
    return [out, scored, *gradients, *statistics]
