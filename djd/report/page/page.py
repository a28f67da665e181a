"""The report: one page that opens anywhere, and its figures as files."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from djd.files import write_whole
from djd.plots.style import figure_svg, save_figure
from djd.report.answer import Answer
from djd.report.page.drawings import NAMES, Drawing, drawings
from djd.report.page.latex import LATEX_NAME, settings_in_latex
from djd.report.page.sections import sections
from djd.report.tables import REPORT_NAME
from djd.sweeps.sweep import Sweep

FIGURES = "figures"

_XML = '<?xml version="1.0" encoding="utf-8"?>'


def write_page(contents: Sweep, answer: Answer) -> Path:
    """Write `report.html`, `figures/` and `settings.tex` into the folder of a sweep or run.

    Args:
        contents: What is in the folder.
        answer: What was worked out of it.

    Raises:
        OSError: They can't be written.
        InputError: A figure can't be written.
    """
    latex = settings_in_latex(answer, stamp=contents.stamp)
    write_whole(contents.folder / LATEX_NAME, latex)
    svgs = _write_figures(contents.folder / FIGURES, drawings(answer, stamp=contents.stamp))
    path = contents.folder / REPORT_NAME
    write_whole(path, page(contents, answer, svgs))
    return path


def _write_figures(folder: Path, drawn: Mapping[str, Drawing]) -> dict[str, str]:
    """Write every figure as PNG and SVG; what an earlier answer had and this one lacks goes."""
    folder.mkdir(exist_ok=True)
    for name in set(NAMES) - set(drawn):
        for kind in ("png", "svg"):
            (folder / f"{name}.{kind}").unlink(missing_ok=True)
    svgs = {}
    for name, drawing in drawn.items():
        save_figure(drawing.figure, folder / f"{name}.png")
        svgs[name] = figure_svg(drawing.figure, name=name, alt=drawing.alt)
        write_whole(folder / f"{name}.svg", f"{_XML}\n{svgs[name]}")
    return svgs


def page(contents: Sweep, answer: Answer, svgs: Mapping[str, str]) -> str:
    """The page as HTML that needs nothing besides itself.

    Args:
        contents: What is in the folder.
        answer: What was worked out of it.
        svgs: Its figures by name, see `figure_svg`.
    """
    figures = {name: Markup(svg) for name, svg in svgs.items()}
    return _template().render({**sections(contents, answer), **_looks(), "figures": figures})


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
