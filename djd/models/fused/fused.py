"""Convolution, batch normalization, pooling and ReLU as one step with a gradient of its own.

The maximum over a window commutes with what grows: instead of normalizing a convolution and pooling
it, its maximum is normalized, a quarter of the values; its minimum, where a channel's `gamma` is
negative.

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

from djd.models.fused import passes
from djd.models.fused.passes import Layers

Gradients = tuple[Tensor | None, ...]


def trained_activation(crops: Tensor, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """A block's output in training, (knee, channel, row / 2, column / 2); `norm` is updated.

    `crops` are (knee, channel, row, column); `convolution` is 3x3 with padding 1.
    """
    block = FusedFirstBlock if _is_first(crops) else FusedBlock
    layers = _layers(convolution, norm)
    activation: Tensor = block.apply(crops, norm, *layers)  # type: ignore[no-untyped-call]
    return activation


def scored_activation(crops: Tensor, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """A block's output in evaluation, by the running statistics; without a gradient.

    Args as in `trained_activation`.
    """
    layers = _layers(convolution, norm)
    if _is_first(crops):
        return passes.first_score(crops.contiguous(), layers, norm)
    return passes.score(_convolved(_channels_last(crops), layers.weight), layers, norm)


def mean_and_largest(maps: Tensor) -> Tensor:
    """Mean, then largest value, of each channel of square maps: (knee, 2 * channel)."""
    features: Tensor = FusedHead.apply(maps)  # type: ignore[no-untyped-call]
    return features


class FusedFirstBlock(torch.autograd.Function):
    """The first block: crops (knee, 1, row, column) that need no gradient."""

    @staticmethod
    def forward(ctx: Any, crops: Tensor, norm: nn.BatchNorm2d, *parameters: Tensor) -> Tensor:
        """Activation (knee, channel, row / 2, column / 2); parameters as in `Layers`."""
        crops = crops.contiguous()
        done = passes.first_forward(crops, Layers(*parameters), norm)
        ctx.save_for_backward(crops, *parameters, done.choice, done.statistics)
        return done.activation

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        """Gradients of weight, bias, gamma and beta."""
        crops, *parameters, choice, statistics = ctx.saved_tensors
        of_weight, of_gamma, of_beta = passes.first_backward(
            _channels_last(gradient), crops, Layers(*parameters), choice, statistics
        )
        return None, None, of_weight, torch.zeros_like(of_beta), of_gamma, of_beta


class FusedBlock(torch.autograd.Function):
    """Any block, with all gradients."""

    @staticmethod
    def forward(ctx: Any, crops: Tensor, norm: nn.BatchNorm2d, *parameters: Tensor) -> Tensor:
        """Activation (knee, channel, row / 2, column / 2); parameters as in `Layers`."""
        crops, layers = _channels_last(crops), Layers(*parameters)
        raw = _convolved(crops, layers.weight)
        done = passes.forward(raw, layers, norm)
        ctx.save_for_backward(crops, raw, *parameters, *done[1:])
        return done.activation

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        """Gradients of crops, weight, bias, gamma and beta."""
        crops, raw, weight, bias, gamma, beta, *kept = ctx.saved_tensors
        of_raw, of_gamma, of_beta = passes.backward(
            _channels_last(gradient), raw, Layers(weight, bias, gamma, beta), *kept
        )
        # Stride, padding, dilation, not transposed, no output padding, one group; which gradients.
        geometry = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
        wanted = [ctx.needs_input_grad[0], True, False]
        back = torch.ops.aten.convolution_backward
        of_crops, of_weight, _ = back(of_raw, crops, weight, None, *geometry, wanted)
        return of_crops, None, of_weight, torch.zeros_like(of_beta), of_gamma, of_beta


class FusedHead(torch.autograd.Function):
    """Mean and largest value of each channel of square maps (knee, channel, row, column)."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        """(knee, 2 * channel): the means, then the largest values."""
        maps = _channels_last(maps)
        features = passes.head(maps)
        ctx.save_for_backward(maps, features)
        return features

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Gradient of the maps."""
        return passes.head_backward(gradient.contiguous(), *ctx.saved_tensors)


def _is_first(crops: Tensor) -> bool:
    """Whether crops may be taken whole, as those of `FusedFirstBlock`.

    Two views have four times as many products of pixels: on one thread `FusedBlock` took a third
    (4 and 8 lanes) to two thirds (16 lanes) of the time.
    """
    needs_gradient = torch.is_grad_enabled() and crops.requires_grad
    return crops.shape[1] == 1 and not needs_gradient


def _layers(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Layers:
    return Layers(convolution.weight, cast(Tensor, convolution.bias), norm.weight, norm.bias)


def _channels_last(values: Tensor) -> Tensor:
    return values.contiguous(memory_format=torch.channels_last)


def _convolved(crops: Tensor, weight: Tensor) -> Tensor:
    return _channels_last(nn.functional.conv2d(crops, weight, padding=1))
