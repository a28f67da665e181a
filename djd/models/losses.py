"""Losses, and how a network's outputs become the probabilities of five grades."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from djd.grades import GRADE_COUNT


class Loss(Protocol):
    """Interface of every loss; the class need not inherit from anything."""

    outputs: int

    def __call__(self, outputs: Tensor, grades: Tensor) -> Tensor:
        """Mean loss, a scalar, of outputs (knee, output) and grades int64 (knee,), 0 to 4."""

    def probabilities(self, outputs: Tensor) -> Tensor:
        """(knee, grade 5), 0 to 1, rows sum to 1, of outputs (knee, output)."""


class CrossEntropy(nn.CrossEntropyLoss):
    """Cross entropy of five logits; `class_weights` None weighs all knees equally."""

    outputs = GRADE_COUNT

    def __init__(self, class_weights: Sequence[float] | None = None) -> None:
        super().__init__(torch.tensor(class_weights) if class_weights else None)

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Softmax of the logits, (knee, grade 5)."""
        return outputs.softmax(dim=1)


def balanced_weights(train_grades: NDArray[np.int64]) -> list[float]:
    """Weight of each grade: knees / (grades present * knees of the grade); 0 for an absent grade.

    As scikit-learn's `compute_class_weight("balanced")`, for int64 (knee,), 0 to 4, of the training
    part alone.
    """
    knees = np.bincount(train_grades, minlength=GRADE_COUNT)
    present = knees > 0
    weights = np.zeros(GRADE_COUNT)
    weights[present] = len(train_grades) / (present.sum() * knees[present])
    return [float(weight) for weight in weights]
