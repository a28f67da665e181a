"""Models of scikit-learn that baselines are chosen from: features of a knee to its grade."""

import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from djd.grades import GRADE_COUNT

STEPS = 1000
"""The logistic solver's limit; a few dozen suffice."""

_TREES = 200
_LEAST_LEAF = 3  # knees of a leaf: below, trees learn the knees themselves
_FOLDS = 5

# The imports of scikit-learn take a second, and few commands that look at a sweep fit a model.


def logistic(inverse_penalty: float, class_weight: str) -> Any:
    """Multinomial logistic regression on standardized features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    weight = None if class_weight == "none" else class_weight
    model = LogisticRegression(C=inverse_penalty, class_weight=weight, max_iter=STEPS)
    return make_pipeline(StandardScaler(), model)


def extra_trees() -> Any:
    """Extremely randomized trees, the same ones each time."""
    from sklearn.ensemble import ExtraTreesClassifier

    return ExtraTreesClassifier(_TREES, min_samples_leaf=_LEAST_LEAF, random_state=0, n_jobs=1)


class Regressed:
    """A regression of the grade, whose predictions a logistic model turns into probabilities.

    The logistic model learns from predictions of training knees that were left out (cross
    validation): a regression knows its own training knees too well. Knees are left out in a row,
    so both of a patient are left out together, but for a few.
    """

    def __init__(self, kind: Literal["ridge", "support vectors"], penalty: float) -> None:
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVR

        regression = Ridge(alpha=penalty) if kind == "ridge" else SVR(C=1 / penalty)
        self._regression = make_pipeline(StandardScaler(), regression)
        self._logistic = logistic(10.0, "none")

    def fit(self, features: NDArray[np.float64], grades: NDArray[np.int64]) -> None:
        """Fit on features (knee, feature) and grades (knee,) of two kinds at least."""
        from sklearn.model_selection import cross_val_predict

        folds, true = min(_FOLDS, len(grades)), grades.astype(np.float64)
        left_out = cross_val_predict(self._regression, features, true, cv=folds)
        self._logistic.fit(_squared(left_out), grades)
        self._regression.fit(features, true)

    def predict_proba(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities of the grades in `classes_`, float64 (knee, grade)."""
        shares: NDArray[np.float64] = self._logistic.predict_proba(
            _squared(self._regression.predict(features))
        )
        return shares

    @property
    def classes_(self) -> NDArray[np.int64]:
        """The grades of the training knees."""
        classes: NDArray[np.int64] = self._logistic.classes_
        return classes


def _squared(severity: NDArray[np.float64]) -> NDArray[np.float64]:
    """A severity and its square: with the square, middle grades can be narrow."""
    return np.stack([severity, severity**2], axis=1)


def fit_and_predict(
    make: Callable[[], Any],
    features: NDArray[np.float64],
    grades: NDArray[np.int64],
    train: NDArray[np.int64],
    knees: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Probabilities of the held-out `knees` by a model of the `train` knees, of two grades or more.

    Features are float64 (knee of the cohort, feature). Returns float64 (knee, grade 5).
    """
    from sklearn.exceptions import ConvergenceWarning

    model = make()
    with warnings.catch_warnings():
        # Where grades are separated without fault, weights may still grow at the last step. The
        # folds judge such a fit like any other.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features[train], grades[train])
    probabilities = np.zeros((len(knees), GRADE_COUNT))
    probabilities[:, model.classes_] = model.predict_proba(features[knees])
    return probabilities
