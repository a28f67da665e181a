"""Why each knee of a scan is doubtful: its crop, its probabilities, its image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from djd.data.crop import Places, crop_digests
from djd.models.model import Model
from djd.predict.crop_check import crop_doubts
from djd.predict.flags import FlagLimits, Likeness, disagreement
from djd.predict.patient import DiseaseCut, disease_cut
from djd.statistics.metrics import Array
from djd.statistics.risk_coverage import entropy

FLAT, MEMBERS, UNLIKE, TRAINED_ON = "flat", "members", "unlike", "trained on"
"""Flags without further words; the flag of the crop says why."""

Flags = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Doubts:
    """What makes a knee doubtful, by what a model file knows of its training cohort.

    Attributes:
        limits: Of entropy and disagreement.
        likeness: To the training crops.
        trained_on: Digests of the training crops of all models.
    """

    limits: FlagLimits
    likeness: Likeness
    trained_on: frozenset[bytes]

    @classmethod
    def of(cls, models: Sequence[Model]) -> "Doubts":
        """Limits of the first model's cohort; what its file doesn't know flags nothing."""
        model, training = models[0], models[0].content.training
        limits = FlagLimits(np.inf)
        if known := _out_of_fold(model):
            limits = FlagLimits.fitted(*known)
        knees = training.knee_patients.numpy()
        seen = [row.tobytes() for each in models for row in each.content.training.digests.numpy()]
        return cls(limits, Likeness.fitted(training.features.numpy(), knees), frozenset(seen))

    def flags(
        self,
        counts: NDArray[np.uint16],
        crops: NDArray[np.uint16],
        places: Places,
        members: Array,
        probabilities: Array,
        features: NDArray[np.float32],
    ) -> tuple[Flags, ...]:
        """Flags of the right and the left knee of a scan; none for an ordinary knee.

        Args:
            counts: uint16 (view 2, row 1024, column 256), counts a pixel.
            crops: uint16 (side 2, view 2, row 128, column 128), counts a pixel.
            places: Of these crops.
            members: (network, side 2, grade 5), 0 to 1: each network's own probabilities.
            probabilities: (side 2, grade 5), those that decide.
            features: float32 (side 2, feature), as `TrainingCohort.features`.
        """
        limits, apart = self.limits, disagreement(members)
        unlike = self.likeness.distances(features) > self.likeness.limit
        flat = entropy(probabilities) > limits.entropy
        digests = [row.tobytes() for row in crop_digests(crops)]
        return tuple(
            (
                *(f"crop: {reason}" for reason in reasons),
                *([FLAT] if flat[side] else []),
                *([MEMBERS] if apart[side] > limits.disagreement else []),
                *([UNLIKE] if unlike[side] else []),
                *([TRAINED_ON] if digests[side] in self.trained_on else []),
            )
            for side, reasons in enumerate(crop_doubts(counts, places))
        )


def _out_of_fold(model: Model) -> tuple[Array, Array] | None:
    """Out-of-fold probabilities (network, knee, grade 5), and those that decide (knee, grade 5)."""
    kept = model.content.training.out_of_fold
    if kept is None:
        return None
    members = kept.numpy().astype(np.float64)
    return members, model.decision.calibrated(members.mean(axis=0))


def model_cut(models: Sequence[Model], specificity: float) -> DiseaseCut | None:
    """The cut of `disease_cut` by the normal knees that a model graded out of fold.

    None where the model file has none, or where several models grade together, whose
    probabilities are others.
    """
    known, grades = _out_of_fold(models[0]), models[0].content.training.out_of_fold_grades
    if known is None or grades is None or len(models) > 1:
        return None
    normal, (_, chances) = grades.numpy() == 0, known
    return disease_cut(1 - chances[normal, 0], specificity) if normal.any() else None
