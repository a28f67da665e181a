"""What a check keeps of one scan: measures of its image, and the name of its picture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from djd.check.pictures import black_counts, write_picture
from djd.data.body_place import TRUNK, Body, body_of, both_views
from djd.data.crop import Placement, Places, misplaces, place_knees
from djd.data.oddities import UPSIDE_DOWN, oddities_of, same_pages
from djd.data.phantom.cohort import is_phantom
from djd.data.scan import Scan, ScanFiles
from djd.predict.crop_check import PAGES_SWAPPED, crop_doubts, lower_than_usual, page_order

Counts = NDArray[np.uint16]
"""uint16 (view 2, row 1024, column 256), counts a pixel."""

LEAST_BODY = 0.1
"""Confidence in the surer knee. It was 0.8 and more in invented scans of bodies, 0.03 at most in
noise."""

MOST_SWAPPED = -0.25
"""Of `page_order`. On 300 invented scans of the seeds 101 to 103 it was 0.53 at least, and -0.53 at
most where the pages were swapped."""

_OF_SCANS = (UPSIDE_DOWN, PAGES_SWAPPED)

_HOTTEST = 12
"""Of the 64 squares of a row."""

_SQUARE = 16
"""Pixels a side of the squares that are compared."""

MOST_MIRRORED = -0.5
"""Of `mirror_likeness`. On 300 invented scans of the seed 101 it was 0.76 at least, and -0.76 at
most where a view was mirrored."""


@dataclass(frozen=True, eq=False)
class Look:
    """What is kept of a scan after a look at its image.

    Attributes:
        levels: See `trunk_level`, of each page, anterior first; 0 without a body.
        black: Counts a pixel that hold the knees' hottest pixels; see `black_counts`.
        upside_down: Whether the body of each page lies with its heavier half below.
        swapped: Whether the posterior page comes first.
        body: Whether there is a body.
        mirrored: Whether one view is the mirror image of what it should be.
        oddities: See `oddities_of`.
        doubts: Why each crop is doubtful, (right, left); see `crop_doubts`.
        misplaced: Where the study's crop looks wrong, the rows from its middle down to the place
            where the knee was found, (right, left); None where it looks right.
        unknown_names: As of `Scan`; may identify a patient.
        phantom: Whether the scan is invented.
        picture: Name of its picture.
    """

    levels: tuple[float, float]
    black: float
    upside_down: tuple[bool, bool]
    body: bool
    swapped: bool
    mirrored: bool
    oddities: tuple[str, ...]
    doubts: tuple[tuple[str, ...], ...]
    misplaced: tuple[int | None, int | None]
    unknown_names: tuple[str | None, str | None]
    phantom: bool
    picture: str


def look_at(files: ScanFiles, scan: Scan, *, placement: Placement, pictures: Path) -> Look:
    """Measure a scan, and write its picture into the folder `pictures`."""
    counts = scan.counts
    places = place_knees(counts, placement)
    bodies = [_body_of_page(page) for page in counts]
    upside_down = _is_upside_down(bodies[0]), _is_upside_down(bodies[1])
    found = _find(counts, opposed=all(bodies) and upside_down[0] != upside_down[1])
    body = bool(found.confidence.max() >= LEAST_BODY)
    two_views = bool((counts.min(axis=(1, 2)) < counts.max(axis=(1, 2))).all())
    two_views &= not same_pages(counts)
    upright = body and not any(upside_down)
    comparable = upright and two_views
    return Look(
        levels=(trunk_level(bodies[0]), trunk_level(bodies[1])),
        black=black_counts(counts[0], places),
        upside_down=upside_down if body else (False, False),
        body=body,
        swapped=comparable and page_order(counts, lower_than_usual(found)) < MOST_SWAPPED,
        mirrored=comparable and mirror_likeness(counts) < MOST_MIRRORED,
        oddities=tuple(oddities_of(counts, scan.missing_views)),
        doubts=_crop_reasons(crop_doubts(counts, places)) if upright else ((), ()),
        misplaced=_rows_off(places, found) if placement == "study" and upright else (None, None),
        unknown_names=scan.unknown_names,
        phantom=any(map(is_phantom, files.paths)),
        picture=write_picture(pictures, files.name, counts, places),
    )


def _find(counts: Counts, *, opposed: bool) -> Places:
    """The knees; in the anterior view alone where the other lies the other way up."""
    seen = np.stack([counts[0], np.zeros_like(counts[1])]) if opposed else counts
    return place_knees(seen, "robust")


def _body_of_page(page: NDArray[np.uint16]) -> Body | None:
    return body_of(both_views(np.stack([page, np.zeros_like(page)])))


def _is_upside_down(body: Body | None) -> bool:
    """By the halves of the body, not of the image: a body may lie low, without its feet."""
    return body is not None and not body.upright


def _rows_off(study: Places, found: Places) -> tuple[int | None, int | None]:
    rows = found.rows - study.rows
    both = zip(rows.tolist(), misplaces(study, found), strict=True)
    right, left = (off if wrong else None for off, wrong in both)
    return right, left


def trunk_level(body: Body | None) -> float:
    """Counts above the air's in the hottest fifth of a row of the trunk, of squares of 4x4 pixels.

    The middle one of the rows. Of the measures tried on invented scans it differs least between
    patients, and a hot bladder or hand, or a body that is cut off, doesn't change it.
    """
    if body is None:
        return 0.0
    hottest = np.sort(body.net[body.part(TRUNK)], axis=1)[:, -_HOTTEST:]
    return max(0.0, float(np.median(hottest.mean(axis=1))))


def mirror_likeness(counts: Counts) -> float:
    """1 where the second view mirrored has the sides of the first, -1 where it has them unmirrored.

    No body is symmetric: place, build, kidneys, injection and joints differ between the sides. The
    correlation of what is uneven in both views, of the root of the counts in squares.
    """
    anterior, posterior = (_unevenness(_squares(page)) for page in counts)
    norm = np.sqrt((anterior**2).sum() * (posterior**2).sum())
    return float(-(anterior * posterior).sum() / norm) if norm else 0.0


def _unevenness(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    roots = np.sqrt(squares / max(squares.mean(), 1e-9))
    return np.asarray(roots - roots[:, ::-1])


def _squares(page: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Mean counts a pixel of squares, float64 (row 64, column 16)."""
    rows, columns = (size // _SQUARE for size in page.shape)
    lines = page.reshape(rows, _SQUARE, -1).sum(axis=1, dtype=np.uint32)
    sums = lines.reshape(rows, columns, _SQUARE).sum(axis=2, dtype=np.float64)
    return np.asarray(sums / _SQUARE**2)


def _crop_reasons(doubts: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    """The reasons that are of a crop."""
    right, left = (tuple(each for each in side if each not in _OF_SCANS) for side in doubts)
    return right, left
