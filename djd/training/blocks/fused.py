"""Convolution, batch normalization, pooling and ReLU as one step with a gradient of its own.

The maximum over a window commutes with what grows: instead of normalizing a convolution and pooling
it, its maximum is normalized, a quarter of the values. Where a channel's `gamma` is negative, its
weights change sign, so that what follows always grows.

With z the convolution, mu and sigma its mean and deviation over knees and pixels, n their number,
z* the chosen pixels and g the gradient that passes the ReLU there,

    y = relu(gamma (z* - mu) / sigma + beta)
    beta'  = sum g
    gamma' = sum g (z* - mu) / sigma
    z'     = gamma / sigma (g where chosen - beta' / n - gamma' / n (z - mu) / sigma)

(batch normalization as in Ioffe and Szegedy, "Batch normalization", ICML 2015), and z' goes back
through the convolution. In the first block nothing asks for the crops' gradient, and all sums that
the weights' gradient needs follow from the pixels p under the kernel: with m and C their mean and
covariance and z = w p, mu = w m, sigma^2 = w C w, and

    w' = gamma / sigma (sum g p* - beta' m - gamma' / sigma C w)

so that z is never kept. A bias of the convolution is taken off again by mu: its gradient is 0.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from djd.training.blocks import passes


def trained_activation(crops: Tensor, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """What a block gives in training, (knee, channel, row / 2, column / 2); `norm` moves on.

    Args:
        crops: (knee, channel, row, column), what goes into the block.
        convolution: The block's, 3x3 with padding 1.
        norm: The block's, which keeps running statistics.
    """
    block = FusedFirstBlock if _is_first(crops) else FusedBlock
    parameters = (convolution.weight, convolution.bias, norm.weight, norm.bias)
    out, mean, variance = block.apply(crops, *parameters, norm.eps)  # type: ignore[no-untyped-call]
    _move_on(norm, mean, variance, count=crops.numel() // crops.shape[1])
    activation: Tensor = out
    return activation


def scored_activation(crops: Tensor, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """What a block gives in evaluation, by the running statistics; without a gradient.

    Args:
        crops: (knee, channel, row, column), what goes into the block.
        convolution: The block's, 3x3 with padding 1.
        norm: The block's.
    """
    running_mean, running_var = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    sign, weight = _signed(convolution.weight, norm.weight)
    mean = sign * (running_mean - cast(Tensor, convolution.bias))
    scale = norm.weight.abs() * (running_var + norm.eps).rsqrt()
    shift = norm.bias - mean * scale
    if _is_first(crops):
        return passes.pool_convolved(_padded(crops), weight, scale, shift)[0]
    pooled = passes.pool(_convolved(_channels_last(crops), weight))
    return passes.activate(pooled, scale, shift)


class FusedFirstBlock(torch.autograd.Function):
    """The first block: crops (knee, 1, row, column) that need no gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        crops: Tensor,
        weight: Tensor,
        bias: Tensor,
        gamma: Tensor,
        beta: Tensor,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Activation (knee, channel, row / 2, column / 2), and mean and variance (channel,)."""
        sign, signed = _signed(weight, gamma)
        padded = _padded(crops)
        patch_mean, patch_covariance = passes.patch_moments(padded)
        flat = signed.reshape(len(signed), -1).double()
        spread = flat @ patch_covariance
        mean, variance = flat @ patch_mean, (spread * flat).sum(dim=1).clamp(min=0)
        inverse = (variance + eps).rsqrt()
        scale = gamma.abs() * inverse
        shift = beta - mean * scale
        activation, choice = passes.pool_convolved(
            padded, signed, scale.to(crops.dtype), shift.to(crops.dtype)
        )
        ctx.save_for_backward(padded, choice, flat, spread, patch_mean, mean, inverse, scale, sign)
        return activation, *_untracked(ctx, sign * mean + bias, variance, like=crops)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: Tensor, _mean: Tensor, _variance: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Gradients of weight, bias, gamma and beta."""
        padded, choice, flat, spread, patch_mean, mean, inverse, scale, sign = ctx.saved_tensors
        products, of_beta = passes.sum_under_choice(padded, _channels_last(gradient), choice)
        of_gamma = ((products * flat).sum(dim=1) - mean * of_beta) * inverse
        of_flat = products - torch.outer(of_beta, patch_mean)
        of_flat = (of_flat - (of_gamma * inverse)[:, None] * spread) * (scale * sign)[:, None]
        of_weight = of_flat.to(padded.dtype).view(len(flat), -1, 3, 3)
        return None, of_weight, *_of_channels(of_gamma * sign, of_beta, like=padded), None


