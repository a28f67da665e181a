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

from djd.training.blocks.compiled import library

KERNEL = 9
"""Pixels under a kernel of 3x3."""


class _FirstBlock(ctypes.Structure):
    _fields_: ClassVar = [
        *((name, c_long) for name in ("size", "channels")),
        *((name, c_void_p) for name in ("crops", "weights", "scale", "shift")),
        *((name, c_void_p) for name in ("activation", "choice", "gradient", "sums")),
    ]


class _AnyBlock(ctypes.Structure):
    _fields_: ClassVar = [
        *((name, c_long) for name in ("size", "channels")),
        *((name, c_void_p) for name in ("raw", "pooled", "choice", "scale", "shift")),
        *((name, c_void_p) for name in ("activation", "gradient", "slope", "raw_gradient", "sums")),
    ]


class Pooled(NamedTuple):
    """What pooling a convolution gave.

    values: (knee, channel, row, column), the largest of each window.
    choice: uint8 of the same shape, which place of the window it had.
    mean: float64 (channel,), of all values before pooling.
    variance: float64 (channel,), divided by their number.
    """

    values: Tensor
    choice: Tensor
    mean: Tensor
    variance: Tensor


@cache
def lanes(dtype: torch.dtype) -> int:
    """Channels that are worked on at a time: as many as fill a vector register of this processor.

    Args:
        dtype: float32 or float64.

    Raises:
        RuntimeError: The passes are not compiled here.
    """
    count: int = _library(dtype).lanes()
    return count


def patch_moments(padded: Tensor) -> tuple[Tensor, Tensor]:
    """Mean float64 (tap,) and covariance float64 (tap, tap) of the pixels under a 3x3 kernel.

    Args:
        padded: Crops (knee, 1, row, column) with one more pixel on each side.
    """
    knees, size = _crops_shape(padded)
    sums = torch.zeros(knees, KERNEL + 1, KERNEL, dtype=torch.float64)
    _call("moments", _FirstBlock, padded, size=size, crops=padded, sums=sums)
    moments = sums.sum(dim=0) / (knees * size * size)
    products, mean = moments[:-1], moments[-1]
    return mean, products - torch.outer(mean, mean)


