"""The report: one page without other files, and its plots as files."""

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from djd.data.cohort_flow import Flow, flow_sentences
from djd.errors import InputError
from djd.files import remove, write_whole
from djd.grades import GRADE_NAMES
from djd.plots.style import figure_png
from djd.report.answer import FIGURES, LATEX_NAME, REPORT_NAME, Answer
from djd.report.axes import QUESTIONS
from djd.report.headline import (
    NOTHING_FINISHED,
    NOTHING_HELD_OUT,
    headline,
    question_sentences,
    reader_sentences,
)
from djd.report.page.plots import NAMES, Plot, plots
from djd.report.page.rows import (
    MOST_MISSING,
    Row,
    grades_table,
    made_how,
    ranking_table,
    scores_table,
    steps_page_table,
)
from djd.report.risk_coverage import risk_sentence
from djd.report.sentences import edge_sentences, remarks
from djd.report.tables import settings_in_latex, unfinished
from djd.runs.folder import LEDGER_NAME
from djd.runs.keys import AxisValue
from djd.runs.test_ledger import openings_in
from djd.sweeps.folder import winner_results
from djd.sweeps.sweep import Sweep
from djd.wording import capital, count_of

WORST_FIRST = ("failed", "unusable", "running elsewhere", "not trained")
"""States of cells without a result, in the order of the page."""


def write_page(contents: Sweep, answer: Answer) -> Path:
    """Write `report.html`, `figures/` and `settings.tex`; the path of the page."""
    folder, stamp = contents.folder, contents.stamp
    said = ". ".join(filter(None, [stamp, *contents.pretrained])) or None
    write_whole(folder / LATEX_NAME, settings_in_latex(answer, stamp=said))
    images = _write_plots(folder / FIGURES, plots(answer, stamp=stamp))
    write_whole(folder / REPORT_NAME, page(contents, answer, images))
    return folder / REPORT_NAME


def _write_plots(folder: Path, plotted: Mapping[str, Plot]) -> dict[str, Markup]:
    """Write every plot as a PNG; other plots of an earlier answer are deleted."""
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        # Earlier versions wrote SVGs too.
        remove(folder / f"{name}.svg")
        if name not in plotted:
            remove(folder / f"{name}.png")
    images = {}
    for name, plot in plotted.items():
        png = figure_png(plot.figure, width=plot.width)
        write_whole(folder / f"{name}.png", png)
        images[name] = image(png, alt=plot.alt)
    return images


def image(png: bytes, *, alt: str) -> Markup:
    """A PNG as an element of the page, and words for readers who can't see the PNG."""
    data = base64.b64encode(png).decode()
    return Markup('<img src="data:image/png;base64,{}" alt="{}">').format(data, alt)


def page(contents: Sweep, answer: Answer, images: Mapping[str, Markup]) -> str:
    """The page as HTML without links to files; its images by name, see `image`."""
    values = {**_values(contents, answer), **page_looks(), "figures": images}
    return page_template(_file("report.html.j2")).render(values)


def page_looks() -> dict[str, Markup]:
    """The style and the script of every page, by the names in a template."""
    return {"css": Markup(_file("report.css")), "script": Markup(_file("report.js"))}


def own_page(package: str, name: str, values: Mapping[str, Any]) -> str:
    """A page of another room: `name.html.j2` of its package, with `name.css` and `name.js`.

    The style and the script of every page come before the page's own.
    """

    def text(ending: str) -> str:
        return files(package).joinpath(f"{name}.{ending}").read_text(encoding="utf-8")

    looks = page_looks()
    own = {
        "css": looks["css"] + Markup(text("css")),
        "script": looks["script"] + Markup(text("js")),
    }
    return page_template(text("html.j2")).render({**values, **own, "version": version("djd")})


