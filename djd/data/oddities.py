"""What is odd about the image of a scan: nothing that stops a training, and a warning each."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from djd.data.crop import CROP_SIZE, Views
from djd.data.scan import SCAN_SHAPE
from djd.wording import first_of

PAGES = ("anterior page", "posterior page")
UPSIDE_DOWN = "upside down, or without the upper half"
MISSING_POSTERIOR = f"{PAGES[1]} missing (one view alone)"
SAME_PAGES = "the same image on both pages"

KNEE_ROWS = slice(510, 690)
"""Where knees lie, and legs go on below: no invented scan has a row without counts there."""

LEG_ROWS = (slice(600, 644), slice(644, 688))
"""Legs run through both: the sums of their columns correlate 0.68 at least on 4,100 invented scans,
0.28 at most on background alone."""
LEAST_LEG_CORRELATION = 0.5

MOST_BELOW = 0.02
"""Counts of the lower half beyond those of the upper half, as a share of all. On 4,100 invented
scans the upper half had more, by 0.05 (much background) to 0.4."""

MOST_AT_MAXIMUM = 20
"""Pixels at the knees that hold the largest count of the page; 60 invented scans had 4 at most."""


def oddities_of(counts: NDArray[np.uint16], missing_views: Collection[str] = ()) -> list[str]:
    """What is odd about a scan's image, such as `anterior page empty`.

    Args:
        counts: uint16 (view 2, row 1024, column 256), counts a pixel.
        missing_views: As of `Scan`.
    """
    if "posterior" in missing_views:
        of_anterior = [what for what in oddities_of(counts) if not what.startswith(PAGES[1])]
        return [*of_anterior, MISSING_POSTERIOR]
    if is_upside_down(counts):
        return [UPSIDE_DOWN]
    odd = [
        f"{page} {what}"
        for page, image in zip(PAGES, counts, strict=True)
        if (what := _oddity_of_page(image))
    ]
    return [*odd, SAME_PAGES] if same_pages(counts) else odd


def same_pages(counts: NDArray[np.uint16]) -> bool:
    """Whether both pages hold one image, mirrored or not; `counts` as for `oddities_of`."""
    one, other = counts
    return any(
        np.array_equal(one[::64], turned[::64]) and np.array_equal(one, turned)  # mostly no
        for turned in (other, other[:, ::-1])
    )


def is_upside_down(counts: NDArray[np.uint16]) -> bool:
    """Whether the lower half of a scan has more counts; `counts` as for `oddities_of`."""
    half = SCAN_SHAPE[1] // 2
    upper, lower = float(counts[:, :half].sum()), float(counts[:, half:].sum())
    return lower - upper > MOST_BELOW * (upper + lower)


def _oddity_of_page(image: NDArray[np.uint16]) -> str | None:
    if image.min() == image.max():
        return "empty"
    for knee in (image[:, :CROP_SIZE], image[:, CROP_SIZE:]):
        rows = knee[KNEE_ROWS]
        if (rows.min(axis=1) == rows.max(axis=1)).any() or not _has_leg(knee):
            return "cut off or blank at a knee"
    highest = int(image.max())
    # The levels of an ordinary page are not looked at: that would take as long as all the rest.
    if np.count_nonzero(image[KNEE_ROWS] == highest) <= MOST_AT_MAXIMUM:
        return None
    levels = np.bincount(image.ravel())
    at_highest, at_next = levels[levels > 0][[-1, -2]]
    return "saturated at a knee" if at_highest > at_next else None


def _has_leg(knee: NDArray[np.uint16]) -> bool:
    upper, lower = (knee[rows].sum(axis=0, dtype=np.float64) for rows in LEG_ROWS)
    if not (upper.std() and lower.std()):
        return False
    return bool(np.corrcoef(upper, lower)[0, 1] > LEAST_LEG_CORRELATION)


def oddity_warnings(oddities: Mapping[str, Sequence[str]], views: Views = "both") -> list[str]:
    """A sentence on each kind with its first scans, but for a posterior page that is left out.

    The anterior page places the crops of both.
    """
    unused = PAGES[1] if views == "anterior" else None
    return [
        f"{kind}: {first_of(scans)}"
        for kind, scans in oddities.items()
        if not (unused and kind.startswith(unused))
    ]
