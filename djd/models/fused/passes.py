"""The calls of `passes.c` as functions of tensors.

All tensors are on the CPU, of one floating type, float32 or float64, and maps (knee, channel, row,
column) are in channels_last order; those of a block's output have half the rows and columns.
Statistics and sums are float64.
"""

import ctypes
from functools import cache
from struct import Struct
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from djd.models.fused.compiled import library

ARRAYS = (
    *("crops", "raw", "weight", "bias", "gamma", "beta", "running_mean", "running_var", "batches"),
    *("pooled", "choice", "activation", "statistics", "sums"),
    *("gradient", "of_raw", "of_weight", "of_gamma", "of_beta"),
)
"""Addresses in the `block` of `passes.c`, in its order; a call needs some of them."""

_BLOCK = Struct(f"@P4l2d{len(ARRAYS)}P")

KERNEL = 9
"""Taps of a kernel of 3x3."""

MOMENTS = (KERNEL + 1) * KERNEL
"""Covariances of the pixels under the kernel, and their means."""

CROP_SUMS = 3 * 5 + 1 + 2 * 4 + 2 * 4 + 2 * 2 * 2
"""Sums over a crop, of which moments are made: `crop_sums` in `first.h`."""


class Layers(NamedTuple):
    """Parameters of a block: weight (channel out, channel in, 3, 3), others (channel out,)."""

    weight: Tensor
    bias: Tensor
    gamma: Tensor
    beta: Tensor


class Forward(NamedTuple):
    """Results of a block in training.

    activation: Map of the output.
    choice: uint8 of the same shape: place of the chosen pixel in its window of 2x2, or 4 where the
        ReLU lets nothing through.
    statistics: Of channels and, in a first block, of pixels.
    pooled: Chosen values, of the same shape, times the sign of gamma; a first block keeps none.
    """

    activation: Tensor
    choice: Tensor
    statistics: Tensor
    pooled: Tensor | None = None


@cache
def lanes(dtype: torch.dtype) -> int:
    """Channels worked on at a time: as many float32 or float64 as fill a vector register.

    Raises:
        RuntimeError: The passes are not compiled here.
    """
    return int(_library(dtype).lanes())


def first_forward(crops: Tensor, layers: Layers, norm: nn.BatchNorm2d) -> Forward:
    """A first block, of crops (knee, 1, row, column), in training; `norm` is updated."""
    channels = len(layers.gamma)
    done = Forward(*_halves(crops, channels), _zeros(2 * channels + MOMENTS))
    into = {"activation": done.activation, "choice": done.choice, "statistics": done.statistics}
    given = {"crops": crops, "sums": _zeros(len(crops) * CROP_SUMS)}
    _call("first_forward", crops, given | into, layers, norm)
    return done


