"""What all figures share: size, fonts, colours, the stamp, and the way to a file or to pixels."""

import html
import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap

import numpy as np
from matplotlib import font_manager, rc_context, rcParams
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

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
_LAYOUT_PASSES = 2
"""A square matrix only finds its place once it knows its size."""

_SVG_FONTS = "'DejaVu Sans', Verdana, sans-serif"
"""Whose letters are as wide as those the figure was laid out with, where a machine has them."""

_ROOT_ATTRIBUTES = f'stroke-linejoin="round" stroke-linecap="butt" font-family="{_SVG_FONTS}"'
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


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG, or as an SVG where the name ends so, whole or not at all.

    Raises:
        InputError: The file can't be written.
    """
    content = _svg_document(figure) if path.suffix.lower() == ".svg" else _png(figure)
    try:
        write_whole(path, content)
    except OSError as error:
        raise InputError(f"{path}: can't be written ({error.strerror or error})") from error


def figure_svg(figure: Figure, *, name: str, alt: str) -> str:
    """A figure as an SVG element to stand in an HTML page.

    It scales to the width that the page gives it, refers to nothing outside itself, and is the
    same text for the same figure. Its text stays text.

    Args:
        figure: Any of this room.
        name: Unlike that of any other figure on the page, in letters, digits, `-` and `_`; the ids
            inside begin with it.
        alt: What the figure shows, for readers who can't see it.
    """
    svg = _svg(figure)
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg, count=2)
    svg = _sub_in_tags(r'( id="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(alt)}" ', 1)


def _png(figure: Figure) -> memoryview:
    _lay_out(figure)
    content = io.BytesIO()
    with _quiet_about_glyphs():
        figure.savefig(content, format="png")
    return content.getbuffer()


def _svg_document(figure: Figure) -> str:
    return '<?xml version="1.0" encoding="utf-8"?>\n' + _svg(figure)


def _svg(figure: Figure) -> str:
    """An SVG element without what only a drawing program needs, and without this machine's fonts.

    The style sheet becomes attributes: in a page it would hold for all of the page.
    """
    _lay_out(figure)
    content = io.StringIO()
    unsigned = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "djd"}), _quiet_about_glyphs():
        figure.savefig(content, format="svg", metadata=unsigned)
    svg = content.getvalue()
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg[svg.index("<svg ") :])
    svg = re.sub(r"\n\s*", "\n", svg)
    svg = svg.replace("<svg ", f"<svg {_ROOT_ATTRIBUTES} ", 1)
    used = "|".join(re.findall(r'(?:url\(#|href="#)(\w+)', svg))
    svg = _sub_in_tags(rf' id="(?!(?:{used})")[^"]*"', "", svg)
    svg = _sub_in_tags(r' transform="rotate\(-?0 [^)]*\)"', "", svg)
    svg = _sub_in_tags(r"font-family: [^;\"]*;? ?", "", svg)
    svg = _sub_in_tags(r"(font: [^;\"]*px) [^;\"]*", rf"\1 {_SVG_FONTS}", svg)
    return re.sub(r' (?:d|x|y)="[^"]*"', _shorter, svg)


def _shorter(place: re.Match[str]) -> str:
    """Coordinates to a hundredth of a point; lines don't say at each corner that they go on."""
    text = re.sub(r"(\.\d\d)\d+", r"\1", place[0])
    return text if set("CQ") & set(text) else text.replace("\nL ", "")


def _sub_in_tags(pattern: str, replacement: str, svg: str) -> str:
    """Replace a pattern in tags, and never in the words of a figure."""
    return re.sub(r"<[^>]*>", lambda tag: re.sub(pattern, replacement, tag[0]), svg)


def figure_pixels(figure: Figure) -> NDArray[np.uint8]:
    """A figure as uint8 (row, column, channel 3), red, green and blue from 0 to 255."""
    _lay_out(figure)
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    with _quiet_about_glyphs():
        canvas.draw()  # type: ignore[no-untyped-call]
    pixels: NDArray[np.uint8] = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return pixels[..., :3].copy()


def _lay_out(figure: Figure) -> None:
    """Place the axes once and for all: each drawing would move them a little, in its own way."""
    if figure.get_layout_engine() is None:
        return
    with _quiet_about_glyphs():
        for _ in range(_LAYOUT_PASSES):
            figure.draw_without_rendering()
    figure.set_layout_engine("none")


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
rcParams["text.parse_math"] = False  # a file's name or a setting may hold dollar signs
# It tells of building a list of fonts and of choosing among them; nobody here can act on it.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
