"""The problems of a cohort: of its scans, of scans beside each other, and of the whole."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from djd.check.kinds import (
    ALIKE,
    COPY,
    DISAGREEMENT,
    EXCLUDE,
    FAINT,
    LABELS,
    LEFT_OUT,
    NO_GRADES,
    NOTHING_TO_TRAIN,
    PHANTOM,
    RELABELLED,
    SAME_PATIENT,
    SPLIT,
    UNLABELLED,
    UNREADABLE,
)
from djd.check.looks import Look
from djd.check.problems import Problem, worst_first
from djd.check.scan_problems import VIEWS, image_problems, name_problems, odd_images
from djd.data.cohort import Cohort
from djd.data.crop import Placement, Views
from djd.data.names import alike_names, one_form, unknown_names
from djd.data.problems import labels_obstacle, reading_obstacle
from djd.data.scan import ViewOrder
from djd.data.split import split_knees, split_patients
from djd.errors import InputError
from djd.grades import SIDES, LabelsFrom, OnError, Side
from djd.wording import count_of, first_of, listed

DEFAULT_FOLDS = 5
"""As `data.folds`."""

LEAST_FAINTNESS = float(np.log(2.5))
FAINT_DEVIATIONS = 3.0
LEAST_SCANS = 8
"""A view is faint beside others where the logarithm of its level lies so far below the median: by
so many deviations, estimated from the median absolute deviation, and by so much."""

_NORMAL = 1.4826  # deviations in a median absolute deviation

_SIDE_WORDS: dict[str, Side] = {side: side for side in SIDES}


@dataclass(frozen=True, eq=False)
class Choices:
    """How training would read the cohort; see the keys of `data`.

    The default is that of `train.py`, with its recipe.
    """

    crop: Placement = "study"
    views: Views = "each"
    labels_from: LabelsFrom = "auto"
    on_error: OnError = "stop"
    test_count: int = 40
    view_order: ViewOrder | None = None

    @property
    def changed(self) -> dict[str, object]:
        """The choices that are not the defaults, by key."""
        default = Choices()
        return {
            f"data.{each.name}": value
            for each in fields(self)
            if (value := getattr(self, each.name)) != getattr(default, each.name)
        }


@dataclass(frozen=True, eq=False)
class Checked:
    """A cohort and everything that was found in it.

    Attributes:
        looks: By scan, of those that could be read.
        problems: The worst first.
    """

    cohort: Cohort
    looks: Mapping[str, Look]
    problems: Sequence[Problem] = field(default_factory=list)

    @property
    def stops(self) -> bool:
        """Whether training would stop."""
        return any(each.stops for each in self.problems)


def checked(
    cohort: Cohort, looks: Mapping[str, Look], choices: Choices, before: Sequence[Problem] = ()
) -> Checked:
    """Every problem of a cohort, and those that were found before it was read."""
    found = [
        *before,
        *_unreadable(cohort, looks, choices),
        *(each for scan, look in looks.items() for each in image_problems(scan, look)),
        *(each for scan, look in looks.items() for each in name_problems(scan, look)),
        *(each for scan, look in looks.items() for each in odd_images(scan, look, choices.views)),
        *faint_problems(looks),
        *_phantoms(looks),
        *_grades(cohort),
        *copy_problems(cohort),
        *_patients(cohort),
        *_left_out(cohort),
    ]
    found += _of_the_whole(cohort, choices, stopped=any(each.stops for each in found))
    return Checked(cohort, looks, worst_first(found))


def unknown_exclusions(exclude: Sequence[str], scans: Collection[str]) -> Iterator[Problem]:
    """The names to leave out that no scan has."""
    for name in unknown_names(map(one_form, exclude), scans):
        yield Problem(EXCLUDE, f"no scan is named {name}")


def _unreadable(cohort: Cohort, looks: Mapping[str, Look], choices: Choices) -> Iterator[Problem]:
    for scan, sentence in cohort.unreadable.items():
        kind = NO_GRADES if scan in looks else UNREADABLE
        yield Problem(kind, sentence, scan, stops=choices.on_error == "stop")


def faint_problems(looks: Mapping[str, Look]) -> Iterator[Problem]:
    """The views of bodies with far fewer counts than those of the other scans."""
    looks = {scan: look for scan, look in looks.items() if look.body}
    if len(looks) < LEAST_SCANS:
        return
    levels = np.array([look.levels for look in looks.values()])
    shares = np.ones(levels.shape)
    faint = np.zeros(levels.shape, dtype=bool)
    for view in range(levels.shape[1]):
        there = levels[:, view] > 0
        if there.any():
            logs = np.log(levels[there, view])
            middle = np.median(logs)
            spread = _NORMAL * np.median(np.abs(logs - middle))
            shares[there, view] = np.exp(logs - middle)
            limit = max(FAINT_DEVIATIONS * spread, LEAST_FAINTNESS)
            faint[there, view] = logs < middle - limit
    for scan, views, least in zip(looks, faint, shares.min(axis=1), strict=True):
        if views.any():
            which = listed([name for name, low in zip(VIEWS, views, strict=True) if low])
            what = f"{which}: {100 * least:.2g} % of the median scan's counts in the trunk"
            yield Problem(FAINT, what, scan)


def _phantoms(looks: Mapping[str, Look]) -> Iterator[Problem]:
    invented = [scan for scan, look in looks.items() if look.phantom]
    if len(invented) < len(looks):
        for scan in invented:
            yield Problem(PHANTOM, "an invented scan, no patient", scan)


def _grades(cohort: Cohort) -> Iterator[Problem]:
    for kind, knees, what in (
        (DISAGREEMENT, cohort.disagreements, "severity id and severity name say two grades"),
        (RELABELLED, cohort.relabelled, "another grade in data.labels"),
    ):
        for scan, side in knees:
            yield Problem(kind, what, scan, _SIDE_WORDS[side])
    for scan in cohort.unlabelled:
        yield Problem(UNLABELLED, "no line in data.labels", scan)


def copy_problems(cohort: Cohort) -> Iterator[Problem]:
    """A problem for each two scans that are copies, of the later scan."""
    pairs: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for one, other in cohort.copies.tolist():
        scans = int(cohort.scan_index[one]), int(cohort.scan_index[other])
        pairs.setdefault(scans, []).append((one, other))
    for (later, earlier), knees in pairs.items():
        yield Problem(COPY, _copied(cohort, earlier, knees), cohort.scans[later])
    named = {cohort.scans[scan] for pair in pairs for scan in pair}
    first: dict[str, str] = {}
    for scan, digest in cohort.pixel_digests.items():  # scans without a graded knee, too
        if first.setdefault(digest, scan) != scan and scan not in named:
            yield Problem(COPY, f"{first[digest]}: the same pixels", scan)


def _copied(cohort: Cohort, earlier: int, knees: Sequence[tuple[int, int]]) -> str:
    later = int(cohort.scan_index[knees[0][0]])
    one, other = (cohort.pixel_digests[cohort.scans[scan]] for scan in (later, earlier))
    crossed = [cohort.side_index[one] != cohort.side_index[other] for one, other in knees]
    grades = [cohort.grades[one] != cohort.grades[other] for one, other in knees]
    said = ["the same pixels" if one == other else "the same noise in the counts"]
    said += ["mirrored, or right and left knee exchanged"] if all(crossed) else []
    said += ["with other grades"] if not all(crossed) and any(grades) else []
    return f"{cohort.scans[earlier]}: {', '.join(said)}"


def _patients(cohort: Cohort) -> Iterator[Problem]:
    scans: dict[str, list[str]] = {}
    for scan, patient in zip(cohort.scans, cohort.patients, strict=True):
        scans.setdefault(patient, []).append(scan)
    for patient, of_patient in scans.items():
        if len(of_patient) > 1:
            what = f"patient {patient}: {count_of(len(of_patient), 'scan')}"
            for scan in of_patient:
                yield Problem(SAME_PATIENT, f"{what}, {first_of(of_patient)}", scan)
    for alike in alike_names(scans):
        for patient in alike:
            others = first_of([repr(each) for each in alike if each != patient])
            for scan in scans[patient]:
                yield Problem(ALIKE, f"patient {patient!r} and {others}", scan)


def _left_out(cohort: Cohort) -> Iterator[Problem]:
    for what, count in cohort.left_out.items():
        yield Problem(LEFT_OUT, f"{count_of(count, 'file')}: {what}")


def _of_the_whole(cohort: Cohort, choices: Choices, *, stopped: bool) -> Iterator[Problem]:
    """Why training would stop at the whole cohort, where no scan says so already."""
    reading = reading_obstacle(cohort, choices.labels_from, choices.on_error)
    if reading and not (stopped and cohort.pixel_digests):
        yield Problem(NOTHING_TO_TRAIN, reading, stops=True)
    if sentence := labels_obstacle(cohort, choices.labels_from):
        yield Problem(LABELS, sentence, stops=True)
    if len(cohort) and (sentence := _split_obstacle(cohort, choices.test_count)):
        yield Problem(SPLIT, sentence, stops=True)


def _split_obstacle(cohort: Cohort, test_count: int) -> str | None:
    """Why the split of `conf/data/base.yaml` would stop training."""
    try:
        split = split_patients(cohort.patients, test_count=test_count)
        split_knees(cohort, split, folds=DEFAULT_FOLDS, fold=0, split_seed=0)
    except InputError as error:
        return str(error)
    return None
