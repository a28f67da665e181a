import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from djd.models.losses import grade_weights


def test_balanced_weights_are_scikit_learns() -> None:
    grades = np.array([0] * 9 + [1] * 4 + [2] * 3 + [3] * 2 + [4])
    expected = compute_class_weight("balanced", classes=np.arange(5), y=grades)
    assert grade_weights("balanced", grades) == pytest.approx(expected)


def test_an_absent_grade_weighs_nothing() -> None:
    grades = np.array([0, 0, 0, 1, 3, 3])
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=grades)
    assert grade_weights("balanced", grades) == pytest.approx(
        [expected[0], expected[1], 0, expected[2], 0]
    )


def test_no_weights_unless_asked_for() -> None:
    assert grade_weights("none", np.array([0, 1])) is None
