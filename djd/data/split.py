"""Patients and knees of each part: test, development, and the folds of the development patients."""

import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from djd.data.cohort import Cohort
from djd.errors import InputError
from djd.files import read_bytes
from djd.grades import GRADE_COUNT, GRADE_NAMES
from djd.wording import first_of


@dataclass(frozen=True)
class PatientSplit:
    """The development and the test patients of a cohort, in order of their last file."""

    development: tuple[str, ...]
    test: tuple[str, ...]

    @classmethod
    def load(cls, path: Path) -> "PatientSplit":
        """Read back the file of `save_split`."""
        lists = json.loads(read_bytes(path))
        return cls(development=tuple(lists["development"]), test=tuple(lists["test"]))


@dataclass(frozen=True, eq=False)
class Parts:
    """The knees of one training: int64 (knee,), indices into the cohort's knees, rising.

    `validation` is empty where a model is fitted on all development patients.
    """

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]

    def items(self) -> Iterable[tuple[str, NDArray[np.int64]]]:
        """Name and knees of each part."""
        return (("train", self.train), ("validation", self.validation), ("test", self.test))


def split_patients(
    patients: Sequence[str], *, test_count: int, test_patients: Iterable[str] | None = None
) -> PatientSplit:
    """Choose the test patients by file name alone, never by the contents of files.

    Args:
        patients: Patient of each file, in order of file name.
        test_count: Number of test patients: the last ones, each placed by their last file.
        test_patients: The test patients by name, in place of the last ones.

    Raises:
        InputError: Too few patients, or a named patient is not in the cohort.
    """
    in_order = list(dict.fromkeys(reversed(patients)))[::-1]
    if test_patients is None:
        if test_count >= len(in_order):
            raise InputError(
                f"data.test_count: expected fewer test patients than the {len(in_order)} patients "
                f"of the cohort, received {test_count}"
            )
        wanted = frozenset(in_order[len(in_order) - test_count :])
    else:
        wanted = frozenset(test_patients)
        if missing := sorted(wanted.difference(in_order)):
            raise InputError(
                f"data.test_list: expected patients of the cohort, received {', '.join(missing)}"
            )
        if not 0 < len(wanted) < len(in_order):
            raise InputError("data.test_list: expected some of the patients, received none or all")
    return PatientSplit(
        development=tuple(name for name in in_order if name not in wanted),
        test=tuple(name for name in in_order if name in wanted),
    )


