"""Figures as small PNGs: a palette in place of three colours a pixel."""

import io
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from djd.errors import InputError
from djd.files import write_whole
from djd.plots.style import figure_pixels

_COMPRESSION = 4
"""Higher levels of zlib take up to ten times as long for 5 % fewer bytes."""

_COLOURS = 256


def palette_png(figure: Figure, *, width: int | None = None) -> bytes:
    """A figure as a PNG of at most 256 colours, chosen for it: 24 kB a confusion matrix, not 61.

    Greys of scans become 14, colours of drawings change by 14 of 255 at the most.

    Args:
        figure: Any of this room, laid out by hand where a width is given.
        width: In pixels; None is that of a saved figure.
    """
    if width is not None:
        figure.set_dpi(width / figure.get_figwidth())
    pixels = Image.fromarray(figure_pixels(figure))
    # Of Pillow's ways to choose colours the fastest; the most common ones (`MEDIANCUT`) take four
    # times as long and leave none for the stamp on a sheet of grey crops.
    chosen = pixels.quantize(_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    content = io.BytesIO()
    chosen.save(content, "PNG", compress_level=_COMPRESSION)
    return content.getvalue()


def save_palette_png(figure: Figure, path: Path, *, width: int | None = None) -> None:
    """Write a figure as `palette_png` makes it, whole or not at all.

    Raises:
        InputError: The file can't be written.
    """
    try:
        write_whole(path, palette_png(figure, width=width))
    except OSError as error:
        raise InputError(f"{path}: can't be written ({error.strerror or error})") from error