def pool_convolved(
    padded: Tensor, weights: Tensor, scale: Tensor, shift: Tensor
) -> tuple[Tensor, Tensor]:
    """ReLU of the scaled and shifted maximum of a convolution, and which place had it.

    Args:
        padded: Crops (knee, 1, row, column) with one more pixel on each side.
        weights: (channel, 1, 3, 3).
        scale: (channel,), not negative.
        shift: (channel,).

    Returns:
        (knee, channel, row, column) of half the rows and columns, and uint8 of the same shape.
    """
    knees, size = _crops_shape(padded)
    channels = len(weights)
    activation = empty_like_channels_last(padded, knees, channels, size // 2)
    choice = torch.empty_like(activation, dtype=torch.uint8)
    by_tap = weights.reshape(channels, KERNEL).T.contiguous()
    _call(
        "first_forward",
        _FirstBlock,
        padded,
        size=size,
        channels=channels,
        crops=padded,
        weights=by_tap,
        scale=scale,
        shift=shift,
        activation=activation,
        choice=choice,
    )
    return activation, choice


def sum_under_choice(padded: Tensor, gradient: Tensor, choice: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of the gradient times the pixels under the kernel at the chosen places, and of itself.

    Args:
        padded: Crops (knee, 1, row, column) with one more pixel on each side.
        gradient: (knee, channel, row, column), of what `pool_convolved` gave.
        choice: From there.

    Returns:
        float64 (channel, tap) and float64 (channel,).
    """
    knees, size = _crops_shape(padded)
    channels = gradient.shape[1]
    sums = torch.zeros(knees, KERNEL + 1, channels, dtype=torch.float64)
    _call(
        "first_backward",
        _FirstBlock,
        padded,
        size=size,
        channels=channels,
        crops=padded,
        choice=choice,
        gradient=gradient,
        sums=sums,
    )
    whole = sums.sum(dim=0)
    return whole[:-1].T, whole[-1]


def pool(raw: Tensor) -> Pooled:
    """Pool windows of 2x2 and take the mean and variance of each channel on the way.

    Args:
        raw: (knee, channel, row, column).
    """
    knees, channels, size, _ = raw.shape
    values = empty_like_channels_last(raw, knees, channels, size // 2)
    choice = torch.empty_like(values, dtype=torch.uint8)
    sums = torch.zeros(knees, 2, channels, dtype=torch.float64)
    _call(
        "pool",
        _AnyBlock,
        raw,
        size=size,
        channels=channels,
        raw=raw,
        pooled=values,
        choice=choice,
        sums=sums,
    )
    means, squares = sums.unbind(dim=1)
    means = means / size**2
    mean = means.mean(dim=0)
    within, between = squares.mean(dim=0) / size**2, (means - mean).square().mean(dim=0)
    return Pooled(values, choice, mean, within + between)


def activate(pooled: Pooled, scale: Tensor, shift: Tensor) -> Tensor:
    """ReLU of the scaled and shifted values; `choice` is closed where nothing comes through.

    Args:
        pooled: What `pool` gave.
        scale: (channel,).
        shift: (channel,).
    """
    _, channels, half, _ = pooled.values.shape
    activation = torch.empty_like(pooled.values)
    _call(
        "activate",
        _AnyBlock,
        pooled.values,
        size=2 * half,
        channels=channels,
        pooled=pooled.values,
        choice=pooled.choice,
        scale=scale,
        shift=shift,
        activation=activation,
    )
    return activation


def sum_gradients(gradient: Tensor, values: Tensor, choice: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of the gradient that passes the ReLU, and of it times the pooled values.

    Args:
        gradient: (knee, channel, row, column), of what `activate` gave.
        values: Of `Pooled`, the same shape.
        choice: Of `Pooled`, the same shape.

    Returns:
        Twice float64 (channel,).
    """
    knees, channels, half, _ = gradient.shape
    sums = torch.zeros(knees, 2, channels, dtype=torch.float64)
    _call(
        "sum_gradients",
        _AnyBlock,
        gradient,
        size=2 * half,
        channels=channels,
        pooled=values,
        choice=choice,
        gradient=gradient,
        sums=sums,
    )
    plain, products = sums.sum(dim=0)
    return plain, products


def spread_gradients(
    gradient: Tensor, raw: Tensor, choice: Tensor, *, scale: Tensor, slope: Tensor, shift: Tensor
) -> Tensor:
    """`slope * raw + shift`, and at the chosen places `scale * gradient` more: shaped as raw.

    Args:
        gradient: (knee, channel, row, column), of what `activate` gave.
        raw: (knee, channel, row, column) of twice the rows and columns.
        choice: uint8, shaped as gradient.
        scale: (channel,).
        slope: (channel,).
        shift: (channel,).
    """
    _, channels, size, _ = raw.shape
    raw_gradient = torch.empty_like(raw)
    _call(
        "spread_gradients",
        _AnyBlock,
        raw,
        size=size,
        channels=channels,
        raw=raw,
        choice=choice,
        scale=scale,
        shift=shift,
        gradient=gradient,
        slope=slope,
        raw_gradient=raw_gradient,
    )
    return raw_gradient


def empty_like_channels_last(like: Tensor, knees: int, channels: int, size: int) -> Tensor:
    """Room for (knee, channel, row, column) in channels_last order, of the type of another."""
    shape = (knees, channels, size, size)
    return torch.empty(shape, dtype=like.dtype, memory_format=torch.channels_last)


def _crops_shape(padded: Tensor) -> tuple[int, int]:
    return len(padded), padded.shape[2] - 2


def _call(name: str, kind: type[ctypes.Structure], like: Tensor, **fields: int | Tensor) -> None:
    """Do a pass over all knees; of tensors it gets where they lie."""
    compiled = _library(like.dtype)
    told = {
        name: value.data_ptr() if isinstance(value, Tensor) else value
        for name, value in fields.items()
    }
    compiled[name](
        ctypes.byref(kind(**told)),
        c_long(len(like)),
        _parallel(),
        c_long(torch.get_num_threads()),
    )


def _library(dtype: torch.dtype) -> ctypes.CDLL:
    compiled = library(in_double=dtype == torch.float64)
    if compiled is None:
        raise RuntimeError("the passes are not compiled here")
    return compiled


@cache
def _parallel() -> c_void_p | None:
    """How work is given to the threads that PyTorch keeps; None where it can't be: one thread.

    PyTorch makes its OpenMP's names known to all of a process. Threads of our own would wait for
    the ones that spin there after each step of PyTorch's.
    """
    try:
        return ctypes.cast(ctypes.CDLL(None).GOMP_parallel, c_void_p)
    except (AttributeError, OSError, TypeError):
        return None
