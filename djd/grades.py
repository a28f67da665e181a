"""Severity grades and their names, knees and their sides, labels."""

from collections.abc import Mapping
from typing import Literal

Grade = int
"""Severity of degenerative joint disease of one knee: 0 (normal) to 4 (severe)."""

GRADE_NAMES = ("normal", "minimal", "mild", "moderate", "severe")
GRADE_COUNT = len(GRADE_NAMES)

GRADE_OF_ID: Mapping[float, Grade | None] = {-1: None, 2: 0, 3: 1, 4: 2, 5: 3, 6: 4}
"""Of the severity ids in files; None where a knee was left unspecified."""

GRADE_OF_NAME: Mapping[str, Grade | None] = {
    "unspect": None,
    "normal": 0,
    "minimal": 1,
    "milddjd": 2,
    "moddjd": 3,
    "sevdjd": 4,
}
"""By severity name of files in lower case: files write both sevDJD and SevDJD."""

Side = Literal["right", "left"]
SIDES: tuple[Side, Side] = ("right", "left")
"""The patient's sides, in the order in which the files give the knees."""

LabelsFrom = Literal["auto", "ids", "names"]
"""The label of a file that counts; `auto` is ids, while ids and names agree."""

LabelsKind = Literal["ids", "grades", "names"]
"""What the cells of `data.labels` are; 2, 3 and 4 are ids, and grades too."""

OnError = Literal["stop", "skip"]
"""What a scan that can't be read does to training."""

Decide = Literal["likeliest", "median", "shares", "expected"]
"""How a knee's five probabilities become its grade."""

PhantomStyle = Literal["plain", "soft", "odd"]
"""How an invented cohort is drawn; see `djd.data.phantom.style`."""

PhantomFormat = Literal["mat", "dicom"]
"""The files of an invented cohort."""

RESEARCH = "research use only"
"""Stands on every grade of a new scan."""

PHANTOM_STAMP = "PHANTOM: invented scans, not patients"
"""Stands on everything made from an invented cohort."""

LEAK_STAMP = "LEAK: fitted on the test patients"
"""Stands on everything made with `data.leak=true`."""
