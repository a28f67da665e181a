"""Scans to grades, a batch at a time."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from djd.data.crop import Placement, Places, Views, cut_knees, place_knees
from djd.data.scan import Scan, ScanError, ScanFiles, ViewOrder, read_scan, require_image
from djd.errors import InputError
from djd.grades import GRADE_COUNT, SIDES, Side
from djd.models.model import Model
from djd.predict.doubts import Doubts, Flags
from djd.statistics.deciding import Decision, expected_grade
from djd.statistics.risk_coverage import entropy
from djd.wording import listed

SCANS_AT_ONCE = 32
"""Scans of a batch, 64 knees."""

Source = ScanFiles | Path | str | Scan


@dataclass(frozen=True, eq=False)
class GradedScan:
    """Both knees of a scan, right before left.

    Attributes:
        name: Of the scan.
        files: The scan's files; None where a `Scan` was given.
        counts: uint16 (view 2, row 1024, column 256), counts a pixel.
        places: Of the crops in the scan, by the first model's placement.
        crops: uint16 (side 2, view 2, row 128, column 128), counts a pixel, of the first model.
        present: bool (side 2), False for a knee that the file's labels leave unspecified.
        probabilities: float64 (side 2, grade 5), calibrated, 0 to 1, sums are 1.
        predicted: int64 (side 2), 0 to 4.
        flags: Why each knee is doubtful, (side 2); see `Doubts`.
    """

    name: str
    files: ScanFiles | None
    counts: NDArray[np.uint16]
    places: Places
    crops: NDArray[np.uint16]
    present: NDArray[np.bool_]
    probabilities: NDArray[np.float64]
    predicted: NDArray[np.int64]
    flags: tuple[Flags, ...]


@dataclass(frozen=True)
class UnreadScan:
    """A scan that can't be graded; the error is one sentence."""

    files: ScanFiles
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
    def of(cls, graded: Iterable[GradedScan]) -> "KneeGrades":
        """The knees of graded scans, whose images aren't held."""
        lines = [(each.name, each.probabilities, each.predicted) for each in graded]
        names, by_scan, grades = zip(*lines, strict=True) if lines else ((), (), ())
        probabilities = np.array(by_scan, dtype=np.float64).reshape(-1, GRADE_COUNT)
        return cls(
            scans=tuple(name for name in names for _ in SIDES),
            sides=SIDES * len(names),
            probabilities=probabilities.astype(np.float32),
            predicted=np.array(grades, dtype=np.uint8).reshape(-1),
            expected=expected_grade(probabilities).astype(np.float32),
            entropy=entropy(probabilities).astype(np.float32),
        )


