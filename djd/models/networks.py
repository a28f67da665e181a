"""The study's convolutional network, with its depth as a parameter."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from djd.data.crop import CROP_SIZE
from djd.errors import InputError
from djd.grades import GRADE_COUNT

try:
    from djd.models.fused import fused
    from djd.models.fused.fusing import can_fuse, can_pass, trusted, use_blocks
except ModuleNotFoundError as error:  # without the optional `fused` all blocks are plain layers
    if not str(error.name).startswith("djd.models.fused"):
        raise
    FUSED = False
else:
    FUSED = True

MOST_BLOCKS = 5
MOST_WIDTH = 256


class KneeCNN(nn.Module):
    """Blocks of convolution, batch normalization, pooling and ReLU, then one linear layer.

    Block i (from 0) has `width * 2**i` channels and halves the crop. Depth 3 and width 16 on
    one-channel crops of 128x128 pixels is the study's `SimpleCNN`.

    The study applies ReLU before pooling. The maximum and ReLU commute, gradients too, so pooling
    first gives the same numbers with ReLU on a quarter of the elements. Where `KneeBlock` is
    compiled, pooling comes before batch normalization, too.

    Args:
        depth: Number of blocks, 1 to 5.
        width: Channels of the first block, 1 to 256.
        clip_logits: Whether a ReLU follows the linear layer, as in the study (a fault: a knee whose
            logits are all negative can't be learned from).
        views: Views in a crop, 1 or 2.
        pixels: Rows and columns of a crop.
        outputs: Outputs a knee.

    Raises:
        InputError: Depth or width is out of range.
    """

    def __init__(
        self,
        *,
        depth: int,
        width: int = 16,
        clip_logits: bool = False,
        views: int = 1,
        pixels: int = CROP_SIZE,
        outputs: int = GRADE_COUNT,
    ) -> None:
        super().__init__()
        require_size(depth, width, pixels=pixels)
        widths = [views, *(width * 2**block for block in range(depth))]
        self.blocks = nn.Sequential(*(KneeBlock(ins, outs) for ins, outs in pairwise(widths)))
        self.linear = nn.Linear((pixels // 2**depth) ** 2 * widths[-1], outputs)
        self.clip_logits = clip_logits
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in its stub

    def forward(self, crops: Tensor) -> Tensor:
        """Outputs float32 (knee, output) of crops float32 (knee, view, row, column)."""
        return self.grade(self.blocks(crops))

    @property
    def trained_with(self) -> str:
        """Whether any block's training steps were compiled; plain layers differ by rounding."""
        return trained_with(cast(Iterable[KneeBlock], self.blocks))

    def grade(self, features: Tensor) -> Tensor:
        """Outputs float32 (knee, output) of the last block's map (knee, channel, row, column)."""
        # Taken in the order in which channels_last features lie, which saves copying them; the few
        # weights are copied instead.
        by_pixel = (0, 2, 3, 1)
        weight = self.linear.weight.view(-1, *features.shape[1:]).permute(by_pixel)
        flat = features.permute(by_pixel).flatten(1)
        logits = nn.functional.linear(flat, weight.flatten(1), self.linear.bias)
        return logits.relu() if self.clip_logits else logits


class KneeBlock(nn.Sequential):
    """Convolution, batch normalization, pooling, ReLU: compiled where that fits, else these layers.

    Attributes:
        trained_compiled: Whether a training step has used the compiled passes.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        convolution = nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1)
        super().__init__(convolution, nn.BatchNorm2d(channels_out), nn.MaxPool2d(2), nn.ReLU())
        self.trained_compiled = False

    def forward(self, crops: Tensor) -> Tensor:
        """(knee, channel, row / 2, column / 2) of (knee, channel, row, column)."""
        if FUSED and can_fuse(crops, self):
            convolution, norm = cast(nn.Conv2d, self[0]), cast(nn.BatchNorm2d, self[1])
            if norm.training:
                self.trained_compiled = True
                return fused.trained_activation(crops, convolution, norm)
            if not torch.is_grad_enabled():
                return fused.scored_activation(crops, convolution, norm)
        activation = as_channels_last(crops)
        for layer in self:
            activation = layer(activation)
        return activation


def mean_and_largest(maps: Tensor) -> Tensor:
    """Mean, then largest value, of each channel of a compiled network's maps, (knee, 2 * channel).

    PyTorch takes some twelve operations forward and backward, which take longer than the values of
    a small map do.
    """
    if FUSED and can_pass(maps, maps.shape[1]):
        return fused.mean_and_largest(maps)
    return torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)


def trained_with(blocks: Iterable[KneeBlock]) -> str:
    """Whether a training step of any block was compiled, in words."""
    compiled = any(block.trained_compiled for block in blocks)
    return "compiled blocks" if compiled else "plain layers"


def choose_blocks(folder: Path) -> None:
    """Take, in all of this process, the blocks that a run's or sweep's folder records.

    Raises:
        InputError: The record is damaged.
    """
    if FUSED:
        use_blocks(folder)


def compile_blocks() -> None:
    """Compile and check the passes ahead of the first network of this process."""
    if FUSED:
        trusted(torch.float32)


def as_channels_last(crops: Tensor) -> Tensor:
    """The same (knee, channel, row, column) in channels_last order.

    PyTorch can't see the order of a single channel and takes the other one, in which pooling and
    batch normalization are slower; strides that state the order cost nothing.
    """
    if crops.shape[1] > 1:
        return crops.contiguous(memory_format=torch.channels_last)
    rows, columns = crops.shape[2:]
    return crops.contiguous().as_strided(crops.shape, (rows * columns, 1, columns, 1))


def require_size(depth: object, width: object, *, pixels: int) -> None:
    """Raise InputError for a depth or width out of range, or a depth that leaves no pixel."""
    blocks = min(MOST_BLOCKS, pixels.bit_length() - 1)
    of_crops = f" with data.pixels={pixels}"
    _require_from_1("model.depth", depth, blocks, of_crops)
    _require_from_1("model.width", width, MOST_WIDTH)


def _require_from_1(key: str, value: object, most: int, beside: str = "") -> None:
    if type(value) is not int or not 1 <= value <= most:
        raise InputError(
            f"{key}: expected a whole number from 1 to {most}, received {value}{beside}"
        )
