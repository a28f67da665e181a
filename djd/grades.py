"""Severity grades and their names, knees and their sides, labels."""

from typing import Literal

Grade = int
"""Severity of degenerative joint disease of one knee: 0 (normal) to 4 (severe)."""

GRADE_NAMES = ("normal", "minimal", "mild", "moderate", "severe")
GRADE_COUNT = len(GRADE_NAMES)

Side = Literal["right", "left"]
SIDES: tuple[Side, Side] = ("right", "left")
"""The patient's sides, in the order in which the files give the knees."""

LabelsFrom = Literal["auto", "ids", "names"]
"""The label of a file that counts; `auto` is ids, while ids and names agree."""

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
