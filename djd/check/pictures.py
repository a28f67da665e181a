"""A picture a scan: the body in both views with the frames of both crops, and both crops below.

A picture is a PNG with a palette. Its colours are numbers of the root of the counts, which gives
Poisson counts one deviation; which counts are black is a matter of the palette alone, and is set
when all scans are known.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from djd.data.crop import CROP_SIZE, Places
from djd.data.scan import SCAN_SHAPE
from djd.plots.style import BLUE, ORANGE

Counts = NDArray[np.uint16]
Codes = NDArray[np.uint8]

GAP = 8
FRAME = 2
_BODY = SCAN_SHAPE[1] // 2, SCAN_SHAPE[2] // 2  # neighbours are averaged
PANEL = CROP_SIZE + 2 * FRAME
WIDTH, HEIGHT = 2 * PANEL, _BODY[0] + GAP + PANEL
"""Pixels of a picture."""

STEPS = 4
"""Codes a count's root: half the deviation of its noise."""

_WHITE, _SIDES = 255, (253, 254)  # beyond the codes of counts: nothing, right and left frame
MOST_BLACK = (252 / STEPS) ** 2
"""Counts a pixel that have a code of their own."""

_DEFAULT_BLACK = 60.0
_PALETTE_AT = 33  # bytes: signature 8, IHDR 25
_PERCENTILE = 99.5


def black_counts(anterior: Counts, places: Places) -> float:
    """Counts a pixel that all but the hottest pixels of the anterior crops have at most."""
    shown = np.concatenate([_clipped(anterior, *corner).ravel() for corner in places.corners])
    return float(np.percentile(shown, _PERCENTILE)) if shown.size else 0.0


def common_black(each: Iterable[float]) -> float:
    """Counts that are black in all pictures: those of the middle scan."""
    there = [value for value in each if value > 0]
    return float(np.clip(np.median(there), 1, MOST_BLACK)) if there else _DEFAULT_BLACK


def picture_name(scan: str) -> str:
    """The name of a scan's picture, which says nothing of the scan's name."""
    return f"{hashlib.sha256(scan.encode()).hexdigest()[:16]}.png"


def write_picture(folder: Path, scan: str, counts: Counts, places: Places) -> str:
    """Write the picture of a scan; its name. `set_black` gives the colours.

    `counts` are uint16 (view 2, row 1024, column 256), counts a pixel; `places` those of both crops
    in the anterior view.
    """
    name = picture_name(scan)
    image = Image.fromarray(draw(counts, places), "P")
    image.putpalette(palette(_DEFAULT_BLACK))
    image.save(folder / name, "PNG", compress_level=5)
    return name


def draw(counts: Counts, places: Places) -> Codes:
    """The codes of a picture, uint8 (row, column); arguments as for `write_picture`."""
    canvas = np.full((HEIGHT, WIDTH), _WHITE, dtype=np.uint8)
    frames = [
        (row, column, colour) for (row, column), colour in zip(places.corners, _SIDES, strict=True)
    ]
    for view, left in ((0, 0), (1, WIDTH - _BODY[1])):
        body = canvas[: _BODY[0], left : left + _BODY[1]]
        body[:] = _codes(_halved(counts[view]))
        for row, column, colour in frames:
            there = column if view == 0 else SCAN_SHAPE[2] - CROP_SIZE - column
            _frame(body, row // 2, there // 2, CROP_SIZE // 2, colour)
    for side, (row, column, colour) in enumerate(frames):
        panel = canvas[-PANEL:, side * PANEL : (side + 1) * PANEL]
        panel[:] = colour
        crop = panel[FRAME:-FRAME, FRAME:-FRAME]
        crop[:] = _WHITE
        pixels = _clipped(counts[0], row, column)
        top, first = max(-row, 0), max(-column, 0)
        crop[top : top + pixels.shape[0], first : first + pixels.shape[1]] = _codes(pixels)
    return canvas


def palette(black: float) -> bytes:
    """Red, green and blue of each code: white at 0, black from `black` counts on."""
    counts = (np.arange(256) / STEPS) ** 2
    greys = np.rint(255 * (1 - np.minimum(counts / black, 1))).astype(np.uint8)
    colours = np.repeat(greys[:, None], 3, axis=1)
    for code, colour in zip((*_SIDES, _WHITE), (BLUE, ORANGE, "white"), strict=True):
        colours[code] = np.rint(255 * np.array(to_rgb(colour)))
    return colours.tobytes()


def set_black(path: Path, black: float) -> None:
    """Give a picture of `write_picture` its colours, in place."""
    chunk = b"PLTE" + palette(black)
    with path.open("r+b") as file:
        file.seek(_PALETTE_AT)
        file.write(struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)))


def _halved(image: Counts) -> NDArray[np.float32]:
    rows, columns = _BODY
    sums = image.reshape(rows, 2, columns, 2).sum(axis=(1, 3), dtype=np.uint32)
    means: NDArray[np.float32] = sums.astype(np.float32) / 4
    return means


def _codes(counts: NDArray[np.float32] | Counts) -> Codes:
    roots = np.rint(STEPS * np.sqrt(counts, dtype=np.float32))
    codes: Codes = np.minimum(roots, min(_SIDES) - 1).astype(np.uint8)
    return codes


def _clipped(image: Counts, row: int, column: int) -> Counts:
    """What a crop with this corner has of an image."""
    rows = slice(max(row, 0), max(row + CROP_SIZE, 0))
    return image[rows, max(column, 0) : max(column + CROP_SIZE, 0)]


def _frame(body: Codes, row: int, column: int, size: int, colour: int) -> None:
    """Draw the edges of a square, as far as they lie in the picture."""
    last = size - 1
    for top, left, height, width in (
        *((row, column, 1, size), (row + last, column, 1, size)),
        *((row, column, size, 1), (row, column + last, size, 1)),
    ):
        body[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)] = colour
