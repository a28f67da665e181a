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

MOMENTS = 10 * 9
"""Of the pixels under a kernel of 3x3: products of each two, and themselves."""


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
    activation, choice = _halves(crops, channels)
    statistics, sums = _doubles(2 * channels + MOMENTS), _doubles(len(crops) * MOMENTS)
    given = {"crops": crops, "activation": activation, "choice": choice}
    given |= {"statistics": statistics, "sums": sums}
    _call("first_forward", crops, channels, norm, **given, **layers._asdict())
    return Forward(activation, choice, statistics)


def first_backward(
    gradient: Tensor, crops: Tensor, layers: Layers, choice: Tensor, statistics: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of weight, gamma and beta by that of the activation of `first_forward`."""
    kept = {"crops": crops, "choice": choice, "statistics": statistics, "gradient": gradient}
    of_weight, of_gamma, of_beta = map(torch.empty_like, (layers.weight, layers.gamma, layers.beta))
    into = {"of_weight": of_weight, "of_gamma": of_gamma, "of_beta": of_beta}
    sums = _doubles(len(crops) * 10 * len(layers.gamma))
    channels = len(layers.gamma)
    _call("first_backward", crops, channels, **kept, **into, **layers._asdict(), sums=sums)
    return of_weight, of_gamma, of_beta


def forward(raw: Tensor, layers: Layers, norm: nn.BatchNorm2d) -> Forward:
    """What follows a block's convolution, without its bias, in training; `norm` is updated."""
    knees, channels, _, _ = raw.shape
    activation, choice = _halves(raw, channels)
    pooled = torch.empty_like(activation)
    statistics, sums = _doubles(2 * channels), _doubles(2 * knees * channels)
    given = {"raw": raw, "activation": activation, "choice": choice, "pooled": pooled}
    given |= {"statistics": statistics, "sums": sums}
    _call("forward", raw, channels, norm, **given, **layers._asdict())
    return Forward(activation, choice, statistics, pooled)


def backward(
    gradient: Tensor,
    raw: Tensor,
    layers: Layers,
    choice: Tensor,
    statistics: Tensor,
    pooled: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of raw, gamma and beta by that of the activation of `forward`."""
    kept = {"raw": raw, "choice": choice, "pooled": pooled, "statistics": statistics}
    of_raw, of_gamma, of_beta = map(torch.empty_like, (raw, layers.gamma, layers.beta))
    into = {"of_raw": of_raw, "of_gamma": of_gamma, "of_beta": of_beta}
    knees, channels, _, _ = raw.shape
    kept |= {"gradient": gradient, "sums": _doubles(2 * knees * channels)}
    _call("backward", raw, channels, **kept, **into, **layers._asdict())
    return of_raw, of_gamma, of_beta


def first_score(crops: Tensor, layers: Layers, norm: nn.BatchNorm2d) -> Tensor:
    """Activation of a first block in evaluation, by the running statistics of `norm`."""
    channels = len(layers.gamma)
    activation, choice = _halves(crops, channels)
    given = {"crops": crops, "activation": activation, "choice": choice}
    _call("first_score", crops, channels, norm, **given, **layers._asdict())
    return activation


def score(raw: Tensor, layers: Layers, norm: nn.BatchNorm2d) -> Tensor:
    """Activation in evaluation of any block's convolution without its bias."""
    channels = raw.shape[1]
    activation, _ = _halves(raw, channels)
    _call("score", raw, channels, norm, raw=raw, activation=activation, **layers._asdict())
    return activation


def head(maps: Tensor) -> Tensor:
    """Mean, then largest value, of each channel of square maps: (knee, 2 * channel)."""
    knees, channels, _, _ = maps.shape
    features = torch.empty(knees, 2 * channels, dtype=maps.dtype)
    _call("head", maps, channels, raw=maps, activation=features)
    return features


def head_backward(gradient: Tensor, maps: Tensor, features: Tensor) -> Tensor:
    """Gradient of maps by that of the features which `head` gave."""
    of_raw = torch.empty_like(maps)
    arrays = {"raw": maps, "activation": features, "gradient": gradient, "of_raw": of_raw}
    _call("head_backward", maps, maps.shape[1], **arrays)
    return of_raw


def _halves(maps: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """An empty map of a block's output, and as many uint8."""
    knees, _, size, _ = maps.shape
    shape = (knees, channels, size // 2, size // 2)
    half = torch.empty(shape, dtype=maps.dtype, memory_format=torch.channels_last)
    return half, torch.empty_like(half, dtype=torch.uint8)


def _doubles(count: int) -> Tensor:
    return torch.empty(count, dtype=torch.float64)


def _call(
    name: str, maps: Tensor, channels: int, norm: nn.BatchNorm2d | None = None, **arrays: Tensor
) -> None:
    """Call a function of `passes.c` with the addresses of its arrays."""
    eps = momentum = 0.0
    if norm is not None:
        eps, momentum = norm.eps, cast(float, norm.momentum)
        arrays["running_mean"] = cast(Tensor, norm.running_mean)
        arrays["running_var"] = cast(Tensor, norm.running_var)
        arrays["batches"] = cast(Tensor, norm.num_batches_tracked)
    places = [arrays[name].data_ptr() if name in arrays else 0 for name in ARRAYS]
    sizes = (torch.get_num_threads(), len(maps), maps.shape[2], channels)
    block = _BLOCK.pack(_parallel(), *sizes, eps, momentum, *places)
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
