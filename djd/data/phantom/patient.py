"""One invented patient before the image is made, and the patient's lines of the manifest."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from djd.data.phantom.body import Body, invent_body
from djd.data.phantom.knee import Knee, draw_severities, read_grades
from djd.data.phantom.odd import Case, pose_case
from djd.data.phantom.style import Style
from djd.data.scan import KneeGrades
from djd.grades import SIDES, PhantomStyle

_UNSPECIFIED = 0.02  # share of the knees

_COLUMNS = (
    "scan",
    "side",
    "grade",  # empty where unspecified
    "severity",  # latent: standard normal
    "row",  # of the joint's centre, in pixels of the first page
    "column_anterior",
    "legs",  # apart, touching
    "background",  # low, high
    "uptake",  # counts over the joint at the usual level of counts and of bone
    "focal",  # share of them that is gathered in spots
    "origin",  # PHANTOM
)
_STYLED_COLUMNS = (  # cohorts of style `plain` don't have them
    "style",
    "case",  # see `djd.data.phantom.odd`; empty for an ordinary patient
)


@dataclass(frozen=True, eq=False)
class Patient:
    """A patient's knees and body.

    Attributes:
        severities: float64 (side 2,).
        grades: None for a knee that is unspecified, missing or an implant.
        capital_severe: Whether the file writes SevDJD, as some real files do.
        image: Draws all that is left to draw, as `pose` what `plain` leaves alone.
    """

    style: PhantomStyle
    case: Case | None
    severities: NDArray[np.float64]
    grades: KneeGrades
    capital_severe: bool
    body: Body
    image: np.random.Generator
    pose: np.random.Generator


def invent_patient(
    seed: np.random.SeedSequence, style: Style, *, case: Case | None, null: bool
) -> Patient:
    """The patient of a seed; `null` draws grades that have nothing to do with the severities."""
    latent, grading, position, image, pose = (np.random.default_rng(each) for each in seed.spawn(5))
    severities = draw_severities(latent, 1, correlation=style.knee_correlation)
    graded = draw_severities(grading, 1, correlation=style.knee_correlation) if null else severities
    grades = read_grades(graded, grading)[0]
    specified = grading.random(2) >= _UNSPECIFIED
    capital_severe = bool(grading.random() < 0.3)
    body = pose_case(case, invent_body(position, pose, style), pose)
    right, left = (
        int(grade) if known and limbs.joint == "own" else None
        for grade, known, limbs in zip(grades, specified, body.sides, strict=True)
    )
    return Patient(
        style=style.name,
        case=case,
        severities=severities[0],
        grades=(right, left),
        capital_severe=capital_severe,
        body=body,
        image=image,
        pose=pose,
    )


def columns_of(style: Style) -> tuple[str, ...]:
    """Head of the manifest."""
    return _COLUMNS if style.name == "plain" else (*_COLUMNS, *_STYLED_COLUMNS)


def manifest_lines(
    name: str, patient: Patient, knees: tuple[Knee, Knee], centres: NDArray[np.float64]
) -> Iterator[tuple[object, ...]]:
    """The right and the left knee of a scan, in `columns_of` its style.

    `centres` are float64 (side 2, 2): row and column in the first page.
    """
    styled = () if patient.style == "plain" else (patient.style, patient.case or "")
    body = patient.body
    for index, (limbs, knee) in enumerate(zip(body.sides, knees, strict=True)):
        grade = patient.grades[index]
        row, column = (f"{each:.1f}" if limbs.joint != "none" else "" for each in centres[index])
        own = (f"{patient.severities[index]:.4f}", f"{knee.counts:.0f}", f"{knee.focal:.3f}")
        severity, uptake, focal = own if limbs.joint == "own" else ("", "", "")
        truth = ("" if grade is None else grade, severity)
        place = (row, column, body.legs, body.background)
        yield (name, SIDES[index], *truth, *place, uptake, focal, "PHANTOM", *styled)
