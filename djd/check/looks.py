"""What a check keeps of one scan: measures of its image, and the name of its picture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from djd.check.pictures import black_counts, write_picture
from djd.data.crop import Placement, place_knees, study_misplaces
from djd.data.oddities import UPSIDE_DOWN, is_upside_down
from djd.data.phantom.cohort import is_phantom
from djd.data.scan import Scan, ScanFiles
from djd.predict.crop_check import PAGES_SWAPPED, crop_doubts, page_order

Counts = NDArray[np.uint16]
"""uint16 (view 2, row 1024, column 256), counts a pixel."""

_SQUARE = 16
"""Pixels a side of the squares that `mirror_likeness` compares."""

MOST_MIRRORED = -0.5
"""Of `mirror_likeness`. On 300 invented scans of the seed 101 it was 0.76 at least, and -0.76 at
most where a view was mirrored."""


@dataclass(frozen=True, eq=False)
class Look:
    """What is kept of a scan after a look at its image.

    Attributes:
        means: Mean counts a pixel of each page, anterior first.
        black: Counts a pixel that hold the knees' hottest pixels; see `black_counts`.
        upside_down: Whether each page has more counts in its lower half.
        swapped: Whether the posterior page comes first.
        mirrored: Whether one view is the mirror image of what it should be.
        doubts: Why each crop is doubtful, (right, left); see `crop_doubts`.
        misplaced: Whether the knee was found far from the study's crop, (right, left).
        unknown_names: As of `Scan`; may identify a patient.
        phantom: Whether the scan is invented.
        picture: Name of its picture.
    """

    means: tuple[float, float]
    black: float
    upside_down: tuple[bool, bool]
    swapped: bool
    mirrored: bool
    doubts: tuple[tuple[str, ...], ...]
    misplaced: tuple[bool, bool]
    unknown_names: tuple[str | None, str | None]
    phantom: bool
    picture: str


def look_at(files: ScanFiles, scan: Scan, *, placement: Placement, pictures: Path) -> Look:
    """Measure a scan, and write its picture into the folder `pictures`."""
    counts = scan.counts
    places = place_knees(counts, placement)
    both = bool((counts.min(axis=(1, 2)) < counts.max(axis=(1, 2))).all())
    upside_down = is_upside_down(counts[:1]), is_upside_down(counts[1:])
    upright = both and not any(upside_down)
    lies_well = not all(upside_down)
    return Look(
        means=(float(counts[0].mean()), float(counts[1].mean())),
        black=black_counts(counts[0], places),
        upside_down=upside_down,
        swapped=upright and page_order(counts) < 0,
        mirrored=upright and mirror_likeness(counts) < MOST_MIRRORED,
        doubts=_crop_reasons(crop_doubts(counts, places)),
        misplaced=study_misplaces(counts) if placement == "study" and lies_well else (False, False),
        unknown_names=scan.unknown_names,
        phantom=any(map(is_phantom, files.paths)),
        picture=write_picture(pictures, files.name, counts, places),
    )


def mirror_likeness(counts: Counts) -> float:
    """1 where the second view mirrored has the sides of the first, -1 where it has them unmirrored.

    No body is symmetric: place, build, kidneys, injection and joints differ between the sides. The
    correlation of what is uneven in both views, of the root of the counts in squares.
    """
    rows, columns = counts.shape[1] // _SQUARE, counts.shape[2] // _SQUARE
    lines = counts.reshape(2, rows, _SQUARE, -1).sum(axis=2, dtype=np.uint32)
    squares = np.sqrt(lines.reshape(2, rows, columns, _SQUARE).sum(axis=3, dtype=np.float64))
    squares /= squares.mean(axis=(1, 2), keepdims=True)
    anterior, posterior = squares - squares[:, :, ::-1]
    norm = np.sqrt((anterior**2).sum() * (posterior**2).sum())
    return float(-(anterior * posterior).sum() / norm) if norm else 0.0


def _crop_reasons(doubts: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
    """The reasons that are of a crop; none where the scan lies wrongly."""
    if any(UPSIDE_DOWN in side for side in doubts):
        return (), ()
    right, left = (tuple(each for each in side if each != PAGES_SWAPPED) for side in doubts)
    return right, left
