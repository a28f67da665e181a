"""Scans to grades, a batch at a time."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from djd.data.crop import PLACEMENTS, Placement, crop_knees
from djd.data.scan import Scan, ScanError, read_scan, require_image
from djd.errors import InputError
from djd.grades import GRADE_COUNT, SIDES, Side
from djd.models.model import Model
from djd.statistics.deciding import Decision, expected_grade

SCANS_AT_ONCE = 32
"""Scans of a batch, 64 knees."""

Source = Path | str | Scan


@dataclass(frozen=True, eq=False)
class GradedScan:
    """Both knees of a scan, right before left.

    Attributes:
        name: File stem.
        path: The file; None where a `Scan` was given.
        first_row: First row of the crops in the scan, as the first model places them.
        crops: uint16 (side 2, view 2, row 128, column 128), counts a pixel, of the first model.
        present: bool (side 2), False for a knee that the file's labels leave unspecified.
        probabilities: float64 (side 2, grade 5), calibrated, 0 to 1, sums are 1.
        predicted: int64 (side 2), 0 to 4.
    """

    name: str
    path: Path | None
    first_row: int
    crops: NDArray[np.uint16]
    present: NDArray[np.bool_]
    probabilities: NDArray[np.float64]
    predicted: NDArray[np.int64]


@dataclass(frozen=True)
class UnreadScan:
    """A scan that can't be graded; the error is one sentence."""

    path: Path
    error: ScanError


@dataclass(frozen=True, eq=False)
class KneeGrades:
    """Grades of knees: a scan's right knee, its left knee, those of the next scan.

    Attributes:
        scans: Name of each knee's scan.
        sides: `right` or `left`.
        probabilities: float32 (knee, grade 5), calibrated, 0 to 1, rows sum to 1.
        predicted: uint8 (knee,), 0 (normal) to 4 (severe), by the model's rule.
        expected: float32 (knee,), mean grade by the probabilities, 0 to 4.
        entropy: float32 (knee,), of the probabilities in nats: 0 where one grade is sure, 1.61
            where all five are equally probable.
    """

    scans: tuple[str, ...]
    sides: tuple[Side, ...]
    probabilities: NDArray[np.float32]
    predicted: NDArray[np.uint8]
    expected: NDArray[np.float32]
    entropy: NDArray[np.float32]

    def __len__(self) -> int:
        """Number of knees."""
        return len(self.scans)

    @classmethod
    def of(cls, graded: Sequence[GradedScan]) -> "KneeGrades":
        """The knees of graded scans."""
        empty = np.zeros((0, len(SIDES), GRADE_COUNT))
        by_scan = np.array([each.probabilities for each in graded]) if graded else empty
        probabilities = by_scan.reshape(-1, GRADE_COUNT)
        predicted = np.array([each.predicted for each in graded], dtype=np.uint8).reshape(-1)
        return cls(
            scans=tuple(each.name for each in graded for _ in SIDES),
            sides=SIDES * len(graded),
            probabilities=probabilities.astype(np.float32),
            predicted=predicted,
            expected=expected_grade(probabilities).astype(np.float32),
            entropy=entropy_of(probabilities).astype(np.float32),
        )


