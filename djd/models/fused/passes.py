"""The passes of `passes.c` as functions of tensors.

All tensors are on the CPU, of one floating type, float32 or float64, and in channels_last order
(crops in PyTorch's usual one). Sums come back as float64, added up over knees in a fixed order.
"""

import ctypes
from ctypes import c_long, c_void_p
from functools import cache
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from djd.models.fused.compiled import library

KERNEL = 9
"""Pixels under a kernel of 3x3."""


class _Arrays(ctypes.Structure):
    """`block_arrays` of `passes.c`."""

    _fields_: ClassVar = [
        *((name, c_long) for name in ("size", "channels")),
        *((name, c_void_p) for name in ("crops", "weights", "raw", "pooled", "choice")),
        *((name, c_void_p) for name in ("scale", "shift", "slope")),
        *((name, c_void_p) for name in ("activation", "gradient", "raw_gradient", "sums")),
    ]


class Pooled(NamedTuple):
    """Result of pooling a convolution.

    values: (knee, channel, row, column), the largest of each window.
    choice: uint8 of the same shape, its place in the window.
    mean: float64 (channel,), of all values before pooling.
    variance: float64 (channel,), divided by their number.
    """

    values: Tensor
    choice: Tensor
    mean: Tensor
    variance: Tensor


@cache
def lanes(dtype: torch.dtype) -> int:
    """Channels worked on at a time: as many float32 or float64 as fill a vector register.

    Raises:
        RuntimeError: The passes are not compiled here.
    """
    return int(_library(dtype).lanes())


def patch_moments(padded: Tensor) -> tuple[Tensor, Tensor]:
    """Mean float64 (tap,) and covariance float64 (tap, tap) of the pixels under a 3x3 kernel.

    `padded` are crops (knee, 1, row, column) with one more pixel on each side.
    """
    size = padded.shape[2] - 2
    sums = torch.zeros(len(padded), KERNEL + 1, KERNEL, dtype=torch.float64)
    _call("moments", padded, size, 1, crops=padded, sums=sums)
    moments = sums.sum(dim=0) / (len(padded) * size * size)
    products, mean = moments[:-1], moments[-1]
    return mean, products - torch.outer(mean, mean)


