"""The model card beside every winner, made from the answer and the model file.

Sections after Mitchell et al., Model Cards for Model Reporting (2019), doi:10.1145/3287560.3287596.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from djd.errors import InputError
from djd.files import is_there, write_whole
from djd.grades import GRADE_NAMES
from djd.models.model_content import COUNT_QUANTILES, ModelContent
from djd.models.model_file import read_content
from djd.report.against import against
from djd.report.answer import FIGURES, OUT_OF_FOLD, REPORT_NAME, TEST, Answer
from djd.report.headline import reader_sentences, who_decided
from djd.report.page.rows import SCORES, made_how
from djd.report.ranking import grade_rows
from djd.report.scores import GraderScores, scored
from djd.report.sentences import luck_sentences, together_sentences
from djd.runs.folder import MODEL_NAME, WINNER
from djd.statistics.intervals import Estimate
from djd.sweeps.sweep import Sweep
from djd.sweeps.winner import OpenedRefit, sweep_opened
from djd.wording import capital, count_of, in_shell, listed, number, share

CARD_NAME = "model_card.md"

IN_SHORT = ("kappa", "accuracy", "balanced_accuracy", "rps")
"""Columns of the table of graders, of `SCORES`."""

OF_PROBABILITIES = ("brier", "rps", "auroc_any")
"""Scores of the probabilities, of `SCORES`."""

RIVALS: Mapping[str, str] = {
    "majority": "the commonest grade",
    "uptake": "uptake alone",
    "features": "handmade features",
}

NOT_SHOWN = ("command", "scans", "versions")
"""Rows of `made_how` that stand elsewhere, or name a folder of the machine."""

OVERRIDES_NAME = ".hydra/overrides.yaml"
"""Hydra's own record of a single run's command."""

Cells = Iterable[Sequence[str]]


def write_cards(sweep: Sweep, answer: Answer) -> None:
    """Write `model_card.md` beside the model file of each winner.

    Raises:
        OSError: A file can't be written.
    """
    settings = [each.setting for each in answer.findings.settings] if answer.findings else []
    for refit in sweep_opened(sweep, settings):
        if refit.folder.parent.name == WINNER and is_there(refit.folder / MODEL_NAME):
            write_whole(refit.folder / CARD_NAME, model_card(sweep, answer, refit))


def model_card(sweep: Sweep, answer: Answer, refit: OpenedRefit) -> str:
    """The card of one winner in Markdown; a sentence stands for what isn't known."""
    path = refit.folder / MODEL_NAME
    of_file: dict[str, Any]
    try:
        content, digest = read_content(path)
    except InputError as error:
        of_file = {"content": None, "unreadable": str(error).replace(str(path), MODEL_NAME)}
    else:
        of_file = _of_file(content, digest)
    values = {
        "setting": refit.name,
        "stamp": ". ".join(filter(None, [sweep.stamp, *sweep.pretrained])),
        "phantom": sweep.phantom,
        "leak": any(cell.config.data.leak for cell in sweep.cells),
        **of_file,
        **_scores(answer, refit.name),
        **_of_best(sweep, answer, refit.name),
        **_usage(sweep, refit),
        **_made(sweep),
    }
    return _template().render(values)


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"code": _code, "fence": _fence, "text": _text, "capital": capital}
    text = files(__package__).joinpath("model_card.md.j2").read_text(encoding="utf-8")
    return environment.from_string(text)


def _code(text: str) -> str:
    """Text in which Markdown marks nothing."""
    fence = _fence(text, least=1)
    return f"{fence} {text} {fence}" if "`" in text else f"`{text}`"


def _fence(text: str, *, least: int = 3) -> str:
    """Backticks, one more than stand together anywhere in a text."""
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))


def _text(text: str) -> str:
    """Text in a sentence or a table, without elements, links and code."""
    return re.sub(r"[<>&\[\]`]", lambda sign: f"&#{ord(sign[0])};", text)


def _of_file(content: ModelContent, digest: str) -> dict[str, Any]:
    """What stands in the model file: the networks, and who they were trained on."""
    training, temperature = content.training, content.decision.temperature
    views = zip(("anterior", "posterior"), training.count_quantiles.tolist(), strict=True)
    fewest = min(training.knees_per_grade)
    grade = GRADE_NAMES[training.knees_per_grade.index(fewest)]
    fitted = f"are at the temperature {number(temperature)}, which was fitted out of fold"
    plain = "are as the networks give them: no temperature was fitted"
    return {
        "content": content,
        "facts": _facts(content, digest),
        "training": training,
        "grades": GRADE_NAMES,
        "quantiles": {
            "head": ["view", *map(share, COUNT_QUANTILES)],
            "rows": [[view, *(number(each, decimals=1) for each in row)] for view, row in views],
        },
        "rarest": f"{grade}, with {count_of(fewest, 'knee')}",
        "calibrated": f"Probabilities {plain if temperature == 1 else fitted}.",
    }


