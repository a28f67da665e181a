"""Losses that know the order of the grades; probabilities of neighbours never cross."""

import math
from collections.abc import Callable, Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from djd.errors import InputError
from djd.grades import GRADE_COUNT

CUTS = GRADE_COUNT - 1
"""Between neighbouring grades: a grade above 0, 1, 2 and 3."""


class WeighedLoss(nn.Module):
    """Mean of the terms of knees, (knee, term), each knee weighed by its grade.

    Args:
        class_weights: Weight of each grade; None weighs all knees equally.
    """

    weight: Tensor | None

    def __init__(self, class_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.register_buffer("weight", torch.tensor(class_weights) if class_weights else None)

    def mean(self, terms: Tensor, grades: Tensor, there: Tensor | None = None) -> Tensor:
        """Mean over the terms that are `there`, of shape (knee, term) or (knee, 1)."""
        weights = torch.ones_like(terms) if self.weight is None else self.weight[grades][:, None]
        weights = weights * (torch.ones_like(terms) if there is None else there)
        return (weights * terms).sum() / weights.sum()


class Ordinal(WeighedLoss):
    """Proportional odds: P(grade > k) is the sigmoid of one output minus the cut k.

    The cuts are parameters that stay in order: the first, and steps that a softplus keeps positive.
    Minimized is the mean binary cross entropy of the four questions "above k?". The model is of
    McCullagh, "Regression models for ordinal data", J R Stat Soc B 1980; the loss of Cao and
    others, "Rank consistent ordinal regression for neural networks" (CORAL), 2020, whose
    intercepts are in order only at the optimum.
    """

    outputs = 1

    def __init__(self, class_weights: Sequence[float] | None = None) -> None:
        super().__init__(class_weights)
        self.first_cut = nn.Parameter(torch.tensor([-(CUTS - 1) / 2]))
        self.steps = nn.Parameter(torch.full((CUTS - 1,), math.log(math.e - 1)))  # softplus: 1

    @property
    def cuts(self) -> Tensor:
        """The cuts in order, (cut 4)."""
        return torch.cat([self.first_cut, nn.functional.softplus(self.steps)]).cumsum(dim=0)

    def forward(self, outputs: Tensor, grades: Tensor) -> Tensor:
        """Loss of outputs (knee, 1) and grades int64 (knee,)."""
        logits = outputs - self.cuts.to(outputs.dtype)
        return self.mean(_above_entropy(logits, grades), grades)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """(knee, grade 5) of outputs (knee, 1)."""
        return _between((outputs - self.cuts.to(outputs.dtype)).sigmoid())


class Corn(WeighedLoss):
    """Four outputs: the logit of a grade above k among the knees of grade k and more.

    From Shi, Cao and Raschka, "Deep neural networks for rank-consistent ordinal regression based
    on conditional probabilities", 2021, equations 4 and 5.
    """

    outputs = CUTS

    def forward(self, outputs: Tensor, grades: Tensor) -> Tensor:
        """Loss of outputs (knee, cut 4) and grades int64 (knee,)."""
        asked = grades[:, None] >= torch.arange(CUTS, device=grades.device)
        return self.mean(_above_entropy(outputs, grades), grades, asked)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """(knee, grade 5) of outputs (knee, cut 4)."""
        return _between(_running(torch.mul, outputs.sigmoid()))


class SoftLabels(WeighedLoss):
    """Cross entropy of five logits with labels that give near grades a share, too.

    A label is the softmax of `-sharpness` times the distance from the true grade, after Díaz and
    Marathe, "Soft labels for ordinal regression", CVPR 2019.
    """

    outputs = GRADE_COUNT
    labels: Tensor

    def __init__(
        self, sharpness: float = 1.5, class_weights: Sequence[float] | None = None
    ) -> None:
        super().__init__(class_weights)
        _require_positive("loss.sharpness", sharpness)
        grades = torch.arange(float(GRADE_COUNT))
        distances = (grades[:, None] - grades).abs()
        self.register_buffer("labels", (-sharpness * distances).softmax(dim=1), persistent=False)

    def forward(self, outputs: Tensor, grades: Tensor) -> Tensor:
        """Loss of outputs (knee, grade 5) and grades int64 (knee,)."""
        terms = -self.labels[grades] * outputs.log_softmax(dim=1)
        return self.mean(terms.sum(dim=1, keepdim=True), grades)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Softmax of the logits, (knee, grade 5)."""
        return outputs.softmax(dim=1)


class ExpectedGrade(WeighedLoss):
    """Squared error of a grade that is 2 plus the one output, so that a network starts amid them.

    Probabilities are those of a normal distribution around that grade, at the five grades.

    Args:
        deviation: Of that distribution, in grades.
        class_weights: Weight of each grade; None weighs all knees equally.
    """

    outputs = 1

    def __init__(
        self, deviation: float = 0.7, class_weights: Sequence[float] | None = None
    ) -> None:
        super().__init__(class_weights)
        _require_positive("loss.deviation", deviation)
        self.deviation = deviation

    def forward(self, outputs: Tensor, grades: Tensor) -> Tensor:
        """Loss of outputs (knee, 1) and grades int64 (knee,)."""
        return self.mean((outputs + CUTS / 2 - grades[:, None]).square(), grades)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """(knee, grade 5) of outputs (knee, 1)."""
        beside = torch.arange(GRADE_COUNT, device=outputs.device) - CUTS / 2
        # Without the square of the output, which is the same in all grades and may overflow.
        logits = (outputs * beside - beside.to(outputs.dtype).square() / 2) / self.deviation**2
        return logits.softmax(dim=1)


def _above_entropy(logits: Tensor, grades: Tensor) -> Tensor:
    """Binary cross entropy of logits (knee, cut 4) of a grade above each cut, same shape."""
    above = grades[:, None] > torch.arange(CUTS, device=grades.device)
    return nn.functional.binary_cross_entropy_with_logits(
        logits, above.to(logits.dtype), reduction="none"
    )


def _between(above: Tensor) -> Tensor:
    """Probabilities (knee, grade 5) of those of a grade above each cut, (knee, cut 4)."""
    ends = torch.ones_like(above[:, :1])
    # A sigmoid may rise by a rounding where its argument falls.
    falling = _running(torch.minimum, torch.cat([ends, above, 0 * ends], dim=1))
    return falling[:, :-1] - falling[:, 1:]


def _running(combine: Callable[[Tensor, Tensor], Tensor], values: Tensor) -> Tensor:
    """Each column combined with all before it: ONNX has neither cummin nor cumprod."""
    return torch.stack(list(accumulate(values.unbind(dim=1), combine)), dim=1)


def _require_positive(key: str, value: object) -> None:
    if type(value) not in (int, float) or not 0 < value < math.inf:  # type: ignore[operator]
        raise InputError(f"{key}: expected a number above 0, received {value}")