def pool_convolved(
    padded: Tensor, weights: Tensor, scale: Tensor, shift: Tensor
) -> tuple[Tensor, Tensor]:
    """ReLU of the scaled and shifted maximum of a convolution, and the place of the maximum.

    `padded` as in `patch_moments`, `weights` (channel, 1, 3, 3), `scale`, not negative, and `shift`
    (channel,); gives (knee, channel, row, column) of half the rows and columns, and uint8 alike.
    """
    size, channels = padded.shape[2] - 2, len(weights)
    activation = empty_like_channels_last(padded, len(padded), channels, size // 2)
    choice = torch.empty_like(activation, dtype=torch.uint8)
    by_tap = weights.reshape(channels, KERNEL).T.contiguous()
    given = {"crops": padded, "weights": by_tap, "scale": scale, "shift": shift}
    _call("first_forward", padded, size, channels, **given, activation=activation, choice=choice)
    return activation, choice


def sum_under_choice(padded: Tensor, gradient: Tensor, choice: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of the gradient times the pixels under the kernel at the chosen places, and of itself.

    `padded` and `choice` are those of `pool_convolved`, and `gradient` (knee, channel, row, column)
    is of its activation; gives float64 (channel, tap) and float64 (channel,).
    """
    size, channels = padded.shape[2] - 2, gradient.shape[1]
    sums = torch.zeros(len(padded), KERNEL + 1, channels, dtype=torch.float64)
    given = {"crops": padded, "choice": choice, "gradient": gradient}
    _call("first_backward", padded, size, channels, **given, sums=sums)
    whole = sums.sum(dim=0)
    return whole[:-1].T, whole[-1]


def pool(raw: Tensor) -> Pooled:
    """Pool windows of 2x2 of (knee, channel, row, column); with mean and variance of channels."""
    knees, channels, size, _ = raw.shape
    values = empty_like_channels_last(raw, knees, channels, size // 2)
    choice = torch.empty_like(values, dtype=torch.uint8)
    sums = torch.zeros(knees, 2, channels, dtype=torch.float64)
    _call("pool", raw, size, channels, raw=raw, pooled=values, choice=choice, sums=sums)
    means, squares = sums.unbind(dim=1)
    means = means / size**2
    mean = means.mean(dim=0)
    within, between = squares.mean(dim=0) / size**2, (means - mean).square().mean(dim=0)
    return Pooled(values, choice, mean, within + between)


def activate(pooled: Pooled, scale: Tensor, shift: Tensor) -> Tensor:
    """ReLU of the values, scaled and shifted by (channel,); `choice` is closed where it is 0."""
    _, channels, half, _ = pooled.values.shape
    activation = torch.empty_like(pooled.values)
    given = {"pooled": pooled.values, "choice": pooled.choice, "scale": scale, "shift": shift}
    _call("activate", pooled.values, 2 * half, channels, **given, activation=activation)
    return activation


def sum_gradients(gradient: Tensor, values: Tensor, choice: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of the gradient that passes the ReLU, and of it times the pooled values.

    `gradient` of the activation, `values` and `choice` of `Pooled` are of one shape; the sums are
    float64 (channel,) each.
    """
    knees, channels, half, _ = gradient.shape
    sums = torch.zeros(knees, 2, channels, dtype=torch.float64)
    given = {"pooled": values, "choice": choice, "gradient": gradient}
    _call("sum_gradients", gradient, 2 * half, channels, **given, sums=sums)
    plain, products = sums.sum(dim=0)
    return plain, products


def spread_gradients(
    gradient: Tensor, raw: Tensor, choice: Tensor, *, scale: Tensor, slope: Tensor, shift: Tensor
) -> Tensor:
    """`slope * raw + shift`, and at the chosen places `scale * gradient` more: shaped as raw.

    `gradient` and `choice` are (knee, channel, row, column); `raw` has twice the rows and columns;
    `scale`, `slope` and `shift` are (channel,).
    """
    _, channels, size, _ = raw.shape
    raw_gradient = torch.empty_like(raw)
    given = {"raw": raw, "choice": choice, "gradient": gradient}
    lines = {"scale": scale, "shift": shift, "slope": slope}
    _call("spread_gradients", raw, size, channels, **given, **lines, raw_gradient=raw_gradient)
    return raw_gradient


def empty_like_channels_last(like: Tensor, knees: int, channels: int, size: int) -> Tensor:
    """An empty (knee, channel, row, column) in channels_last order, of the type of another."""
    shape = (knees, channels, size, size)
    return torch.empty(shape, dtype=like.dtype, memory_format=torch.channels_last)


def _call(name: str, like: Tensor, size: int, channels: int, **arrays: Tensor) -> None:
    """Do a pass over all knees of `like`; the pass gets the addresses of the arrays."""
    places = {array: tensor.data_ptr() for array, tensor in arrays.items()}
    arguments = _Arrays(size=size, channels=channels, **places)
    threads = c_long(torch.get_num_threads())
    _library(like.dtype)[name](ctypes.byref(arguments), c_long(len(like)), _parallel(), threads)


def _library(dtype: torch.dtype) -> ctypes.CDLL:
    compiled = library(in_double=dtype == torch.float64)
    if compiled is None:
        raise RuntimeError("the passes are not compiled here")
    return compiled


@cache
def _parallel() -> c_void_p | None:
    """PyTorch's own way to give work to its threads; None where it can't be had: one thread.

    PyTorch makes its OpenMP's names known to all of a process. Other threads would wait for
    the ones that spin there after each step of PyTorch's.
    """
    try:
        return ctypes.cast(ctypes.CDLL(None).GOMP_parallel, c_void_p)
    except (AttributeError, OSError, TypeError):
        return None