def _facts(content: ModelContent, digest: str) -> Cells:
    weights, decision, crops = content.weights, content.decision, content.crops
    size = sum(each.numel() for each in weights[0].values() if each.is_floating_point())
    cuts = f", cuts at {', '.join(map(number, decision.cuts))}" if decision.cuts else ""
    inputs = f", and {listed(crops.inputs)}" if crops.inputs else ""
    views = f"views {crops.views}, crop {crops.placement}, scaling {crops.scaling}"
    return [
        ("network", _built(content.network)),
        ("loss", _built(content.loss)),
        ("parameters and buffers", f"{size:,} in each of {count_of(len(weights), 'network')}"),
        ("input", f"{crops.pixels} x {crops.pixels} pixels of a knee, {views}{inputs}"),
        ("output", f"probabilities of the grades {listed(content.grade_names)}"),
        ("rule (decide)", f"{decision.rule}{cuts}"),
        ("written", content.created),
        ("versions", ", ".join(map(" ".join, content.versions.items()))),
        (f"digest of {MODEL_NAME}", _code(digest)),
    ]


def _built(spec: Mapping[str, object]) -> str:
    """A class and its arguments."""
    given = ", ".join(f"{key}={value}" for key, value in spec.items() if key != "_target_")
    return _code(f"{str(spec.get('_target_')).rpartition('.')[2]}({given})")


def _scores(answer: Answer, name: str) -> dict[str, Any]:
    """Scores of a setting and the baselines by part; leads of the best setting and the winner."""
    findings, tested = answer.findings, answer.tested
    parts: dict[str, GraderScores] = {}
    baselines: dict[str, Mapping[str, GraderScores]] = {}
    leads: dict[str, Mapping[str, Estimate]] = {}
    if findings and (own := [each for each in findings.settings if each.setting.name == name]):
        parts[OUT_OF_FOLD], baselines[OUT_OF_FOLD] = own[0], findings.baselines
        leads[OUT_OF_FOLD] = findings.beyond if own[0] is findings.settings[0] else {}
    if tested and name in tested.settings:
        parts[TEST], baselines[TEST] = tested.settings[name], tested.baselines
        leads[TEST] = tested.beyond if name == tested.winner else {}
    return {
        "parts": parts,
        "missing": [part for part in (OUT_OF_FOLD, TEST) if part not in parts],
        "leads": [
            f"{capital(part)}, by kappa: {against(lead, 'this setting', RIVALS[rival])}"
            for part, of_part in leads.items()
            for rival, lead in of_part.items()
        ],
        "in_short": {
            "head": [SCORES[score][0] for score in IN_SHORT],
            "rows": [
                [f"{who}, {part}", *_in_short(grader)]
                for part, own in parts.items()
                for who, grader in {"this setting": own, **baselines[part]}.items()
            ],
        },
        "by_grade": {
            "head": ["grade", *(f"{part}: {each}" for part in parts for each in _OF_A_GRADE)],
            "rows": grade_rows(parts.values()),
        },
        "of_probabilities": [
            [SCORES[score][0], *(scored(own.scores[score]) for own in parts.values())]
            for score in OF_PROBABILITIES
        ],
    }


_OF_A_GRADE = ("knees", "recall", "precision")


def _in_short(grader: GraderScores) -> Iterable[str]:
    return (scored(grader.scores[name], percent=SCORES[name][1]) for name in IN_SHORT)


def _of_best(sweep: Sweep, answer: Answer, name: str) -> dict[str, Any]:
    """Sentences and figures of the best setting; none where another setting is the best now."""
    findings = answer.findings
    if findings is None or findings.settings[0].setting.name != name:
        figures = {"confusion": "", "reliability": ""}
        return {"together": [], "luck": [], "decided": [], "figures": figures}
    names = {"confusion": (OUT_OF_FOLD, TEST), "reliability": ("before", "")}
    return {
        "together": together_sentences(findings),
        "luck": [*luck_sentences(findings), *reader_sentences(answer.second_reader)],
        "decided": who_decided(findings),
        "figures": {
            kind: _links(sweep, [f"{kind}-{each}".rstrip("-").replace(" ", "-") for each in which])
            for kind, which in names.items()
        },
    }


def _links(sweep: Sweep, names: Iterable[str]) -> str:
    there = [name for name in names if is_there(sweep.folder / FIGURES / f"{name}.png")]
    links = [f"[{name}](../../{FIGURES}/{name}.png)" for name in there]
    return listed(links) if links else ""


def _usage(sweep: Sweep, refit: OpenedRefit) -> dict[str, str]:
    """A command for the folder above, so that no folder of this machine is in the card."""
    folder = sweep.folder.absolute().name
    model = f"{folder}/{WINNER}/{refit.folder.name}/{MODEL_NAME}"
    return {
        "folder": folder,
        "command": in_shell("djd", "predict", model, "/path/to/new scans", "--out", "grades"),
        "model": json.dumps(model, ensure_ascii=False),
    }


def _made(sweep: Sweep) -> dict[str, Any]:
    made = dict(made_how(sweep))
    return {
        "typed": made.get("command"),
        "made": [(name, _text(value)) for name, value in made.items() if name not in NOT_SHOWN],
        "overrides": OVERRIDES_NAME if is_there(sweep.folder / OVERRIDES_NAME) else None,
        "report": REPORT_NAME if is_there(sweep.folder / REPORT_NAME) else None,
    }
