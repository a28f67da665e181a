"""Networks, losses, augmentations and schedules as people write their own, outside the package.

Tests name them by their import path, as a file of a config group does.
"""

import torch
from torch import Tensor, nn


class Perceptron(nn.Module):
    """No map of features anywhere.

    Args:
        hidden: Units of the only hidden layer.
        pixels: Rows and columns of a crop.
        outputs: Outputs a knee.
    """

    def __init__(self, hidden: int, pixels: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(pixels**2, hidden), nn.ReLU(), nn.Linear(hidden, outputs)
        )

    def forward(self, crops: Tensor) -> Tensor:
        logits: Tensor = self.layers(crops)
        return logits


class Convolutions(nn.Module):
    """Layers under names of their own."""

    def __init__(self, views: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(views, 3, kernel_size=5, stride=4)
        self.second = nn.Conv2d(3, 4, kernel_size=3)
        self.last = nn.Linear(4, outputs)

    def forward(self, crops: Tensor) -> Tensor:
        features = self.second(self.first(crops).relu()).relu()
        logits: Tensor = self.last(features.mean(dim=(2, 3)))
        return logits


class Dropping(Convolutions):
    """Half of the outputs' means are dropped in training: random numbers in every step."""

    def forward(self, crops: Tensor) -> Tensor:
        features = self.second(self.first(crops).relu()).relu().mean(dim=(2, 3))
        logits: Tensor = self.last(nn.functional.dropout(features, training=self.training))
        return logits


class WithBothKnees(nn.Module):
    """A network that looks at the other knee and at the uptake, too."""

    def __init__(self, views: int, outputs: int) -> None:
        super().__init__()
        self.knee = Convolutions(views, outputs)
        self.of_uptake = nn.Linear(2 * views, outputs)
        self.seen: list[dict[str, Tensor]] = []

    def forward(
        self, crops: Tensor, uptake: Tensor, other_knee: Tensor, has_other_knee: Tensor
    ) -> Tensor:
        given = {"crop": crops, "uptake": uptake, "other_knee": other_knee}
        self.seen.append(given | {"has_other_knee": has_other_knee})
        own, other = self.knee(crops), self.knee(other_knee)
        logits: Tensor = own - other * has_other_knee[:, None] + self.of_uptake(uptake)
        return logits


class Thresholds(nn.Module):
    """One output a knee, and between the grades thresholds that the loss learns itself."""

    outputs = 1

    def __init__(self) -> None:
        super().__init__()
        self.thresholds = nn.Parameter(torch.arange(4.0) - 1.5)

    def forward(self, outputs: Tensor, grades: Tensor) -> Tensor:
        chances = self.probabilities(outputs).gather(1, grades[:, None]).clamp(min=1e-6)
        return -chances.log().mean()

    def probabilities(self, outputs: Tensor) -> Tensor:
        above = torch.sigmoid(outputs - self.thresholds.sort().values.to(outputs.dtype))
        edge = torch.ones_like(outputs)
        above = torch.cat([edge, above, 0 * edge], dim=1)
        return above[:, :-1] - above[:, 1:]


class WithoutProbabilities(nn.CrossEntropyLoss):
    """A loss that says nothing of grades."""

    outputs = 5


class NoNetwork:
    """Can be made, and is no `nn.Module`."""


received: list[tuple[Tensor, int]] = []
"""What `add_noise` was given: counts and the generator's seed."""


def add_noise(counts: Tensor, generator: torch.Generator, *, most: float) -> Tensor:
    """Counts with up to `most` more in each pixel."""
    received.append((counts.clone(), generator.initial_seed()))
    return counts + most * torch.rand(counts.shape, generator=generator)
