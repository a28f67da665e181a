"""Invented scans in memory, one at a time."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from djd.data.crop import crop_knees
from djd.data.phantom.body import count, expected_counts
from djd.data.phantom.knee import invent_knee
from djd.data.phantom.odd import Case, turn_pages
from djd.data.phantom.patient import invent_patient
from djd.data.phantom.style import STYLES
from djd.data.scan import Scan
from djd.grades import PhantomStyle


class InventedScan(NamedTuple):
    """Counts as in a file, crops, and what each side has for a joint."""

    counts: NDArray[np.uint16]
    crops: NDArray[np.uint16]
    joints: tuple[str, ...]


def invented_scan(
    seed: int | tuple[int, int], style: PhantomStyle, case: Case | None = None
) -> InventedScan:
    patient = invent_patient(np.random.SeedSequence(seed), STYLES[style], case=case, null=False)
    right, left = (invent_knee(each, patient.image, STYLES[style]) for each in patient.severities)
    expected = expected_counts(patient.body, (right, left), patient.image, patient.pose)
    counts = count(expected, patient.image)
    counts, _ = turn_pages(case, counts, patient.body.knee_centres)
    return InventedScan(counts, crops_of(counts), tuple(each.joint for each in patient.body.sides))


def crops_of(counts: NDArray[np.uint16]) -> NDArray[np.uint16]:
    return crop_knees(Scan("invented", counts, (None, None), None))
