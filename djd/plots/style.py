"""Shared parts of all plots: size, fonts, colours, the stamp, marks, and the files.

In all functions `title` stands above the figure, and `stamp`, such as PHANTOM, at the top right.
"""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib import font_manager, rcParams
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from djd.errors import InputError
from djd.files import write_whole
from djd.statistics.intervals import Estimate

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8C8C8C"
"""Of Okabe and Ito's palette, which colour-blind people can distinguish."""

PAGE_INCHES = 5.2
"""Width of a figure of the report: its text is readable at the width of a phone."""

TEXT_POINTS, TITLE_POINTS = 8, 10
STAMP_INCHES, TITLE_INCHES, LEGEND_INCHES = 0.2, 0.2, 0.18
"""Height of a line each."""

PERCENT_LIMITS, PERCENT_TICKS = (-4, 104), (0, 25, 50, 75, 100)
UNDEFINED = "undefined"
Stamp = str | None
Size = tuple[int, int]
Corners = Sequence[Size]

_TITLE_CHARACTERS = 11  # an inch
_DPI = 150
_COLOURS = 128
_COMPRESSION = 4
"""Higher levels of zlib take up to ten times as long for 5 % fewer bytes."""

_HANGUL_FONTS = ("Noto Sans CJK KR", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo")


def new_figure(
    width: float, height: float, *, stamp: Stamp, title: str = "", constrained: bool = True
) -> Figure:
    """An empty figure, outside of any window system and global state.

    `width` and `height` are inches; stamp and title come on top of the height, and a long title is
    broken into lines. `constrained` lets matplotlib place the axes, which takes as long as drawing
    twice.
    """
    lines = wrap(title, int(width * _TITLE_CHARACTERS), break_on_hyphens=False)
    stamp_inches = STAMP_INCHES if stamp else 0
    whole = height + stamp_inches + TITLE_INCHES * len(lines)
    layout = ConstrainedLayoutEngine(rect=(0, 0, 1, height / whole)) if constrained else None
    figure = Figure(figsize=(width, whole), dpi=_DPI, layout=layout)
    FigureCanvasAgg(figure)
    place = (0.05 / width, 1 - (stamp_inches + 0.04) / whole)
    figure.text(*place, "\n".join(lines), va="top", fontsize=TITLE_POINTS)
    if stamp:
        corner = (1 - 0.05 / width, 1 - 0.04 / whole)
        looks: dict[str, Any] = {"fontsize": 7, "color": ORANGE, "weight": "bold"}
        figure.text(*corner, stamp, ha="right", va="top", **looks)
    return figure


def axes_at(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """New axes of a figure, placed in inches from its lower left corner."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def plot_estimate(
    axes: Axes, y: float, estimate: Estimate, *, colour: str, marker: str = "o", filled: bool = True
) -> None:
    """Plot a dot with its interval as a whisker at height `y`, or nothing for an undefined one."""
    if estimate.has_interval:
        axes.plot([estimate.low, estimate.high], [y, y], color=colour, linewidth=1.4)
    if estimate.is_defined:
        axes.plot([estimate.value], [y], **mark(colour, marker, filled=filled))


def mark(colour: str, marker: str = "o", *, filled: bool = True) -> dict[str, Any]:
    """The properties of a dot, alike in a plot and in its legend."""
    face = {"markerfacecolor": colour if filled else "white", "markeredgewidth": 1.4}
    return {"color": colour, "marker": marker, "markersize": 5.5, **face}


def legend_mark(label: str, colour: str, marker: str = "o", *, filled: bool = True) -> Line2D:
    """A dot on a whisker for a legend."""
    return Line2D([], [], linewidth=1.4, label=label, **mark(colour, marker, filled=filled))


def show_rows(axes: Axes) -> None:
    """Keep of the frame the lower line, and lines up from its ticks, for estimates in rows."""
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def tiles(
    pictures: NDArray[Any], columns: int, *, right: int, below: int, fill: float
) -> tuple[NDArray[Any], Corners]:
    """Pictures side by side in one, which is plotted much faster, and the corner of each.

    `pictures` are (picture, row, column) or (picture, row, column, colour); `columns` stand in a
    row, with `right` and `below` pixels of `fill` beside and below each. A corner is a picture's
    first row and column.
    """
    _, height, width, *colours = pictures.shape
    step = (height + below, width + right)
    corners = [(step[0] * (i // columns), step[1] * (i % columns)) for i in range(len(pictures))]
    rows = max(1, -(-len(pictures) // columns))
    whole = np.full((rows * step[0], columns * step[1], *colours), fill, pictures.dtype)
    for (top, left), picture in zip(corners, pictures, strict=True):
        whole[top : top + height, left : left + width] = picture
    return whole, corners


def frame_tiles(
    axes: Axes, corners: Corners, size: Size, captions: Sequence[str], *, gap: float, points: float
) -> None:
    """Plot a frame around each tile and write its caption below, `gap` rows away.

    `corners` are those of `tiles`, `size` the rows and columns of a tile.
    """
    height, width = size
    frames = [Rectangle((left - 0.5, top - 0.5), width, height) for top, left in corners]
    axes.add_collection(PatchCollection(frames, facecolor="none", edgecolor=GREY, linewidth=0.5))
    looks: dict[str, Any] = {"ha": "center", "va": "top", "linespacing": 1.1, "fontsize": points}
    for (top, left), caption in zip(corners, captions, strict=True):
        axes.text(left + width / 2 - 0.5, top + height + gap, caption, **looks)
    axes.set_axis_off()


def save_figure(figure: Figure, path: Path, *, width: int | None = None) -> None:
    """Write a figure as `figure_png` makes it, whole or not at all.

    Raises:
        InputError: The file can't be written.
    """
    try:
        write_whole(path, figure_png(figure, width=width))
    except OSError as error:
        raise InputError(f"{path}: can't be written ({error.strerror or error})") from error


def figure_png(figure: Figure, *, width: int | None = None) -> bytes:
    """A figure as a PNG of 128 colours, chosen for it: 11 kB a thumbnail of a matrix, not 28.

    White stays white; the greys of scans change by 3 of 255 at the most, other colours by 14.
    `width` is in pixels; by default 150 an inch.
    """
    if width is not None:
        figure.set_dpi(width / figure.get_figwidth())
    picture, few = Image.fromarray(figure_pixels(figure)), Image.Quantize.MAXCOVERAGE
    content = io.BytesIO()
    picture.quantize(_COLOURS, few, dither=Image.Dither.NONE).save(
        content, "PNG", compress_level=_COMPRESSION
    )
    return content.getvalue()


def figure_pixels(figure: Figure) -> NDArray[np.uint8]:
    """A figure as uint8 (row, column, channel 3), red, green and blue from 0 to 255."""
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    with warnings.catch_warnings():
        # One for each sign of a file's name that no font here has.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        canvas.draw()  # type: ignore[no-untyped-call]
    pixels: NDArray[np.uint8] = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return pixels[..., :3].copy()


_installed = {font.name for font in font_manager.fontManager.ttflist}
# For file names in captions.
rcParams["font.family"] = ["DejaVu Sans", *(font for font in _HANGUL_FONTS if font in _installed)]
rcParams["font.size"] = TEXT_POINTS
rcParams["legend.frameon"] = False
rcParams["text.parse_math"] = False  # a file's name or a setting may hold dollar signs