class FusedBlock(torch.autograd.Function):
    """Any block, of which all gradients may be asked for."""

    @staticmethod
    def forward(
        ctx: Any,
        crops: Tensor,
        weight: Tensor,
        bias: Tensor,
        gamma: Tensor,
        beta: Tensor,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Activation (knee, channel, row / 2, column / 2), and mean and variance (channel,)."""
        sign, signed = _signed(weight, gamma)
        crops = _channels_last(crops)
        raw = _convolved(crops, signed)
        pooled = passes.pool(raw)
        inverse = (pooled.variance + eps).rsqrt()
        scale = (gamma.abs() * inverse).to(crops.dtype)
        shift = (beta - pooled.mean * scale).to(crops.dtype)
        activation = passes.activate(pooled, scale, shift)
        ctx.save_for_backward(crops, signed, raw, *pooled[:3], inverse, scale, sign)
        return activation, *_untracked(ctx, sign * pooled.mean + bias, pooled.variance, like=crops)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: Tensor, _mean: Tensor, _variance: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Gradients of crops, weight, bias, gamma and beta."""
        crops, signed, raw, values, choice, mean, inverse, scale, sign = ctx.saved_tensors
        gradient = _channels_last(gradient)
        of_beta, products = passes.sum_gradients(gradient, values, choice)
        of_gamma = (products - mean * of_beta) * inverse
        count = raw.numel() // raw.shape[1]
        slope = -scale * inverse * of_gamma / count
        shift = -scale * of_beta / count - slope * mean
        of_raw = passes.spread_gradients(
            gradient,
            raw,
            choice,
            scale=scale,
            slope=slope.to(raw.dtype),
            shift=shift.to(raw.dtype),
        )
        of_crops, of_weight = _convolved_back(of_raw, crops, signed, ctx.needs_input_grad[0])
        of_weight = of_weight * sign[:, None, None, None]
        return of_crops, of_weight, *_of_channels(of_gamma * sign, of_beta, like=raw), None


def _is_first(crops: Tensor) -> bool:
    """Whether crops may be taken whole, as those of `FusedFirstBlock`.

    Two views have four times as many products of pixels: `FusedBlock` takes a third to two thirds
    of the time.
    """
    _, views, rows, _ = crops.shape
    needs_gradient = torch.is_grad_enabled() and crops.requires_grad
    return views == 1 and rows % passes.lanes(crops.dtype) == 0 and not needs_gradient


def _untracked(ctx: Any, mean: Tensor, variance: Tensor, *, like: Tensor) -> tuple[Tensor, Tensor]:
    mean, variance = mean.to(like.dtype), variance.to(like.dtype)
    ctx.mark_non_differentiable(mean, variance)
    return mean, variance


def _of_channels(of_gamma: Tensor, of_beta: Tensor, *, like: Tensor) -> tuple[Tensor, ...]:
    """Gradients of bias, gamma and beta."""
    of_gamma, of_beta = of_gamma.to(like.dtype), of_beta.to(like.dtype)
    return torch.zeros_like(of_beta), of_gamma, of_beta


def _signed(weight: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor]:
    sign = torch.where(gamma < 0, -1.0, 1.0).to(weight.dtype)
    return sign, weight * sign[:, None, None, None]


def _padded(crops: Tensor) -> Tensor:
    """With a frame of zeros, in PyTorch's usual order."""
    return nn.functional.pad(crops, (1, 1, 1, 1)).contiguous()


def _channels_last(values: Tensor) -> Tensor:
    return values.contiguous(memory_format=torch.channels_last)


def _convolved(crops: Tensor, weight: Tensor) -> Tensor:
    return _channels_last(nn.functional.conv2d(crops, weight, padding=1))


def _convolved_back(
    of_raw: Tensor, crops: Tensor, weight: Tensor, needs_crops: bool
) -> tuple[Tensor | None, Tensor]:
    """Gradients of crops, where they are needed, and of the weight."""
    of_crops, of_weight, _ = torch.ops.aten.convolution_backward(
        of_raw,
        crops,
        weight,
        None,
        stride=[1, 1],
        padding=[1, 1],
        dilation=[1, 1],
        transposed=False,
        output_padding=[0, 0],
        groups=1,
        output_mask=[needs_crops, True, False],
    )
    return of_crops, of_weight


@torch.no_grad()
def _move_on(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor, *, count: int) -> None:
    """Running statistics, as `BatchNorm2d` moves them: with the unbiased variance."""
    momentum = cast(float, norm.momentum)
    cast(Tensor, norm.running_mean).lerp_(mean, momentum)
    cast(Tensor, norm.running_var).lerp_(variance * (count / (count - 1)), momentum)
    cast(Tensor, norm.num_batches_tracked).add_(1)
