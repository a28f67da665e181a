"""Both knees of a patient: the worse one, how unlike they are, and whether one is diseased."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from djd.errors import InputError
from djd.grades import GRADE_COUNT, GRADE_NAMES, SIDES, Side
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
        raise InputError(
            f"specificity: expected a share above 0 and up to 1, received {specificity}"
        )
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
        said.append(_disease_sentence(probabilities, cut))
    return said


def _worse_sentence(probabilities: NDArray[np.float64], given: Sequence[int]) -> str:
    worse = worse_side(probabilities)
    other = SIDES[1 - SIDES.index(worse)]
    grades = dict(zip(SIDES, given, strict=True))
    if grades[worse] == grades[other]:
        means = dict(zip(SIDES, expected_grade(probabilities), strict=True))
        high, low = (number(means[side], decimals=1) for side in (worse, other))
        if high == low:
            return f"Both knees are graded {GRADE_NAMES[grades[worse]]} (expected grade {high})"
        return (
            f"Both knees are graded {GRADE_NAMES[grades[worse]]}, the {worse} one with the higher "
            f"expected grade ({high} against {low})"
        )
    return (
        f"The {worse} knee is the worse one: {GRADE_NAMES[grades[worse]]}, "
        f"the {other} one {GRADE_NAMES[grades[other]]}"
    )


def _disease_sentence(probabilities: NDArray[np.float64], cut: DiseaseCut) -> str:
    sides = diseased_sides(probabilities, cut)
    one = f"The {sides[0]} knee counts" if sides else "Neither knee counts"
    counts = "Both knees count" if len(sides) == len(SIDES) else one
    return (
        f"{counts} as diseased (minimal or worse) at a specificity of {share(cut.specificity)}, "
        f"which asks for a probability of {share(cut.probability)}"
    )


PATIENT_COLUMNS = (
    *("use", "stamp", "scan", "worse_side", "grade", "name", "expected_right", "expected_left"),
    *("asymmetry", "diseased", "specificity", "flags", "sentence", "model", "file"),
)
"""Columns of `patients.csv`: a row a graded scan."""


def patient_row(knees: Sequence[Mapping[str, str]], cut: DiseaseCut | None) -> dict[str, str]:
    """The row of `PATIENT_COLUMNS` of a scan's two rows of `predictions.csv`, right and left.

    `asymmetry` is the right knee's expected grade less the left one's. `diseased` names the knees
    from the cut on, `neither`, or nothing where there is no cut.
    """
    probabilities = np.array(
        [[float(knee[f"p{grade}"]) for grade in range(GRADE_COUNT)] for knee in knees]
    )
    worse = worse_side(probabilities)
    there = knees[SIDES.index(worse)]
    right, left = expected_grade(probabilities)
    said = patient_sentences(probabilities, [int(knee["predicted"]) for knee in knees], cut)
    return {
        **{name: knees[0][name] for name in ("use", "stamp", "scan", "model", "file")},
        "worse_side": worse,
        "grade": there["predicted"],
        "name": there["name"],
        "expected_right": f"{right:.4f}",
        "expected_left": f"{left:.4f}",
        "asymmetry": f"{right - left:.4f}",
        "diseased": " ".join(diseased_sides(probabilities, cut)) or "neither" if cut else "",
        "specificity": f"{cut.specificity:g}" if cut else "",
        "flags": "; ".join(flags_of(knees)),
        "sentence": ". ".join(said),
    }


def flags_of(knees: Sequence[Mapping[str, str]]) -> list[str]:
    """Each flag in rows of `predictions.csv` once."""
    return list({flag: None for knee in knees for flag in knee["flags"].split("; ") if flag})


def diseased_sides(probabilities: NDArray[np.float64], cut: DiseaseCut) -> list[Side]:
    """The sides whose probability of any disease reaches the cut."""
    chances = 1 - probabilities[:, 0]
    return [side for side, chance in zip(SIDES, chances, strict=True) if chance >= cut.probability]