def first_backward(
    gradient: Tensor, crops: Tensor, layers: Layers, choice: Tensor, statistics: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of weight, gamma and beta by that of the activation of `first_forward`."""
    given = {"crops": crops, "choice": choice, "statistics": statistics, "gradient": gradient}
    of_weight, of_gamma, of_beta = map(torch.empty_like, (layers.weight, layers.gamma, layers.beta))
    into = {"of_weight": of_weight, "of_gamma": of_gamma, "of_beta": of_beta}
    given["sums"] = _zeros(len(crops) * (KERNEL + 1) * len(layers.gamma))
    _call("first_backward", crops, given | into, layers)
    return of_weight, of_gamma, of_beta


def forward(raw: Tensor, layers: Layers, norm: nn.BatchNorm2d) -> Forward:
    """What follows a block's convolution, without its bias, in training; `norm` is updated."""
    knees, channels, _, _ = raw.shape
    activation, choice = _halves(raw, channels)
    done = Forward(activation, choice, _zeros(2 * channels), torch.empty_like(activation))
    given = {"raw": raw, "sums": _zeros(2 * knees * channels)}
    _call("forward", raw, given | done._asdict(), layers, norm)
    return done


def backward(
    gradient: Tensor, raw: Tensor, layers: Layers, *kept: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of raw, gamma and beta by that of the activation.

    `kept` are the other results of `forward`: choice, statistics and pooled.
    """
    knees, channels, _, _ = raw.shape
    given = dict(zip(Forward._fields[1:], kept, strict=True))
    given |= {"raw": raw, "gradient": gradient, "sums": _zeros(2 * knees * channels)}
    of_raw, of_gamma, of_beta = map(torch.empty_like, (raw, layers.gamma, layers.beta))
    into = {"of_raw": of_raw, "of_gamma": of_gamma, "of_beta": of_beta}
    _call("backward", raw, given | into, layers)
    return of_raw, of_gamma, of_beta


def first_score(crops: Tensor, layers: Layers, norm: nn.BatchNorm2d) -> Tensor:
    """Activation of a first block in evaluation, by the running statistics of `norm`."""
    activation, choice = _halves(crops, len(layers.gamma))
    arrays = {"crops": crops, "activation": activation, "choice": choice}
    _call("first_score", crops, arrays, layers, norm)
    return activation


def score(raw: Tensor, layers: Layers, norm: nn.BatchNorm2d) -> Tensor:
    """Activation in evaluation of any block's convolution without its bias."""
    knees, channels, _, _ = raw.shape
    activation, choice = _halves(raw, channels)
    into = {"pooled": activation, "activation": activation, "choice": choice}
    given = {"raw": raw, "sums": _zeros(2 * knees * channels)}
    _call("score", raw, given | into, layers, norm)
    return activation


def head(maps: Tensor) -> Tensor:
    """Mean, then largest value, of each channel of square maps: (knee, 2 * channel)."""
    features = torch.empty(len(maps), 2 * maps.shape[1], dtype=maps.dtype)
    _call("head", maps, {"raw": maps, "activation": features})
    return features


def head_backward(gradient: Tensor, maps: Tensor, features: Tensor) -> Tensor:
    """Gradient of maps by that of the features which `head` gave."""
    of_raw = torch.empty_like(maps)
    given = {"raw": maps, "activation": features, "gradient": gradient}
    _call("head_backward", maps, given | {"of_raw": of_raw})
    return of_raw


def _halves(maps: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """An empty map of a block's output, and as many uint8."""
    knees, _, size, _ = maps.shape
    shape = (knees, channels, size // 2, size // 2)
    half = torch.empty(shape, dtype=maps.dtype, memory_format=torch.channels_last)
    return half, torch.empty_like(half, dtype=torch.uint8)


def _zeros(count: int) -> Tensor:
    return torch.zeros(count, dtype=torch.float64)


def _call(
    name: str,
    maps: Tensor,
    arrays: dict[str, Tensor],
    layers: Layers | None = None,
    norm: nn.BatchNorm2d | None = None,
) -> None:
    """Call a function of `passes.c` with the addresses of its arrays."""
    channels, eps, momentum = maps.shape[1], 0.0, 0.0
    if layers is not None:
        channels = len(layers.gamma)
        arrays |= layers._asdict()
    if norm is not None:
        eps, momentum = norm.eps, cast(float, norm.momentum)
        arrays["running_mean"] = cast(Tensor, norm.running_mean)
        arrays["running_var"] = cast(Tensor, norm.running_var)
        arrays["batches"] = cast(Tensor, norm.num_batches_tracked)
    addresses = [arrays[each].data_ptr() if each in arrays else 0 for each in ARRAYS]
    sizes = (torch.get_num_threads(), len(maps), maps.shape[2], channels)
    block = _BLOCK.pack(_parallel(), *sizes, eps, momentum, *addresses)
    getattr(_library(maps.dtype), name)(block)


def _library(dtype: torch.dtype) -> ctypes.CDLL:
    compiled = library(in_double=dtype == torch.float64)
    if compiled is None:
        raise RuntimeError("the passes are not compiled here")
    return compiled


@cache
def _parallel() -> int:
    """Address of PyTorch's own way to give work to its threads; 0 where it can't be had.

    PyTorch makes its OpenMP's names known to all of a process. Other threads would wait for
    the ones that spin there after each step of PyTorch's.
    """
    try:
        address = ctypes.cast(ctypes.CDLL(None).GOMP_parallel, ctypes.c_void_p).value
    except (AttributeError, OSError, TypeError):
        return 0
    return address or 0
