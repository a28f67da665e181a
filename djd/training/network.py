"""The study's convolutional network, with its depth as a parameter."""

from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from djd.grades import GRADE_COUNT
from djd.training.blocks.fitting import fits
from djd.training.blocks.fused import scored_activation, trained_activation


class KneeCNN(nn.Module):
    """Blocks of convolution, batch normalization, pooling and ReLU, then one linear layer.

    Block i (from 0) has `width * 2**i` channels and halves the crop. Depth 3 and width 16 on
    one-channel crops of 128x128 pixels is the study's `SimpleCNN`.

    The study applies ReLU before pooling. The maximum and ReLU commute, gradients too, so pooling
    first gives the same numbers with ReLU on a quarter of the elements. Where `KneeBlock` is
    compiled, pooling comes before batch normalization, too.

    Args:
        depth: Number of blocks, 1 to 5.
        width: Channels of the first block.
        channels: Views in a crop: 1, or 2 for both.
        crop_size: Rows and columns of a crop, in pixels.
        clip_logits: Whether a ReLU follows the linear layer, as in the study (a fault: it clips
            the logits, and a knee whose logits are all negative can't be learned from).
    """

    def __init__(
        self,
        *,
        depth: int,
        width: int = 16,
        channels: int = 1,
        crop_size: int = 128,
        clip_logits: bool = False,
    ) -> None:
        super().__init__()
        widths = [channels, *(width * 2**block for block in range(depth))]
        self.blocks = nn.Sequential(*(KneeBlock(ins, outs) for ins, outs in pairwise(widths)))
        pixels = (crop_size // 2**depth) ** 2
        self.linear = nn.Linear(pixels * widths[-1], GRADE_COUNT)
        self.clip_logits = clip_logits
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in its stub

    def forward(self, crops: Tensor) -> Tensor:
        """Logits float32 (knee, grade 5) of crops float32 (knee, view, row, column)."""
        return self.grade(self.features(crops))

    @property
    def trained_with(self) -> str:
        """Whether any block's training steps were compiled; plain layers differ by rounding."""
        compiled = any(cast(KneeBlock, block).trained_compiled for block in self.blocks)
        return "compiled blocks" if compiled else "plain layers"

    def features(self, crops: Tensor) -> Tensor:
        """What the last block gives: float32 (knee, channel, row, column), 0 and above."""
        features: Tensor = self.blocks(crops)
        return features

    def grade(self, features: Tensor) -> Tensor:
        """Logits float32 (knee, grade 5) of what `features` gave."""
        # Taken in the order in which channels_last features lie, which saves copying them; the few
        # weights are copied instead.
        by_pixel = (0, 2, 3, 1)
        weight = self.linear.weight.view(GRADE_COUNT, *features.shape[1:]).permute(by_pixel)
        flat = features.permute(by_pixel).flatten(1)
        logits = nn.functional.linear(flat, weight.flatten(1), self.linear.bias)
        return logits.relu() if self.clip_logits else logits


class KneeBlock(nn.Sequential):
    """Convolution, batch normalization, pooling, ReLU: compiled where that fits, else these layers.

    Args:
        channels_in: Of what goes in.
        channels_out: Of what comes out.

    Attributes:
        trained_compiled: Whether a training step has taken the compiled way.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        convolution = nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1)
        super().__init__(convolution, nn.BatchNorm2d(channels_out), nn.MaxPool2d(2), nn.ReLU())
        self.trained_compiled = False

    def forward(self, crops: Tensor) -> Tensor:
        """(knee, channel, row / 2, column / 2) of (knee, channel, row, column)."""
        if fits(crops, self):
            convolution, norm = cast(nn.Conv2d, self[0]), cast(nn.BatchNorm2d, self[1])
            if norm.training:
                self.trained_compiled = True
                return trained_activation(crops, convolution, norm)
            if not torch.is_grad_enabled():
                return scored_activation(crops, convolution, norm)
        activation = as_channels_last(crops)
        for layer in self:
            activation = layer(activation)
        return activation


def as_channels_last(crops: Tensor) -> Tensor:
    """The same (knee, channel, row, column) in channels_last order.

    Of a single channel PyTorch can't tell the order and takes the other one, in which pooling and
    batch normalization are slower; strides that say it cost nothing.
    """
    if crops.shape[1] > 1:
        return crops.contiguous(memory_format=torch.channels_last)
    rows, columns = crops.shape[2:]
    return crops.contiguous().as_strided(crops.shape, (rows * columns, 1, columns, 1))