def assign_folds(
    grades: NDArray[np.int64], patients: NDArray[np.str_], *, folds: int, seed: int
) -> NDArray[np.int64]:
    """Fold of each development knee, int64 (knee,): patients whole, grades spread evenly.

    Grades and patients are those of each knee; `seed` is `data.split_seed`, never a training seed.

    Raises:
        InputError: Fewer patients with graded knees than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # takes a second to import

    available = len(set(patients.tolist()))
    if available < folds:
        raise InputError(
            f"data.folds: expected at most {available}, the development patients with graded "
            f"knees, received {folds}"
        )
    splitter = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    # Where every grade has fewer knees than folds, scikit-learn refuses all but a single stratum.
    common = np.bincount(grades, minlength=GRADE_COUNT).max() >= folds
    strata = grades if common else np.zeros_like(grades)
    fold_of = np.full(len(grades), -1, dtype=np.int64)
    with warnings.catch_warnings():
        # A grade rarer than the folds is common in small cohorts; `grade_warnings` names the grade.
        warnings.simplefilter("ignore", UserWarning)
        for fold, (_, held_out) in enumerate(splitter.split(strata, strata, patients)):
            fold_of[held_out] = fold
    return fold_of


def split_knees(
    cohort: Cohort,
    split: PatientSplit,
    *,
    folds: int,
    fold: int | None,
    split_seed: int,
    share: float = 1.0,
    leak: bool = False,
) -> Parts:
    """Knees of each part, where `fold` of the development patients validates, or none.

    Only `share` of the training part's patients train, see `share_of`. `leak` trains on every knee,
    held-out knees included, as the study did.

    Raises:
        InputError: No graded knee on a part that needs one, a leak between parts, or a grade that
            development patients have and the training part lacks.
    """
    knee_patients = cohort.knee_patients
    development = np.flatnonzero(np.isin(knee_patients, split.development))
    test = np.flatnonzero(np.isin(knee_patients, split.test))
    if fold is None:
        parts = Parts(train=development, validation=development[:0], test=test)
    else:
        grades = cohort.grades[development]
        fold_of = assign_folds(grades, knee_patients[development], folds=folds, seed=split_seed)
        parts = Parts(
            train=development[fold_of != fold], validation=development[fold_of == fold], test=test
        )
    for part, knees in parts.items():
        if not len(knees) and not (part == "validation" and fold is None):
            raise InputError(f"split: expected graded knees on the {part} part, received none")
    _require_no_leak(cohort, parts)
    if share < 1:
        parts = replace(parts, train=share_of(cohort, parts.train, share=share, seed=split_seed))
    _require_grades(cohort, development, parts, share=share)
    return replace(parts, train=np.arange(len(cohort))) if leak else parts


def share_of(
    cohort: Cohort, knees: NDArray[np.int64], *, share: float, seed: int
) -> NDArray[np.int64]:
    """The knees of a share of their patients, one at least: int64 (knee,), rising.

    The patients of each worst grade are drawn from `seed` in turn, so that grades keep their shares
    about as they are, and the patients of a smaller share are among those of a larger one.
    """
    patients, patient = np.unique(cohort.knee_patients[knees], return_inverse=True)
    worst = np.zeros(len(patients), dtype=np.int64)
    np.maximum.at(worst, patient, cohort.grades[knees])
    drawn = np.random.default_rng(seed).permutation(len(patients))
    turn = np.empty(len(patients))
    for grade in range(GRADE_COUNT):
        of_grade = drawn[worst[drawn] == grade]
        turn[of_grade] = (np.arange(len(of_grade)) + 0.5) / max(1, len(of_grade))
    first = drawn[np.argsort(turn[drawn], kind="stable")]
    return knees[np.isin(patient, first[: max(1, round(share * len(patients)))])]


def _require_no_leak(cohort: Cohort, parts: Parts) -> None:
    """Raise where a patient, or a knee and a copy of it, are on two parts."""
    part_of_patient: dict[str, str] = {}
    part_of = np.full(len(cohort), "", dtype=object)
    for part, knees in parts.items():
        part_of[knees] = part
        for patient in np.unique(cohort.knee_patients[knees]).tolist():
            if part_of_patient.setdefault(patient, part) != part:
                raise InputError(
                    f"split: expected each patient on one part, received {patient} on "
                    f"{part_of_patient[patient]} and {part}"
                )
    apart = [(one, other) for one, other in cohort.copies if part_of[one] != part_of[other]]
    if apart:
        names = [
            f"{cohort.knee_name(one)} ({part_of[one]}) of {cohort.knee_name(other)} "
            f"({part_of[other]})"
            for one, other in apart
        ]
        raise InputError(
            f"split: expected no copy of a knee on another part, received {first_of(names)}; say "
            "in data.groups which scans are one patient's, or name one scan of each pair in "
            "data.exclude"
        )


def _require_grades(
    cohort: Cohort, development: NDArray[np.int64], parts: Parts, *, share: float
) -> None:
    lacking = set(cohort.grades[development].tolist()) - set(cohort.grades[parts.train].tolist())
    if lacking:
        remedy = "another data.split_seed or fewer data.folds"
        if share < 1:
            remedy = f"a larger data.share than {share:g}, {remedy}"
        raise InputError(
            f"split: expected every grade of the development patients on the training part, it "
            f"lacks {_named(sorted(lacking))}; choose {remedy}"
        )


def grade_warnings(parts: Mapping[str, "PartSummary"]) -> list[str]:
    """Sentences on grades that a part lacks."""
    sentences = []
    for part, who in parts.items():
        lacking = [grade for grade, knees in enumerate(who.knees_per_grade) if not knees]
        if lacking:
            sentences.append(f"no knee of grade {_named(lacking)} on the {part} part")
    return sentences


def _named(grades: Iterable[int]) -> str:
    return ", ".join(f"{grade} ({GRADE_NAMES[grade]})" for grade in grades)


@dataclass(frozen=True)
class PartSummary:
    """Patients with a graded knee on one part, by name, and their knees of each grade, 0 to 4."""

    patients: tuple[str, ...]
    knees_per_grade: tuple[int, ...]


def part_summaries(cohort: Cohort, parts: Parts) -> dict[str, PartSummary]:
    """Patients and knees per grade of each part that has any."""
    return {part: _summary(cohort, knees) for part, knees in parts.items() if len(knees)}


def _summary(cohort: Cohort, knees: NDArray[np.int64]) -> PartSummary:
    return PartSummary(
        patients=tuple(np.unique(cohort.knee_patients[knees]).tolist()),
        knees_per_grade=tuple(np.bincount(cohort.grades[knees], minlength=GRADE_COUNT).tolist()),
    )


def side_summaries(cohort: Cohort, split: PatientSplit) -> dict[str, PartSummary]:
    """Patients and knees per grade of the development and of the test patients."""
    knees = {
        side: np.flatnonzero(np.isin(cohort.knee_patients, patients))
        for side, patients in (("development", split.development), ("test", split.test))
    }
    return {side: _summary(cohort, chosen) for side, chosen in knees.items()}
