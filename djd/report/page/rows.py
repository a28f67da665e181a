"""The tables of the page."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from djd.data.crop import CROP_SIZE
from djd.grades import GRADE_NAMES
from djd.report.answer import OUT_OF_FOLD, SETTINGS_NAME, TEST, Answer
from djd.report.axes import axis_words
from djd.report.findings import SettingScores
from djd.report.ranking import STEPS_HEAD, grade_rows, head, ranking, step_rows
from djd.report.scores import DASH, GraderScores, scored
from djd.report.steps import steps_sentence
from djd.runs.config import RunConfig
from djd.runs.result import RunResult
from djd.statistics.scoring import MINIMAL
from djd.sweeps.sweep import Sweep
from djd.wording import capital, count_of, in_shell, in_words

MOST_SHOWN = 40
"""Settings shown at once; the rest can be unfolded."""

MOST_UNFOLDED = 1000
"""Settings in the table that is unfolded, 0.7 MB; `settings.csv` has all."""

MOST_MISSING = 200
"""Cells without a result that are shown; `cells.csv` has all."""

MARK = "★"

COSTS = ("seconds a training", "ms a knee")

SCORES: dict[str, tuple[str, bool]] = {
    "kappa": ("quadratic kappa", False),
    "accuracy": ("accuracy", True),
    "balanced_accuracy": ("balanced accuracy", True),
    "macro_f1": ("macro F1", True),
    "mae": ("mean error in grades (MAE)", False),
    "off_by_one": ("off by one grade at most", True),
    "any_sensitivity": ("none or any disease: sensitivity", True),
    "any_specificity": ("none or any disease: specificity", True),
    "auroc_any": ("none or any disease: AUROC", False),
    "early_sensitivity": ("minimal disease found at 90 % specificity", True),
    "three_group_kappa": ("none, minimal to mild, moderate to severe: kappa", False),
    "three_group_accuracy": ("none, minimal to mild, moderate to severe: accuracy", True),
    "brier": ("Brier score", False),
    "rps": ("ranked probability score", False),
}
"""Names of scores on the page, and whether in percent."""


class Row(NamedTuple):
    """A line of a table, and its class in the style sheet."""

    cells: Sequence[str]
    kind: str = ""


class Table(NamedTuple):
    """A table; `more` has all lines, folded away, where `rows` has only the first.

    Of more than `MOST_UNFOLDED` settings `more` has the best, which `summary` says.
    """

    head: Sequence[str]
    rows: Sequence[Row]
    title: str = ""
    explained: str = ""
    more: Sequence[Row] = ()
    summary: str = ""


def ranking_table(answer: Answer) -> Table | None:
    """Every setting, the best first, then the baselines and the second reader."""
    if (findings := answer.findings) is None:
        return None
    first, several = findings.settings[0].setting, len(findings.settings) > 1
    settings, others = [], []
    for line in ranking(answer):
        cells = [*line.cells(len(first.axes), mark=f" {MARK}"), *_costs(line.scores)]
        if line.kind == "setting":
            settings.append(Row(cells, "best" if line.starred else ""))
        elif line.kind != "tested":
            others.append(Row(cells, "baseline"))
    starred = f"{MARK} marks the settings that can't be told apart from the best, by kappa. "
    repeats = f", means over {first.repeats} seeds or splits" if first.repeats > 1 else ""
    return Table(
        head=[*head(findings, axis_words(first.axes).values()), "test kappa", *COSTS],
        rows=[*settings[:MOST_SHOWN], *others],
        title="All settings" if several else "The setting and the baselines",
        explained=f"{starred if several else ''}Scores are out of fold{repeats}, each with its "
        "95 % interval; majority gives everyone the commonest grade, uptake knows only how much a "
        "knee takes up, features knows handmade measures of the picture. Seconds and milliseconds "
        "are means over trainings as they ran; ms a knee are of one epoch.",
        more=[*settings[:MOST_UNFOLDED], *others] if len(settings) > MOST_SHOWN else [],
        summary=_summary(len(settings)),
    )


def _summary(settings: int) -> str:
    if (left := settings - MOST_UNFOLDED) <= 0:
        return "All settings, to be sorted"
    return (
        f"The best {MOST_UNFOLDED} settings, to be sorted "
        f"({left} more are in {SETTINGS_NAME} alone)"
    )


def _costs(scores: GraderScores | None) -> list[str]:
    if not isinstance(scores, SettingScores):
        return [DASH] * len(COSTS)
    knee = scores.setting.milliseconds_a_knee
    return [f"{scores.setting.seconds:.1f}", DASH if math.isnan(knee) else f"{knee:.2f}"]


def steps_page_table(answer: Answer) -> Table | None:
    """Every step; None where `recipe` was not compared."""
    if answer.findings is None or not (found := answer.findings.steps):
        return None
    return Table(
        head=STEPS_HEAD,
        rows=list(map(Row, step_rows(found))),
        explained=f"{steps_sentence(found)}. Each step is one more change, in the order of the "
        "command line; its gain is over the step before, on the same patients, and each interval "
        "holds by itself. rps is the ranked probability score, of which smaller is better.",
    )


def grades_table(answer: Answer) -> Table | None:
    """Recall and precision of each grade; None where nothing was scored."""
    if not answer.parts:
        return None
    names = {}
    if answer.findings:
        names[OUT_OF_FOLD] = answer.findings.settings[0].setting.name
    if answer.tested:
        names[TEST] = answer.tested.winner
    columns = ("knees", "recall", "precision")
    kinds = ["minimal" if grade == MINIMAL else "" for grade in range(len(GRADE_NAMES))]
    parts = capital(" and ".join(f"{part} ({name})" for part, name in names.items()))
    return Table(
        head=["grade", *(f"{part}: {column}" for part in names for column in columns)],
        rows=list(map(Row, grade_rows(answer.parts.values()), kinds)),
        explained=f"{parts}. Minimal disease, in bold, is the hardest grade in most published "
        "work.",
    )


def scores_table(answer: Answer) -> Table | None:
    """Every score of the best setting and of uptake."""
    other = answer.other_tested
    columns = {
        f"{other}, {part}" if other and part == TEST else part: grader
        for part, grader in answer.parts.items()
    }
    columns |= {f"uptake, {part}": grader for part, grader in answer.uptake.items()}
    if not columns:
        return None
    rows = [
        Row([words, *(scored(each.scores[name], percent=percent) for each in columns.values())])
        for name, (words, percent) in SCORES.items()
    ]
    knees = Row(["knees, patients", *(f"{e.knees}, {e.patients}" for e in columns.values())])
    return Table(["score", *columns], [*rows, knees])


def made_how(contents: Sweep) -> list[tuple[str, str]]:
    """Names and values for training the same again."""
    made: list[tuple[str, str]] = []
    if contents.plan:
        made.append(("command", in_shell("python", "train.py", *contents.plan.arguments)))
    configs = [cell.config for cell in contents.trainings]
    results = [each.result for each in contents.finished_trainings]
    made.append(("cells", f"{len(results)} of {len(configs)} finished"))
    made += _of_config(configs) if configs else ()
    return [*made, *(_of_results(results) if results else ())]


def _of_config(configs: Sequence[RunConfig]) -> Iterable[tuple[str, str]]:
    data = configs[0].data
    folds = sorted({config.data.fold for config in configs if config.data.fold is not None})
    held_out = ", ".join(map(str, folds)) or "none"
    styled = "" if data.phantom_style == "plain" else f", style {data.phantom_style}"
    yield "scans", str(data.root or f"invented (seed {data.phantom_seed}{styled})")
    yield "test patients", str(data.test_list or f"the last {data.test_count} by file name")
    yield "folds held out", f"{held_out} ({data.folds} folds, split seed {data.split_seed})"
    yield "seeds", ", ".join(map(str, sorted({config.seed for config in configs})))
    yield "views, crop, scaling", f"{data.views}, {data.crop}, {data.scaling}"
    if data.pixels != CROP_SIZE:
        yield "pixels", f"{data.pixels} rows and columns, the counts of neighbours summed"
    if (precisions := {config.trainer.precision for config in configs}) != {"float32"}:
        yield "precision of training steps", ", ".join(sorted(precisions))
    yield "epochs", f"fixed beforehand: {', '.join(map(str, configs[0].epochs_to_score))}"


def _of_results(results: Sequence[RunResult]) -> Iterable[tuple[str, str]]:
    devices = sorted({f"{each.device}, {count_of(each.threads, 'thread')}" for each in results})
    versions = {" ".join(pair) for each in results for pair in each.versions.items()}
    yield "trained on", "; ".join(devices)
    yield "time of training", in_words(sum(each.fit_seconds for each in results))
    yield "cohort", ", ".join(sorted({each.fingerprint for each in results}))
    yield "versions", ", ".join(sorted(versions))
