"""The problems of one scan, from a look at its image."""

from collections.abc import Iterator

from djd.check.kinds import (
    CUT_OFF,
    DOUBTFUL,
    EMPTY,
    MIRRORED,
    MISPLACED,
    NO_BODY,
    ODD_IMAGE,
    ONE_VIEW,
    SAME_VIEWS,
    SATURATED,
    SWAPPED,
    UNKNOWN_NAME,
    UPSIDE_DOWN,
    Kind,
)
from djd.check.looks import Look
from djd.check.problems import Problem
from djd.data.crop import FAR_ROWS, Views
from djd.data.oddities import MISSING_POSTERIOR
from djd.data.oddities import UPSIDE_DOWN as UPSIDE_DOWN_IMAGE
from djd.grades import SIDES
from djd.wording import listed

VIEWS = ("anterior", "posterior")

_ODDITIES = {kind.name: kind for kind in (SAME_VIEWS, CUT_OFF, SATURATED)} | {
    "empty": EMPTY,
    MISSING_POSTERIOR: ONE_VIEW,
}


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


def odd_images(scan: str, look: Look, views: Views) -> Iterator[Problem]:
    """A problem a kind of the oddities of a scan; `views` are those to train on.

    What lies upside down is a matter of `image_problems`, which looks at the body.
    """
    found: dict[Kind, list[str]] = {}
    for what in look.oddities:
        ends = [end for end in _ODDITIES if what.endswith(end)]
        kind = _ODDITIES[ends[0]] if ends else ODD_IMAGE
        if what != UPSIDE_DOWN_IMAGE:
            which = what.removesuffix(f" {ends[0]}") if ends else what
            found.setdefault(kind, []).append(which)
    for kind, pages in found.items():
        stops = kind is ONE_VIEW and views != "anterior"
        yield Problem(kind, listed(pages), scan, stops=stops)


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
