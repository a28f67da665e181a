"""The report: one page that opens anywhere, and its figures as files."""

import base64
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from djd.files import write_whole
from djd.plots.style import figure_png
from djd.report.answer import Answer
from djd.report.page.drawings import NAMES, Drawing, drawings
from djd.report.page.latex import LATEX_NAME, settings_in_latex
from djd.report.page.sections import sections
from djd.report.tables import REPORT_NAME
from djd.sweeps.folder import Contents

FIGURES = "figures"
WIDTH_PIXELS = 1152
"""Of a figure: twice its width on the page, for screens and printers with small dots."""


def write_page(contents: Contents, answer: Answer) -> Path:
    """Write `report.html`, `figures/` and `settings.tex` into the folder of a sweep or run.

    Args:
        contents: What is in the folder.
        answer: What was worked out of it.

    Raises:
        OSError: They can't be written.
    """
    latex = settings_in_latex(answer, stamp=contents.stamp)
    write_whole(contents.folder / LATEX_NAME, latex)
    images = _write_figures(contents.folder / FIGURES, drawings(answer, stamp=contents.stamp))
    path = contents.folder / REPORT_NAME
    write_whole(path, page(contents, answer, images))
    return path


def _write_figures(folder: Path, drawn: Mapping[str, Drawing]) -> dict[str, Markup]:
    """Write every figure as a PNG; what an earlier answer had and this one lacks goes."""
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        # Versions before wrote SVGs too.
        (folder / f"{name}.svg").unlink(missing_ok=True)
        if name not in drawn:
            (folder / f"{name}.png").unlink(missing_ok=True)
    images = {}
    for name, drawing in drawn.items():
        png = figure_png(drawing.figure, width=WIDTH_PIXELS)
        write_whole(folder / f"{name}.png", png)
        images[name] = image(png, alt=drawing.alt)
    return images


def image(png: bytes, *, alt: str) -> Markup:
    """A PNG as an element that stands in the page itself, and words for who can't see it."""
    data = base64.b64encode(png).decode()
    return Markup('<img src="data:image/png;base64,{}" alt="{}">').format(data, alt)


def page(contents: Contents, answer: Answer, images: Mapping[str, Markup]) -> str:
    """The page as HTML that needs nothing besides itself.

    Args:
        contents: What is in the folder.
        answer: What was worked out of it.
        images: Its figures by name, see `image`.
    """
    return _template().render({**sections(contents, answer), **_looks(), "figures": images})


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True,
        finalize=_unbroken,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.from_string(_part("report.html.j2"))


def _unbroken(value: object) -> object:
    """Words with a percent sign that stays in the line of its number."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return value.replace(" %", "\N{NO-BREAK SPACE}%")


def _looks() -> dict[str, Markup]:
    return {"css": Markup(_part("report.css")), "script": Markup(_part("report.js"))}


@cache
def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
