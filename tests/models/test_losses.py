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


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 0.5, 0.0, 3.0]])
def test_cross_entropy_is_pytorchs_and_its_probabilities_are_the_softmax(
    weights: list[float] | None,
) -> None:
    torch.manual_seed(0)
    outputs, grades = torch.randn(7, 5), torch.tensor([0, 1, 2, 3, 4, 0, 2])
    loss = CrossEntropy(class_weights=weights)
    expected = torch.nn.functional.cross_entropy(
        outputs, grades, torch.tensor(weights) if weights else None
    )
    assert loss.outputs == 5
    assert torch.equal(loss(outputs, grades), expected)
    assert torch.equal(loss.probabilities(outputs), outputs.softmax(dim=1))
