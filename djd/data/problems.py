"""What is wrong with a cohort, in sentences: why training would stop, and what only warns."""

from djd.data.cohort import Cohort
from djd.data.crop import Views
from djd.data.names import alike_warning
from djd.data.oddities import MISSING_POSTERIOR, oddity_warnings
from djd.errors import InputError
from djd.grades import LabelsFrom, OnError
from djd.wording import count_of, first_of

MOST_DISAGREEING = 0.1
"""Share of knees whose id and name may disagree before training stops."""


def obstacles(
    cohort: Cohort, *, labels_from: LabelsFrom, on_error: OnError, views: Views = "anterior"
) -> list[str]:
    """The reasons why training would stop on this cohort, a sentence each."""
    found = (
        reading_obstacle(cohort, labels_from, on_error),
        views_obstacle(cohort, views),
        labels_obstacle(cohort, labels_from),
    )
    return [each for each in found if each]


def reading_obstacle(cohort: Cohort, labels_from: LabelsFrom, on_error: OnError) -> str | None:
    """Why scans that can't be read, or that have no grades, would stop training."""
    stops = on_error == "stop" or not cohort.pixel_digests
    if labels_from == "names" and cohort.unknown_names and stops:
        return (
            f"{cohort.root}: expected severity names whose grade is known "
            f"(data.labels_from=names), received {cohort.unknown_names} unknown ones; give their "
            "grades with data.grade_names=names.csv (columns spelling and grade; "
            "djd check --show-names prints the spellings), or say data.on_error=skip"
        )
    if not cohort.pixel_digests:
        first = next(iter(cohort.unreadable.values()))
        return f"{cohort.root}: expected readable scans, received none (first: {first})"
    if cohort.unreadable and on_error == "stop":
        count, reasons = len(cohort.unreadable), "; ".join(cohort.unreadable.values())
        return (
            f"{cohort.root}: {count} of {len(cohort.scans)} scans can't be read, mend them or say "
            f"data.on_error=skip: {reasons}"
        )
    if not len(cohort):
        return f"{cohort.root}: expected graded knees, received unspecified ones only"
    return None


def views_obstacle(cohort: Cohort, views: Views) -> str | None:
    """Why scans of one view would stop a training on both."""
    missing = cohort.oddities.get(MISSING_POSTERIOR)
    if not missing or views == "anterior":
        return None
    return (
        f"{cohort.root}: expected both views of each scan (data.views={views}), received "
        f"{len(missing)} without a posterior one ({first_of(missing)}); say data.views=anterior"
    )


def labels_obstacle(cohort: Cohort, labels_from: LabelsFrom) -> str | None:
    """Why severity ids and names that disagree too often would stop training."""
    disagreeing = len(cohort.disagreements)
    if labels_from != "auto" or disagreeing <= MOST_DISAGREEING * cohort.named_knees:
        return None
    return (
        f"{cohort.root}: severity ids and names disagree for {disagreeing} of "
        f"{cohort.named_knees} knees (first: {' '.join(cohort.disagreements[0])}); find out "
        "which are right, then say data.labels_from=ids or data.labels_from=names"
    )


def require_trainable(
    cohort: Cohort, *, labels_from: LabelsFrom, on_error: OnError, views: Views = "anterior"
) -> None:
    """Stop where a cohort is not fit for training.

    Raises:
        InputError: The first of `obstacles`.
    """
    for sentence in obstacles(cohort, labels_from=labels_from, on_error=on_error, views=views):
        raise InputError(sentence)


def warnings_of(cohort: Cohort, views: Views = "both") -> list[str]:
    """A sentence on each kind of thing that is odd: images, copies, and names."""
    others = (
        *(copies_warning(cohort), names_warning(cohort), alike_warning(cohort.patients)),
        *(relabelled_warning(cohort), unlabelled_warning(cohort)),
    )
    return [*oddity_warnings(cohort.oddities, views), *filter(None, others)]


def names_warning(cohort: Cohort) -> str | None:
    """The number of unknown severity names in a sentence, without the names."""
    if not cohort.unknown_names:
        return None
    return (
        f"severity names whose grade is not known: {cohort.unknown_names} "
        "(djd check --show-names prints the spellings, data.grade_names gives their grades)"
    )


def relabelled_warning(cohort: Cohort) -> str | None:
    """The knees to which `data.labels` gives another grade than their file, in a sentence."""
    if not cohort.relabelled:
        return None
    knees = first_of([" ".join(knee) for knee in cohort.relabelled])
    count = count_of(len(cohort.relabelled), "knee")
    return f"data.labels gives {count} another grade than the id in the file: {knees}"


def unlabelled_warning(cohort: Cohort) -> str | None:
    """The scans of which `data.labels` has no knee, in a sentence."""
    if not cohort.unlabelled:
        return None
    count = count_of(len(cohort.unlabelled), "scan")
    return f"data.labels has no line for {count}, left out: {first_of(cohort.unlabelled)}"


def copies_warning(cohort: Cohort) -> str | None:
    """The knees that are copies, in a sentence."""
    names = [
        f"{cohort.knee_name(one)} of {cohort.knee_name(other)}" for one, other in cohort.copies
    ]
    if not names:
        return None
    return f"copies: {first_of(names)} (name one scan of each pair in data.exclude)"