@cache
def page_template(text: str) -> Template:
    """A template of a page, in which what is put in is escaped."""
    environment = Environment(
        autoescape=True,
        finalize=_unbroken,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.from_string(text)


def _unbroken(value: object) -> object:
    """Words with percent signs in the line of their numbers."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return value.replace(" %", "\N{NO-BREAK SPACE}%")


@cache
def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _values(contents: Sweep, answer: Answer) -> dict[str, Any]:
    """Everything on the page but the plots, by the names in the template."""
    findings, questions = answer.findings, {}
    if findings and len(findings.settings) > 1:
        planned = _planned_values(contents)
        questions = {each: question_sentences(each, findings, planned) for each in QUESTIONS}
    leaks = any(cell.config.data.leak for cell in contents.cells)
    missing = missing_cells(contents)
    more = [*remarks(answer), *reader_sentences(answer.second_reader)]
    compared = count_of(len(findings.settings) if findings else 0, "setting") + " compared"
    return {
        "title": f"Knee DJD grading: {contents.run.setting if contents.run else compared}",
        "stamp": contents.stamp,
        "folder": contents.folder.absolute().name,
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "headline": headline(answer, nothing=_why_nothing(contents)),
        "remarks": [f"{sentence}." for sentence in more],
        "warnings": _warnings(contents, answer, missing, leaks=leaks),
        "flow": _flow(contents.folder),
        "questions": questions,
        "ranking": ranking_table(answer),
        "steps": steps_page_table(answer),
        "grades": grades_table(answer),
        "scores": scores_table(answer),
        "knees": [f"{sentence}." for sentence in answer.knees.sentences] if answer.knees else [],
        "risk": risk_sentence(answer.risks) if answer.risks else None,
        "missing": missing,
        "most_missing": MOST_MISSING,
        "openings": _openings(contents, tested=answer.tested is not None),
        "made": made_how(contents),
        "leaks": leaks,
        "second_reader": answer.second_reader is not None,
    }


def _planned_values(contents: Sweep) -> dict[str, list[AxisValue]]:
    """Values of each compared axis, of finished cells or not."""
    values: dict[str, dict[AxisValue, None]] = {}
    for axis, value in (pair for cell in contents.cells for pair in cell.setting_axes.items()):
        values.setdefault(axis, {})[value] = None
    return {axis: list(there) for axis, there in values.items()}


def _why_nothing(contents: Sweep) -> str:
    """The reason where there is no finding."""
    if not contents.finished:
        return NOTHING_FINISHED
    if not any(each.result.validation for each in contents.finished):
        return NOTHING_HELD_OUT
    unreadable = "no setting has readable predictions of all the folds that it was to hold out"
    return f"Nothing can be compared: {unreadable}"


def missing_cells(contents: Sweep) -> list[Row]:
    """Name, state and reason of each cell without a usable result, the worst state first."""
    missing = sorted(unfinished(contents), key=lambda each: WORST_FIRST.index(each[0]))
    return [Row((cell.folder.name, state, reason)) for state, cell, reason in missing]


def _flow(folder: Path) -> dict[str, Any] | None:
    """The cohort flow; None where its file is missing or damaged."""
    flow = None
    with suppress(InputError):
        flow = Flow.load(folder)
    if flow is None:
        return None
    rows = [
        Row([name, *map(str, (part.patients, part.knees, *part.knees_per_grade))])
        for name, part in (("development", flow.development), ("test", flow.test))
    ]
    # The table has the last two sentences, which are those of the parts.
    lines = [f"{sentence}." for sentence in flow_sentences(flow)[:-2]]
    return {"lines": lines, "head": ["part", "patients", "knees", *GRADE_NAMES], "rows": rows}


def _warnings(contents: Sweep, answer: Answer, missing: Sequence[Row], *, leaks: bool) -> list[str]:
    said = []
    if leaks:
        said.append(
            "Leak: the test patients were trained on (data.leak=true), to see what that is worth. "
            "Their scores here say nothing about other patients."
        )
    if missing:
        failed = sum(row.cells[1] == "failed" for row in missing)
        cells = f"{len(missing)} of {count_of(len(contents.trainings), 'cell')}"
        lost = f"{cells} have no result ({failed} failed)"
        said.append(f"{lost}; settings that lack one don't compete.")
    if answer.findings:
        said += [f"{sentence}." for sentence in edge_sentences(answer.findings)]
    # The headline says where nothing was held out.
    return said + [f"{capital(note)}." for note in answer.notes if note != NOTHING_HELD_OUT]


def _openings(contents: Sweep, *, tested: bool) -> dict[str, Any]:
    """The number of openings of the test patients, in a sentence, and those of this folder."""
    found, known = openings(contents), openings_known(contents)
    if found:
        # Other folders may have opened the test patients too.
        counted = _times(max(known, len(found)))
        in_all = f", {counted} in all that its machine had counted by then" if known else ""
        sentence = (
            f"From this folder {_times(len(found))}{in_all}. Every look at them makes the next one "
            "worth less; test=never keeps them closed while one is still trying things."
        )
    elif tested:
        unknown = f"It isn't known: {LEDGER_NAME} is missing or damaged"
        sentence = f"{unknown}, though there are scores of the test patients."
    else:
        sentence = "Not by this comparison: the test patients stayed closed."
    return {"sentence": sentence, "rows": list(map(Row, found))}


def openings(contents: Sweep) -> list[tuple[str, str]]:
    """Times and settings of this folder's openings of the test patients, the earliest first."""
    found = []
    with suppress(OSError):
        for each in openings_in(contents.folder / LEDGER_NAME):
            if {"when", "setting"} <= each.keys():
                when = str(each["when"]).replace("T", " ").removesuffix("+00:00")
                found.append((when, str(each["setting"])))
    return found


def openings_known(contents: Sweep) -> int:
    """Openings that the machine had counted when the last winner was scored."""
    results = [contents.run] if contents.run else dict(winner_results(contents.folder)).values()
    return max((result.test_openings or 0 for result in results if result), default=0)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
