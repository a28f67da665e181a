import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from djd.models.losses import CrossEntropy, balanced_weights


def test_balanced_weights_are_scikit_learns() -> None:
    grades = np.array([0] * 9 + [1] * 4 + [2] * 3 + [3] * 2 + [4])
    expected = compute_class_weight("balanced", classes=np.arange(5), y=grades)
    assert balanced_weights(grades) == pytest.approx(expected)


def test_an_absent_grade_weighs_nothing() -> None:
    grades = np.array([0, 0, 0, 1, 3, 3])
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=grades)
    assert balanced_weights(grades) == pytest.approx([expected[0], expected[1], 0, expected[2], 0])


def test_cross_entropy_is_the_mean_of_minus_the_logarithm_of_the_probability() -> None:
    outputs, grades = torch.randn(6, 5), torch.tensor([0, 1, 2, 3, 4, 4])
    loss = CrossEntropy()
    chances = loss.probabilities(outputs)
    torch.testing.assert_close(chances.sum(dim=1), torch.ones(6))
    torch.testing.assert_close(loss(outputs, grades), -chances[range(6), grades].log().mean())
    assert loss.outputs == 5


def test_weights_count_knees_of_a_grade_more() -> None:
    outputs, grades = torch.randn(3, 5), torch.tensor([0, 0, 4])
    costs = -CrossEntropy().probabilities(outputs)[range(3), grades].log()
    weighted = CrossEntropy([1.0, 1.0, 1.0, 1.0, 3.0])(outputs, grades)
    torch.testing.assert_close(weighted, (costs[0] + costs[1] + 3 * costs[2]) / 5)
