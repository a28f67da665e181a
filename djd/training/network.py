"""The study's convolutional network, with its depth as a parameter."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from djd.grades import GRADE_COUNT


class KneeCNN(nn.Module):
    """Blocks of convolution, batch normalization, pooling and ReLU, then one linear layer.

    Block i (from 0) has `width * 2**i` channels and halves the crop. Depth 3 and width 16 on
    one-channel crops of 128x128 pixels is the study's `SimpleCNN`.

    The study applies ReLU before pooling. The maximum and ReLU commute, gradients too, so pooling
    first gives the same numbers with ReLU on a quarter of the elements.

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
        self.blocks = nn.Sequential(*(_block(ins, outs) for ins, outs in pairwise(widths)))
        pixels = (crop_size // 2**depth) ** 2
        self.linear = nn.Linear(pixels * widths[-1], GRADE_COUNT)
        self.clip_logits = clip_logits
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in its stub

    def forward(self, crops: Tensor) -> Tensor:
        """Logits float32 (knee, grade 5) of crops float32 (knee, view, row, column)."""
        return self.grade(self.features(crops))

    def features(self, crops: Tensor) -> Tensor:
        """What the last block gives: float32 (knee, channel, row, column), 0 and above."""
        features: Tensor = self.blocks(crops.contiguous(memory_format=torch.channels_last))
        return features

    def grade(self, features: Tensor) -> Tensor:
        """Logits float32 (knee, grade 5) of what `features` gave."""
        logits: Tensor = self.linear(features.flatten(1))
        return logits.relu() if self.clip_logits else logits


def _block(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1),
        nn.BatchNorm2d(channels_out),
        nn.MaxPool2d(2),
        nn.ReLU(),
    )
