"""Both knees of a patient: the worse one, how unlike they are, and whether one is diseased."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from djd.errors import InputError
from djd.grades import GRADE_NAMES, SIDES, Side
from djd.statistics.deciding import expected_grade
from djd.wording import number, share

ASYMMETRIC = 1.0
"""Grades between the expected grades of two knees from which a sentence calls them unlike."""


@dataclass(frozen=True)
class DiseaseCut:
    """The least probability of any disease (a grade above normal) that counts as disease.

    Attributes:
        probability: 0 to 1; a knee counts as diseased from here on.
        specificity: Share of normal knees that stay below, 0 to 1, as it was asked for.
        normals: Normal knees that the cut rests on.
    """

    probability: float
    specificity: float
    normals: int


def disease_cut(normals: NDArray[np.float64], specificity: float) -> DiseaseCut:
    """The lowest cut under which at least the asked share of normal knees stays.

    Args:
        normals: (knee), 0 to 1: the probability of any disease of each normal knee, graded by a
            network that did not train on its patient.
        specificity: The share, above 0 and up to 1.

    Raises:
        InputError: No normal knee is known, or the specificity is no such share.
    """
    if not 0 < specificity <= 1:
        raise InputError(f"specificity: expected a share above 0 and up to 1, got {specificity}")
    if not len(normals):
        raise InputError("specificity: expected normal knees graded out of fold, received none")
    below = int(np.ceil(specificity * len(normals) - 1e-9))
    highest = np.sort(normals)[below - 1]
    return DiseaseCut(float(np.nextafter(highest, 2)), specificity, len(normals))


def worse_side(probabilities: NDArray[np.float64]) -> Side:
    """The side with the larger expected grade; right where both are equal.

    `probabilities` are (side 2, grade 5), 0 to 1.
    """
    right, left = expected_grade(probabilities)
    return SIDES[int(left > right)]


def patient_sentences(
    probabilities: NDArray[np.float64], given: Sequence[int], cut: DiseaseCut | None = None
) -> list[str]:
    """The patient in plain sentences; no advice.

    Args:
        probabilities: (side 2, grade 5), 0 to 1, right and left.
        given: The grade of each knee, 0 to 4.
        cut: Says from which probability a knee counts as diseased; None says nothing of it.
    """
    said = [_worse_sentence(probabilities, given)]
    right, left = expected_grade(probabilities)
    if abs(right - left) >= ASYMMETRIC:
        said.append(f"The knees are unlike: {number(abs(right - left), decimals=1)} grades apart")
    if cut:
        said.append(_disease_sentence(1 - probabilities[:, 0], cut))
    return said


def _worse_sentence(probabilities: NDArray[np.float64], given: Sequence[int]) -> str:
    worse = worse_side(probabilities)
    other = SIDES[1 - SIDES.index(worse)]
    grades = dict(zip(SIDES, given, strict=True))
    if grades[worse] == grades[other]:
        means = dict(zip(SIDES, expected_grade(probabilities), strict=True))
        against = f"{number(means[worse], decimals=1)} against {number(means[other], decimals=1)}"
        return (
            f"Both knees are graded {GRADE_NAMES[grades[worse]]}, the {worse} one with the higher "
            f"expected grade ({against})"
        )
    return (
        f"The {worse} knee is the worse one: {GRADE_NAMES[grades[worse]]}, "
        f"the {other} one {GRADE_NAMES[grades[other]]}"
    )


def _disease_sentence(diseased: NDArray[np.float64], cut: DiseaseCut) -> str:
    sides = [
        side for side, chance in zip(SIDES, diseased, strict=True) if chance >= cut.probability
    ]
    named = {
        0: "Neither knee counts",
        1: f"The {'/'.join(sides)} knee counts",
        2: "Both knees count",
    }
    return (
        f"{named[len(sides)]} as diseased (minimal or worse) at a specificity of "
        f"{share(cut.specificity)}, which asks for a probability of {share(cut.probability)}"
    )
