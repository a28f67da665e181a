"""Networks whose head pools the last map: as good at any place of a knee, with few weights."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from djd.data.crop import CROP_SIZE
from djd.data.uptake import MEASURES
from djd.errors import InputError
from djd.grades import GRADE_COUNT
from djd.models.networks import KneeBlock, mean_and_largest, require_size, trained_with


class PooledCNN(nn.Module):
    """Blocks as in `KneeCNN`, then mean and maximum of each channel, dropout, one linear layer.

    Args:
        depth: Number of blocks, each of which halves the crop: 1 to 5.
        width: Channels of the first block, 1 to 256; each further block doubles them.
        dropout: Share of the pooled features that a training step leaves out, 0 to 1.
        uptake: Whether the measures of `relative_uptake` join the pooled features.
        both_knees: Whether the pooled features of the patient's other knee do, by the same blocks.
        views: Views in a crop, 1 or 2.
        pixels: Rows and columns of a crop.
        outputs: Outputs a knee.

    Raises:
        InputError: A value is out of range, or so many blocks leave no pixel.
    """

    def __init__(
        self,
        *,
        depth: int = 3,
        width: int = 16,
        dropout: float = 0.2,
        uptake: bool = False,
        both_knees: bool = False,
        views: int = 1,
        pixels: int = CROP_SIZE,
        outputs: int = GRADE_COUNT,
    ) -> None:
        super().__init__()
        require_size(depth, width, pixels=pixels)
        _require_options(dropout, uptake=uptake, both_knees=both_knees)
        self.uptake, self.both_knees = uptake, both_knees
        widths = [views, *(width * 2**block for block in range(depth))]
        self.blocks = nn.Sequential(*(self.block(ins, outs) for ins, outs in pairwise(widths)))
        measures = views * len(MEASURES) if uptake else 0
        self.standardized = OpenBatchNorm(measures, affine=False) if uptake else None
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(2 * widths[-1] * (1 + both_knees) + measures, outputs)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in its stub

    def block(self, channels_in: int, channels_out: int) -> nn.Module:
        """A new block, which halves rows and columns."""
        return KneeBlock(channels_in, channels_out)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The inputs beside crops that the options ask for."""
        other = ("other_knee", "has_other_knee") if self.both_knees else ()
        return (*(("uptake",) if self.uptake else ()), *other)

    @property
    def trained_with(self) -> str | None:
        """As `KneeCNN.trained_with`; None where no block can be compiled."""
        blocks = [block for block in self.blocks if isinstance(block, KneeBlock)]
        return trained_with(blocks) if blocks else None

    def forward(
        self,
        crops: Tensor,
        uptake: Tensor | None = None,
        other_knee: Tensor | None = None,
        has_other_knee: Tensor | None = None,
    ) -> Tensor:
        """Outputs float32 (knee, output) of crops float32 (knee, view, row, column).

        The other inputs are those of a `Batch`, and needed where `inputs` names them.
        """
        if self.both_knees:
            assert other_knee is not None
            assert has_other_knee is not None
            # In one pass, so that both knees share the statistics; an absent knee has no part.
            features = self.pooled(torch.cat([crops, other_knee[has_other_knee]]))
            others = features.new_zeros(len(crops), features.shape[1])
            others[has_other_knee] = features[len(crops) :]
            features = torch.cat([features[: len(crops)], others], dim=1)
        else:
            features = self.pooled(crops)
        if self.standardized is not None:
            features = torch.cat([features, self.standardized(uptake).to(features.dtype)], dim=1)
        outputs: Tensor = self.linear(self.dropout(features))
        return outputs

    def pooled(self, crops: Tensor) -> Tensor:
        """Mean, then maximum, of each channel of the last map: (knee, 2 * channel)."""
        last = self.blocks(crops)
        if isinstance(self.blocks[-1], KneeBlock):
            return mean_and_largest(last)
        return torch.cat([last.mean(dim=(2, 3)), last.amax(dim=(2, 3))], dim=1)


class ResidualNet(PooledCNN):
    """The same head on residual blocks of two convolutions; arguments as for `PooledCNN`."""

    def block(self, channels_in: int, channels_out: int) -> nn.Module:
        """A new residual block."""
        return ResidualBlock(channels_in, channels_out)


class ResidualBlock(nn.Module):
    """Two convolutions beside a short cut, which averages 2 by 2 pixels before its convolution.

    From He and others, "Deep residual learning for image recognition", CVPR 2016, with the short
    cut of He and others, "Bag of tricks for image classification", CVPR 2019 (ResNet-D). Batch
    normalization suits 32 knees: its error grows only below 16 images a batch (Wu and He, "Group
    normalization", ECCV 2018, figure 1).
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False),
            OpenBatchNorm(channels_out),
            nn.ReLU(),
            nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
            OpenBatchNorm(channels_out),
        )
        self.short_cut = nn.Sequential(
            nn.AvgPool2d(2),
            nn.Conv2d(channels_in, channels_out, 1, bias=False),
            OpenBatchNorm(channels_out),
        )

    def forward(self, crops: Tensor) -> Tensor:
        """(knee, channel, row / 2, column / 2) of (knee, channel, row, column)."""
        total: Tensor = self.residual(crops) + self.short_cut(crops)
        return total.relu()


class OpenBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalization that takes one value a channel, too, by its running statistics.

    A last batch may hold one knee, of which a deep network keeps one pixel: no deviation.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Values (knee, channel, ...) of the same shape."""
        if self.training and values.numel() == values.shape[1]:
            statistics = (self.running_mean, self.running_var)
            return nn.functional.batch_norm(
                values, *statistics, self.weight, self.bias, eps=self.eps
            )
        return super().forward(values)

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of axes."""


def _require_options(dropout: object, **switches: object) -> None:
    if type(dropout) not in (int, float) or not 0 <= dropout <= 1:  # type: ignore[operator]
        raise InputError(f"model.dropout: expected a number from 0 to 1, received {dropout}")
    for name, value in switches.items():
        if type(value) is not bool:
            raise InputError(f"model.{name}: expected true or false, received {value}")
