"""What all figures share: size, fonts, colours, the stamp, and the way to a file or to pixels."""

import io
import logging
import warnings
from pathlib import Path
from textwrap import wrap

import numpy as np
from matplotlib import font_manager, rcParams
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray
from PIL import Image

from djd.errors import InputError
from djd.files import write_whole

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8C8C8C"
"""Of Okabe and Ito's palette, which colour-blind people can tell apart."""

PAGE_INCHES = 5.2
"""Width of a figure of the report: its text can still be read at the width of a phone."""

TEXT_POINTS, TITLE_POINTS = 8, 10

STAMP_INCHES = 0.2
LEGEND_INCHES = 0.18
"""A line of a legend."""

_TITLE_INCHES = 0.2
_TITLE_CHARACTERS = 11  # an inch

_DPI = 150
_COLOURS = 128
_COMPRESSION = 4
"""Higher levels of zlib take up to ten times as long for 5 % fewer bytes."""

_HANGUL_FONTS = ("Noto Sans CJK KR", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo")


def new_figure(
    width: float,
    height: float,
    *,
    stamp: str | None,
    title: str = "",
    constrained: bool = True,
) -> Figure:
    """An empty figure of so many inches, with its stamp at the top right and its title below.

    It belongs to no window system and to no global state.

    Args:
        width: In inches.
        height: In inches.
        stamp: Such as PHANTOM; it takes `STAMP_INCHES` at the top.
        title: A long one is broken into lines.
        constrained: Whether matplotlib places the axes, below stamp and title.
    """
    head = head_inches(width, stamp=stamp, title=title)
    layout = ConstrainedLayoutEngine(rect=(0, 0, 1, 1 - head / height)) if constrained else None
    figure = Figure(figsize=(width, height), dpi=_DPI, layout=layout)
    FigureCanvasAgg(figure)
    if title:
        y = 1 - ((STAMP_INCHES if stamp else 0) + 0.04) / height
        lines = _title_lines(width, title)
        figure.text(0.05 / width, y, "\n".join(lines), va="top", fontsize=TITLE_POINTS)
    if stamp:
        figure.text(
            1 - 0.05 / width,
            1 - 0.04 / height,
            stamp,
            ha="right",
            va="top",
            fontsize=7,
            color=ORANGE,
            weight="bold",
        )
    return figure


def head_inches(width: float, *, stamp: str | None, title: str) -> float:
    """Inches that stamp and title take at the top of a figure so many inches wide."""
    lines = _title_lines(width, title)
    return (STAMP_INCHES if stamp else 0) + _TITLE_INCHES * len(lines)


def _title_lines(width: float, title: str) -> list[str]:
    return wrap(title, int(width * _TITLE_CHARACTERS), break_on_hyphens=False)


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

    White stays white; the greys of scans change by 3 of 255 at the most, other colours by 13.

    Args:
        figure: Any of this room.
        width: In pixels; by default 150 an inch.
    """
    if width is not None:
        figure.set_dpi(width / figure.get_figwidth())
    picture = Image.fromarray(figure_pixels(figure)).quantize(
        _COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    )
    content = io.BytesIO()
    picture.save(content, "PNG", compress_level=_COMPRESSION)
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


def _families() -> list[str]:
    """The usual font, then those with Hangul that are there, for file names in captions."""
    there = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(font for font in _HANGUL_FONTS if font in there)]


rcParams["font.family"] = _families()
rcParams["text.parse_math"] = False  # a file's name or a setting may hold dollar signs
# It tells of building a list of fonts and of choosing among them; nobody here can act on it.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
