"""One invented scan: the content of its file, its grades and its lines of the manifest."""

from dataclasses import dataclass

import numpy as np

from djd.data.phantom.body import count, expected_counts
from djd.data.phantom.dicom import dicom_bytes
from djd.data.phantom.knee import invent_knee
from djd.data.phantom.mat import mat_bytes
from djd.data.phantom.odd import choose_case, turn_pages
from djd.data.phantom.patient import invent_patient, manifest_lines
from djd.data.phantom.style import STYLES
from djd.data.scan import KneeGrades
from djd.grades import PhantomFormat, PhantomStyle


@dataclass(frozen=True, eq=False)
class ScanPlan:
    """All that a scan follows from.

    Attributes:
        index: Of the patient in the cohort.
        null: Whether grades are independent of the image.
        cohort: Text that differs between cohorts.
    """

    index: int
    name: str
    seed: np.random.SeedSequence
    style: PhantomStyle
    null: bool
    file_format: PhantomFormat
    cohort: str


@dataclass(frozen=True, eq=False)
class InventedScan:
    """A scan to be written.

    Attributes:
        lines: Of the manifest, see `manifest_lines`.
    """

    file_name: str
    content: bytes
    grades: KneeGrades
    lines: tuple[tuple[object, ...], ...]


def invent_scan(plan: ScanPlan) -> InventedScan:
    """The scan of a plan; equal plans give equal bytes."""
    style = STYLES[plan.style]
    case = choose_case(plan.index) if style.cases else None
    patient = invent_patient(plan.seed, style, case=case, null=plan.null)
    right, left = (invent_knee(each, patient.image, style) for each in patient.severities)
    expected = expected_counts(patient.body, (right, left), patient.image, patient.pose)
    counts = count(expected, patient.image)
    counts, centres = turn_pages(case, counts, patient.body.knee_centres)
    if plan.file_format == "dicom":
        file_name, content = f"{plan.name}.dcm", dicom_bytes(counts, plan.name, plan.cohort)
    else:
        file_name, content = f"{plan.name}.mat", mat_bytes(counts, patient)
    lines = tuple(manifest_lines(plan.name, patient, (right, left), centres))
    return InventedScan(file_name, content, patient.grades, lines)
