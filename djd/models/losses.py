"""What training makes small: cross entropy, with a weight for each grade where asked for."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from djd.grades import GRADE_COUNT

ClassWeights = Literal["none", "balanced"]


def grade_weights(
    class_weights: ClassWeights, train_grades: NDArray[np.int64]
) -> list[float] | None:
    """Weight of each grade in the cross entropy, or None where all knees count the same.

    `balanced` weighs a grade by knees / (grades present * knees of the grade), as scikit-learn's
    `compute_class_weight("balanced")` does; a grade that is absent weighs nothing.

    Args:
        class_weights: The choice.
        train_grades: int64 (knee,), grades of the training part, the only one anything is fitted
            on.
    """
    if class_weights == "none":
        return None
    knees = np.bincount(train_grades, minlength=GRADE_COUNT)
    present = knees > 0
    weights = np.zeros(GRADE_COUNT)
    weights[present] = len(train_grades) / (present.sum() * knees[present])
    return [float(weight) for weight in weights]
