"""When a grade is in doubt: flat probabilities, members that disagree, images unlike those seen.

Each flag is a score above a limit, and each limit is a quantile of the scores of training knees
that no network in question trained on. The check of the crop needs no network: `crop_check`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.model_selection import GroupKFold

from djd.statistics.deciding import expected_grade
from djd.statistics.metrics import Array
from djd.statistics.risk_coverage import entropy

FLAGGED_SHARE = 0.01
"""Share of the training knees whose score is above the limit of a flag."""

_FOLDS = 10


@dataclass(frozen=True)
class FlagLimits:
    """The limits above which knees are flagged.

    Attributes:
        entropy: Of `entropy`: flat probabilities.
        disagreement: Of `disagreement`; infinite where one network grades.
    """

    entropy: float
    disagreement: float = np.inf

    @classmethod
    def fitted(
        cls, members: Array, together: Array | None = None, *, share: float = FLAGGED_SHARE
    ) -> "FlagLimits":
        """Limits of a training cohort.

        Args:
            members: float64 (member, knee, grade 5), 0 to 1, out of fold: probabilities of each
                knee by networks that did not train on its patient.
            together: (knee, grade 5), those that decide; by default the members' mean.
            share: Of the knees, above each limit.
        """
        flat = limit_of(entropy(members.mean(axis=0) if together is None else together), share)
        several = limit_of(disagreement(members), share) if len(members) > 1 else np.inf
        return cls(flat, several)


def limit_of(scores: Array, share: float = FLAGGED_SHARE) -> float:
    """The least score that at most a share of the scores, float64 (knee,), lie above."""
    return float(np.quantile(scores, 1 - share, method="higher"))


def disagreement(members: Array) -> Array:
    """How far members are apart: standard deviation of their expected grades, float64 (knee,).

    `members` are float64 (member, knee, grade 5), 0 to 1; 0 for one member.
    """
    apart: Array = np.std([expected_grade(each) for each in members], axis=0)
    return apart


@dataclass(frozen=True, eq=False)
class Likeness:
    """How unlike the training crops an image is: Mahalanobis distance of a network's features.

    The covariance is shrunk (Ledoit and Wolf, Journal of Multivariate Analysis 88:365, 2004), since
    a network has about as many features as there are knees.

    Attributes:
        mean: float64 (feature,).
        precision: float64 (feature, feature), the inverse of the covariance.
        limit: Of the distance; infinite without features.
    """

    mean: Array
    precision: Array
    limit: float

    @classmethod
    def fitted(
        cls,
        features: NDArray[np.float32],
        patients: NDArray[Any],
        *,
        share: float = FLAGGED_SHARE,
    ) -> "Likeness":
        """Fit on the training knees of the network whose features these are.

        The limit is of distances from knees of other patients: ten parts, each left out in turn.

        Args:
            features: float32 (knee, feature), of two patients at least.
            patients: Of each knee, (knee,).
            share: Of the knees, above the limit.
        """
        if not features.shape[1] or len(np.unique(patients)) < 2:
            return cls(np.zeros(0), np.zeros((0, 0)), np.inf)
        distances = np.empty(len(features))
        parts = GroupKFold(min(_FOLDS, len(np.unique(patients))))
        for others, part in parts.split(features, groups=patients):
            distances[part] = _distances(features[part], *_fit(features[others]))
        return cls(*_fit(features), limit_of(distances, share))

    def distances(self, features: NDArray[np.float32]) -> Array:
        """Distances of knees, float64 (knee,), of features float32 (knee, feature)."""
        return _distances(features, self.mean, self.precision)


def _fit(features: NDArray[np.float32]) -> tuple[Array, Array]:
    shrunk = LedoitWolf().fit(features.astype(np.float64))
    return shrunk.location_, shrunk.precision_


def _distances(features: NDArray[np.float32], mean: Array, precision: Array) -> Array:
    apart = features - mean
    squares: Array = ((apart @ precision) * apart).sum(axis=1)
    return np.sqrt(np.maximum(squares, 0))
