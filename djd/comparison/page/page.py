"""The report: one page that opens anywhere, and its figures as files."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from djd.comparison.findings.answer import Answer
from djd.comparison.findings.headline import headline
from djd.comparison.findings.questions import QUESTIONS, Question, question_sentences
from djd.comparison.findings.sentences import best_sentences, detection_sentence, edge_sentence
from djd.comparison.findings.tables import REPORT_NAME
from djd.comparison.folder import Contents
from djd.comparison.page.drawings import drawings
from djd.comparison.page.provenance import made_how, missing_cells, openings
from djd.comparison.page.rows import Row, grades_table, ranking_table, scores_table
from djd.figures.style import figure_svg, save_figure
from djd.files import write_whole
from djd.training.summary import count_of

FIGURES = "figures"

_XML = '<?xml version="1.0" encoding="utf-8"?>'

TITLES: dict[Question, str] = {
    "hyperparameters": "Which hyperparameters?",
    "depth": "Which depth?",
    "optimizer": "Which optimizer?",
}

WORDS = (
    ("out of fold", "each development knee graded by the model that did not train on its patient"),
    ("test", "patients whom nothing was chosen on, graded by a model refitted on all others"),
    (
        "kappa",
        "quadratic weighted kappa: agreement beyond chance, where a miss by two grades costs four "
        "times one by one; 1 is perfect, 0 a constant guess",
    ),
    (
        "95 % interval",
        "of 100 such intervals 95 hold the true figure; a patient, not a knee, is one observation",
    ),
    ("can't be told apart", "the difference is within what chance makes of so many patients"),
    ("minimal disease", "grade 1, which every grader finds hardest"),
    (
        "uptake",
        "a logistic model that knows only how much a knee takes up relative to its leg's shafts",
    ),
    ("majority", "everyone gets the commonest grade"),
    ("setting, cell", "one choice of everything compared; one training of it, on a fold and seed"),
)


def write_page(contents: Contents, answer: Answer) -> Path:
    """Write `report.html` and `figures/` into the folder of a sweep or run.

    Args:
        contents: What is in the folder.
        answer: What was worked out of it.

    Raises:
        OSError: They can't be written.
        InputError: A figure can't be written.
    """
    below = contents.folder / FIGURES
    below.mkdir(exist_ok=True)
    svgs = {}
    for name, drawing in drawings(answer, stamp=contents.stamp).items():
        save_figure(drawing.figure, below / f"{name}.png")
        svgs[name] = figure_svg(drawing.figure, name=name.replace("_", "-"), alt=drawing.alt)
        write_whole(below / f"{name}.svg", f"{_XML}\n{svgs[name]}")
    path = contents.folder / REPORT_NAME
    write_whole(path, page(contents, answer, svgs))
    return path


def page(contents: Contents, answer: Answer, svgs: Mapping[str, str]) -> str:
    """The page as HTML that needs nothing besides itself.

    Args:
        contents: What is in the folder.
        answer: What was worked out of it.
        svgs: Its figures by name, see `figure_svg`.
    """
    figures = {name: Markup(svg) for name, svg in svgs.items()}
    return _template().render({**_told(contents, answer), "figures": figures, "words": WORDS})


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_part("report.html.j2"))


@cache
def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _told(contents: Contents, answer: Answer) -> dict[str, Any]:
    findings = answer.findings
    return {
        "title": _title(contents, answer),
        "stamp": contents.stamp,
        "folder": contents.folder.absolute().name,
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "css": Markup(_part("report.css")),
        "script": Markup(_part("report.js")),
        "headline": headline(answer),
        "remarks": _remarks(answer),
        "warnings": _warnings(contents, answer),
        "flow": None,
        "questions": [
            {
                "name": question,
                "title": TITLES[question],
                "sentences": question_sentences(question, findings),
            }
            for question in QUESTIONS
            if findings and len(findings.settings) > 1
        ],
        "ranking": ranking_table(findings, answer) if findings else None,
        "grades": grades_table(answer),
        "scores": scores_table(answer),
        "missing": [Row(each) for each in missing_cells(contents)],
        "openings": _openings(contents),
        "made": made_how(contents),
    }


def _title(contents: Contents, answer: Answer) -> str:
    if contents.run:
        return f"Knee DJD grading: {contents.run.setting}"
    count = len(answer.findings.settings) if answer.findings else 0
    return f"Knee DJD grading: {count_of(count, 'setting')} compared"


def _remarks(answer: Answer) -> list[str]:
    findings = answer.findings
    if findings is None or len(findings.settings) == 1:
        return []
    # The first tells which can't be told apart, which the headline has said.
    return [
        f"{sentence}." for sentence in (detection_sentence(findings), *best_sentences(findings)[1:])
    ]


def _warnings(contents: Contents, answer: Answer) -> list[str]:
    said = []
    if missing := missing_cells(contents):
        failed = sum(each.state == "failed" for each in missing)
        cells = count_of(len(contents.planned), "cell")
        said.append(
            f"{len(missing)} of {cells} have no result ({failed} failed); settings that lack one "
            "don't compete."
        )
    if answer.findings:
        said += [f"{edge_sentence(edge, answer.findings)}." for edge in answer.edges]
    return [*said, *(f"{note[:1].upper()}{note[1:]}." for note in answer.notes)]


def _openings(contents: Contents) -> dict[str, Any]:
    found = openings(contents)
    if not found:
        return {"sentence": "Not by this comparison: the test patients stayed closed.", "rows": []}
    times = "once" if len(found) == 1 else f"{len(found)} times"
    return {
        "sentence": f"From this folder {times}. Every look at them makes the next one worth less; "
        "test=never keeps them closed while one is still trying things.",
        "rows": [
            Row((each.when.replace("T", " ").removesuffix("+00:00"), each.setting))
            for each in found
        ],
    }