@dataclass(frozen=True)
class Grader:
    """One model, or several that grade together.

    Attributes:
        models: One or more.
        decision: How the mean of their calibrated probabilities becomes a grade.
        doubts: What makes a knee doubtful.
        view_order: As for `read_scan`.
    """

    models: tuple[Model, ...]
    decision: Decision
    doubts: Doubts
    view_order: ViewOrder | None = None

    @classmethod
    def of(cls, models: Sequence[Model]) -> "Grader":
        """A grader of models with one rule; raises InputError where they have several."""
        return cls(tuple(models), common_decision(models), Doubts.of(models))

    @property
    def stamp(self) -> str | None:
        """The words for everything made with the models: PHANTOM, LEAK; None for neither."""
        stamps = {each.stamp: None for each in self.models if each.stamp}
        return ". ".join(stamps) or None

    @property
    def views(self) -> Views:
        """What the models look at; of several the first that looks at the posterior view."""
        views: list[Views] = [each.content.crops.views for each in self.models]
        return next((each for each in views if each != "anterior"), "anterior")

    @property
    def in_words(self) -> str:
        """Setting of each model, and the start of its digest."""
        return listed([f"{each.content.setting} ({each.digest[:12]})" for each in self.models])

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
        return KneeGrades.of(map(_read, self.grade_each(scans, at_once=at_once)))

    def grade_each(
        self, scans: Source | Iterable[Source], *, at_once: int = SCANS_AT_ONCE
    ) -> Iterator[GradedScan | UnreadScan]:
        """Grade scans one after the other, in their order; memory holds those of two batches.

        A labelled scan says which knees a network of both knees takes for absent, as in training;
        of a scan without labels both are there.

        Raises:
            DriveError: The drive failed.
        """
        sources: Iterator[Source]
        sources = iter((scans,) if isinstance(scans, ScanFiles | Path | str | Scan) else scans)

        def read() -> list[_CutScan | UnreadScan]:
            return [self._cut(source) for source in islice(sources, max(1, at_once))]

        # Files are read and unpacked while the scans before them are graded.
        with ThreadPoolExecutor(max_workers=1) as reader:
            batch = read()
            while batch:
                following = reader.submit(read)
                cut = [each for each in batch if isinstance(each, _CutScan)]
                graded = iter(self._graded(cut) if cut else ())
                yield from (next(graded) if isinstance(each, _CutScan) else each for each in batch)
                batch = following.result()

    def _cut(self, source: Source) -> "_CutScan | UnreadScan":
        if isinstance(source, Scan):
            scan, files = require_image(source), None
        else:
            files = source if isinstance(source, ScanFiles) else ScanFiles.of(source)
            try:
                scan = read_scan(files, needs_labels=False, view_order=self.view_order)
                self._require_views(files, scan)
            except ScanError as error:
                return UnreadScan(files, error)
        placements = dict.fromkeys(each.content.crops.placement for each in self.models)
        places = {each: place_knees(scan.counts, each) for each in placements}
        crops = {each: cut_knees(scan.counts, there) for each, there in places.items()}
        return _CutScan(scan, files, places, crops, _present(scan))

    def _require_views(self, files: ScanFiles, scan: Scan) -> None:
        """Raise `ScanError` where a scan lacks a view that a model looks at."""
        if scan.missing_views and self.views != "anterior":
            raise ScanError(
                f"{files.path}: expected both views of the scan (the model has "
                f"data.views={self.views}), received none that is {listed(scan.missing_views)}"
            )

    def _graded(self, scans: Sequence["_CutScan"]) -> Iterator[GradedScan]:
        present = np.stack([each.present for each in scans])
        found, networks = [], []
        for model in self.models:
            networks.append(model.of_networks(_crops_of(scans, model), present))
            found.append(model.together(networks[-1]))
        probabilities, members = np.mean(found, axis=0), np.concatenate(networks)
        features = self.models[0].features(_crops_of(scans, self.models[0]), present)
        predicted = self.decision.grades(probabilities.reshape(-1, GRADE_COUNT))
        grades = predicted.reshape(-1, len(SIDES))
        for place, cut in enumerate(scans):
            first = self.models[0].content.crops.placement
            places, crops = cut.places[first], cut.crops[first]
            counts, chances = cut.scan.counts, probabilities[place]
            yield GradedScan(
                name=cut.scan.name,
                files=cut.files,
                counts=counts,
                places=places,
                crops=crops,
                present=cut.present,
                probabilities=chances,
                predicted=grades[place],
                flags=self.doubts.flags(
                    counts, crops, places, members[:, place], chances, features[place]
                ),
            )


@dataclass(frozen=True, eq=False)
class _CutScan:
    scan: Scan
    files: ScanFiles | None
    places: dict[Placement, Places]
    crops: dict[Placement, NDArray[np.uint16]]
    present: NDArray[np.bool_]


def _crops_of(scans: Sequence[_CutScan], model: Model) -> NDArray[np.uint16]:
    return np.stack([each.crops[model.content.crops.placement] for each in scans])


def _read(each: GradedScan | UnreadScan) -> GradedScan:
    if isinstance(each, UnreadScan):
        raise each.error
    return each


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
