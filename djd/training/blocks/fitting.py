"""Whether a block can be taken by the compiled passes; where it can't, plain layers do the same."""

import logging
from functools import cache

import torch
from torch import Tensor, nn

from djd.training.blocks.compiled import library
from djd.training.blocks.fused import trained_activation
from djd.training.blocks.passes import LANES

TOLERANCES = {torch.float32: 1e-3, torch.float64: 1e-9}
"""How far the passes may be from plain layers; both err by rounding alone."""


def fits(crops: Tensor, convolution: nn.Conv2d) -> bool:
    """Whether `blocks.fused` can take this block.

    Args:
        crops: (knee, channel, row, column), what goes into the block.
        convolution: The block's, 3x3 with padding 1.
    """
    knees, _, rows, columns = crops.shape
    weight = convolution.weight
    return (
        crops.device.type == weight.device.type == "cpu"
        and crops.dtype == weight.dtype
        and crops.dtype in TOLERANCES
        and not torch.is_autocast_enabled("cpu")
        and not _being_recorded()
        and knees > 0
        and rows == columns
        and rows % 2 == 0
        and len(weight) % LANES == 0
        and trusted(crops.dtype)
    )


def _being_recorded() -> bool:
    """Whether PyTorch writes a graph of what is calculated: the passes would be missing in it."""
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
        agrees = all(_agrees(dtype, channels) for channels in (1, LANES))
    if not agrees:
        logging.getLogger("djd").warning(
            "the compiled blocks give other numbers than PyTorch's layers here: the layers are used"
        )
    return agrees


def _agrees(dtype: torch.dtype, channels: int) -> bool:
    random = torch.Generator().manual_seed(0)
    shapes = ((3, channels, LANES, LANES), (LANES, channels, 3, 3), (LANES,), (LANES,), (LANES,))
    crops, *parameters = (torch.randn(shape, generator=random, dtype=dtype) for shape in shapes)
    results = []
    for compiled in (True, False):
        convolution = nn.Conv2d(channels, LANES, kernel_size=3, padding=1, dtype=dtype)
        norm = nn.BatchNorm2d(LANES, dtype=dtype)
        with torch.no_grad():
            own = (convolution.weight, convolution.bias, norm.weight, norm.bias)
            for parameter, value in zip(own, parameters, strict=True):
                parameter.copy_(value)  # type: ignore[union-attr] # ours has a bias
        if compiled:
            out = trained_activation(crops, convolution, norm)
        else:
            out = nn.functional.max_pool2d(norm(convolution(crops)), 2).relu()
        out.square().mean().backward()  # type: ignore[no-untyped-call]
        results.append((out, convolution.weight.grad, norm.weight.grad, norm.bias.grad))
    return all(
        torch.allclose(ours, theirs, rtol=TOLERANCES[dtype], atol=TOLERANCES[dtype])
        for ours, theirs in zip(*results, strict=True)
    )
