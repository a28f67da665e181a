"""What all figures share: size, fonts, colours, the stamp, and the way to a file or to pixels."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from matplotlib import font_manager, rcParams
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from djd.errors import InputError
from djd.files import write_whole

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8C8C8C"
"""Of Okabe and Ito's palette, which colour-blind people can tell apart."""

STAMP_INCHES = 0.2

_DPI = 150
_HANGUL_FONTS = ("Noto Sans CJK KR", "NanumGothic", "Malgun Gothic", "Apple SD Gothic Neo")


def new_figure(
    width: float, height: float, *, stamp: str | None, constrained: bool = True
) -> Figure:
    """An empty figure of so many inches, with its stamp at the top right.

    It belongs to no window system and to no global state.

    Args:
        width: In inches.
        height: In inches.
        stamp: Such as PHANTOM; it takes `STAMP_INCHES` at the top.
        constrained: Whether matplotlib places the axes, below the stamp.
    """
    top = 1 - STAMP_INCHES / height if stamp else 1.0
    layout = ConstrainedLayoutEngine(rect=(0, 0, 1, top)) if constrained else None
    figure = Figure(figsize=(width, height), dpi=_DPI, layout=layout)
    FigureCanvasAgg(figure)
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


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG, whole or not at all.

    Raises:
        InputError: The file can't be written.
    """
    content = io.BytesIO()
    with _quiet_about_glyphs():
        figure.savefig(content, format="png")
    try:
        write_whole(path, content.getbuffer())
    except OSError as error:
        raise InputError(f"{path}: can't be written ({error.strerror or error})") from error


def figure_pixels(figure: Figure) -> NDArray[np.uint8]:
    """A figure as uint8 (row, column, channel 3), red, green and blue from 0 to 255."""
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    with _quiet_about_glyphs():
        canvas.draw()  # type: ignore[no-untyped-call]
    pixels: NDArray[np.uint8] = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return pixels[..., :3].copy()


@contextmanager
def _quiet_about_glyphs() -> Iterator[None]:
    """Without a warning for each sign of a file's name that no font here has."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _families() -> list[str]:
    """The usual font, then those with Hangul that are there, for file names in captions."""
    there = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(font for font in _HANGUL_FONTS if font in there)]


rcParams["font.family"] = _families()
# It tells of building a list of fonts and of choosing among them; nobody here can act on it.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
