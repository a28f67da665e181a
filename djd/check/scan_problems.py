"""The problems of one scan, from a look at its image."""

from collections.abc import Iterator

from djd.check.kinds import (
    DOUBTFUL,
    MIRRORED,
    MISPLACED,
    NO_BODY,
    SWAPPED,
    UNKNOWN_NAME,
    UPSIDE_DOWN,
)
from djd.check.looks import Look
from djd.check.problems import Problem
from djd.data.crop import FAR_ROWS
from djd.grades import SIDES

VIEWS = ("anterior", "posterior")


def image_problems(scan: str, look: Look) -> Iterator[Problem]:
    """What is wrong with how a scan lies, and where its crops lie."""
    if not look.body:
        yield Problem(NO_BODY, "no legs with knees are found in either view", scan)
    if any(look.upside_down):
        yield Problem(UPSIDE_DOWN, _which(look.upside_down), scan)
    if look.swapped:
        yield Problem(SWAPPED, "bladder and spine look as if the posterior view came first", scan)
    if look.mirrored:
        what = "one view is the mirror image of what it should be beside the other"
        yield Problem(MIRRORED, what, scan)
    for side, reasons, misplaced in zip(SIDES, look.doubts, look.misplaced, strict=True):
        if misplaced is not None:
            yield Problem(MISPLACED, _where(misplaced), scan, side)
        elif reasons:
            yield Problem(DOUBTFUL, "; ".join(reasons), scan, side)


def name_problems(scan: str, look: Look) -> Iterator[Problem]:
    """The knees whose severity name is not known, without the name: it may identify a patient."""
    for side, name in zip(SIDES, look.unknown_names, strict=True):
        if name is not None:
            yield Problem(
                UNKNOWN_NAME, "a name of no known grade" if name else "no name", scan, side
            )


def _which(views: tuple[bool, bool]) -> str:
    return "both views" if all(views) else f"the {VIEWS[views.index(True)]} view"


def _where(rows: int) -> str:
    if abs(rows) <= FAR_ROWS:
        return "the knee is found beside the study's crop"
    way = "below" if rows > 0 else "above"
    return f"the knee is found {abs(rows)} rows {way} the middle of the study's crop"