def entropy_of(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Entropy in nats, (knee,), of probabilities (knee, grade 5)."""
    logs = np.log(np.where(probabilities > 0, probabilities, 1))
    entropy: NDArray[np.float64] = np.abs(-(probabilities * logs).sum(axis=1))
    return entropy


@dataclass(frozen=True)
class Grader:
    """One model, or several that grade together.

    Attributes:
        models: One or more.
        decision: How the mean of their calibrated probabilities becomes a grade.
    """

    models: tuple[Model, ...]
    decision: Decision

    @classmethod
    def of(cls, models: Sequence[Model]) -> "Grader":
        """A grader of models with one rule; raises InputError where they have several."""
        return cls(tuple(models), common_decision(models))

    @property
    def stamp(self) -> str | None:
        """The words for everything made with the models: PHANTOM, LEAK; None for neither."""
        stamps = {each.stamp: None for each in self.models if each.stamp}
        return ". ".join(stamps) or None

    def grade(
        self, scans: Source | Iterable[Source], *, at_once: int = SCANS_AT_ONCE
    ) -> KneeGrades:
        """Grade scans, which need no labels.

        Args:
            scans: Files, or scans as from `djd.read_scan`.
            at_once: Scans in memory at a time, 1 at least; changes no result beyond rounding.

        Raises:
            ScanError: A file can't be read; `grade_each` goes on with the others.
            DriveError: The drive failed.
        """
        graded = []
        for each in self.grade_each(scans, at_once=at_once):
            if isinstance(each, UnreadScan):
                raise each.error
            graded.append(each)
        return KneeGrades.of(graded)

    def grade_each(
        self, scans: Source | Iterable[Source], *, at_once: int = SCANS_AT_ONCE
    ) -> Iterator[GradedScan | UnreadScan]:
        """Grade scans one after the other, in their order; memory holds those of one batch.

        A labelled scan says which knees a network of both knees takes for absent, as in training;
        of a scan without labels both are there.

        Raises:
            DriveError: The drive failed.
        """
        sources: Iterator[Source]
        sources = iter((scans,) if isinstance(scans, Path | str | Scan) else scans)
        while batch := [self._cut(source) for source in islice(sources, max(1, at_once))]:
            cut = [each for each in batch if isinstance(each, _CutScan)]
            graded = iter(self._graded(cut) if cut else ())
            yield from (next(graded) if isinstance(each, _CutScan) else each for each in batch)

    def _cut(self, source: Source) -> "_CutScan | UnreadScan":
        if isinstance(source, Scan):
            scan, path = require_image(source), None
        else:
            path = Path(source)
            try:
                scan = read_scan(path, needs_labels=False)
            except ScanError as error:
                return UnreadScan(path, error)
        placements = dict.fromkeys(each.content.crops.placement for each in self.models)
        crops = {placement: crop_knees(scan, placement) for placement in placements}
        first_row = PLACEMENTS[next(iter(placements))](scan.counts[0])
        return _CutScan(scan.name, path, first_row, crops, _present(scan))

    def _graded(self, scans: Sequence["_CutScan"]) -> Iterator[GradedScan]:
        present = np.stack([each.present for each in scans])
        found = []
        for model in self.models:
            placement = model.content.crops.placement
            crops = np.stack([each.crops[placement] for each in scans])
            found.append(model.probabilities(crops, present))
        probabilities = np.mean(found, axis=0)
        predicted = self.decision.grades(probabilities.reshape(-1, GRADE_COUNT))
        given = zip(scans, probabilities, predicted.reshape(-1, len(SIDES)), strict=True)
        for scan, chances, grades in given:
            first = next(iter(scan.crops.values()))
            yield GradedScan(
                scan.name, scan.path, scan.first_row, first, scan.present, chances, grades
            )


@dataclass(frozen=True, eq=False)
class _CutScan:
    name: str
    path: Path | None
    first_row: int
    crops: dict[Placement, NDArray[np.uint16]]  # by placement, that of the first model first
    present: NDArray[np.bool_]


def _present(scan: Scan) -> NDArray[np.bool_]:
    labelled = np.array([grade is not None for grade in scan.grades])
    return labelled if labelled.any() else ~labelled


def common_decision(models: Sequence[Model]) -> Decision:
    """How the mean of the models' calibrated probabilities becomes a grade.

    Cuts of `shares` are the means of the models' cuts, which are in order as these are; where a
    model has none, the rule is the median.

    Raises:
        InputError: The models have several rules.
    """
    first = models[0].decision
    for each in models[1:]:
        if each.decision.rule != first.rule:
            raise InputError(
                f"{each.path}: expected the rule of {models[0].path} to grade together "
                f"(decide={first.rule}), received decide={each.decision.rule}"
            )
    cuts = [each.decision.cuts for each in models]
    there = [each for each in cuts if each]
    mean = tuple(map(float, np.mean(there, axis=0))) if len(there) == len(cuts) else None
    return Decision(first.rule, mean)
