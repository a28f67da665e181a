"""Findings as the tables of the page: heads and rows of words."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from djd.grades import GRADE_NAMES
from djd.report.answer import Answer
from djd.report.out_of_fold import Findings, SettingFigures
from djd.report.page.drawings import other_tested, parts_of
from djd.report.questions import axis_words
from djd.report.readers import SecondReader
from djd.report.scoreboard import Figures
from djd.report.sentences import UPTAKE
from djd.report.wording import DASH, capital, scored
from djd.runs.keys import as_typed
from djd.statistics.scoring import MINIMAL
from djd.wording import count_of

MOST_SHOWN = 40
"""Settings that the page shows at once; the rest can be unfolded."""

MARK = "★"


class Row(NamedTuple):
    """A line of a table, and what kind of line it is."""

    cells: Sequence[str]
    kind: str = ""


class Table(NamedTuple):
    """A table of the page.

    Attributes:
        head: Names of its columns.
        rows: Its lines.
        title: Above it.
        explained: How to read it, in a sentence.
        more: All lines, folded away, where `rows` has the first of them only.
    """

    head: Sequence[str]
    rows: Sequence[Row]
    title: str = ""
    explained: str = ""
    more: Sequence[Row] = ()


def ranking_table(findings: Findings, answer: Answer) -> Table:
    """Every setting, the best first, then the baselines."""
    axes = findings.settings[0].setting.axes
    several = len(findings.settings) > 1
    minimal = count_of(findings.settings[0].figures.knees_of_grades[MINIMAL], "knee")
    head = [
        "rank",
        *axis_words(axes).values(),
        "epochs",
        "kappa",
        "accuracy",
        f"minimal recall ({minimal})",
        "test kappa",
    ]
    rows = [
        _setting(rank, each, answer, several)
        for rank, each in enumerate(findings.settings, start=1)
    ]
    blanks = [DASH] * (len(axes) + 1)
    tested_baselines = answer.opened.baselines if answer.opened else {}
    baselines = [
        Row([name, *blanks, *_scores(figures), _test(tested_baselines, name)], "baseline")
        for name, figures in findings.baselines.items()
    ]
    if reader := _second_reader(answer.second_reader, blanks):
        baselines.append(reader)
    starred = (
        f"{MARK} marks the settings that can't be told apart from the best, by kappa. "
        if several
        else ""
    )
    return Table(
        head=head,
        rows=[*rows[:MOST_SHOWN], *baselines],
        title="All settings" if several else "The setting and the baselines",
        explained=f"{starred}Scores are out of fold{_repeats(findings)}, each with its 95 % "
        "interval; majority gives everyone the commonest grade, uptake knows only how much a knee "
        "takes up.",
        more=[*rows, *baselines] if len(rows) > MOST_SHOWN else [],
    )


def _repeats(findings: Findings) -> str:
    repeats = findings.settings[0].setting.repeats
    return f", means over {repeats} seeds or splits" if repeats > 1 else ""


def _second_reader(reader: SecondReader | None, blanks: Sequence[str]) -> Row | None:
    """The second reader's agreement with the grades: what a network can be held against."""
    if reader is None or not (reader.held_out or reader.test):
        return None
    held_out, test = reader.held_out, reader.test
    cells = [
        "second reader",
        *blanks,
        scored(held_out.kappa) if held_out else DASH,
        scored(held_out.accuracy, percent=True) if held_out else DASH,
        DASH,
        scored(test.kappa) if test else DASH,
    ]
    return Row(cells, "baseline")


def _setting(rank: int, each: SettingFigures, answer: Answer, several: bool) -> Row:
    mark = f" {MARK}" if several and each.in_best_set else ""
    axes = [as_typed(value) for value in each.setting.axes.values()]
    tested = _test(answer.opened.figures if answer.opened else {}, each.setting.name)
    cells = [f"{rank}{mark}", *axes, str(each.setting.epochs), *_scores(each.figures), tested]
    return Row(cells, "best" if mark else "")


def _scores(figures: Figures) -> Iterable[str]:
    scores = figures.scores
    yield scored(scores["kappa"])
    yield scored(scores["accuracy"], percent=True)
    yield scored(scores["recall_minimal"], percent=True)


def _test(figures: Mapping[str, Figures], name: str) -> str:
    tested = figures.get(name)
    return scored(tested.scores["kappa"]) if tested else DASH


def grades_table(answer: Answer) -> Table | None:
    """Recall and precision of each grade; None where there is nothing to tell."""
    parts = parts_of(answer)
    if not parts:
        return None
    head = ["grade"]
    for part in parts:
        head += [f"{part}: {column}" for column in ("knees", "recall", "precision")]
    rows = [
        Row(
            [f"{grade} {name}", *(cell for each in parts.values() for cell in _grade(each, grade))],
            "minimal" if grade == MINIMAL else "",
        )
        for grade, name in enumerate(GRADE_NAMES)
    ]
    named = " and ".join(f"{part} ({_name_of(part, answer)})" for part in parts)
    return Table(
        head,
        rows,
        explained=f"{capital(named)}. Minimal disease, in bold, is the hardest grade "
        "in most published work.",
    )


def _name_of(part: str, answer: Answer) -> str:
    if part == "test":
        return next(iter(answer.opened.figures)) if answer.opened else ""
    return answer.findings.settings[0].setting.name if answer.findings else ""


def _grade(figures: Figures, grade: int) -> Iterable[str]:
    name = GRADE_NAMES[grade]
    yield str(figures.knees_of_grades[grade])
    yield scored(figures.scores[f"recall_{name}"], percent=True)
    yield scored(figures.scores[f"precision_{name}"], percent=True)


SCORES: Mapping[str, tuple[str, bool]] = {
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
"""What scores are called on the page, and whether they are given in percent."""


def scores_table(answer: Answer) -> Table | None:
    """Every score of the best setting and of uptake, merged read-outs among them."""
    columns: dict[str, Figures] = {}
    for part, figures in parts_of(answer).items():
        other = other_tested(answer) if part == "test" else None
        columns[f"{other}, {part}" if other else part] = figures
    for part, baselines in (
        ("out of fold", answer.findings.baselines if answer.findings else {}),
        ("test", answer.opened.baselines if answer.opened else {}),
    ):
        if UPTAKE in baselines:
            columns[f"uptake, {part}"] = baselines[UPTAKE]
    if not columns:
        return None
    rows = [
        Row([words, *(scored(each.scores[name], percent=percent) for each in columns.values())])
        for name, (words, percent) in SCORES.items()
    ]
    knees = Row(["knees, patients", *(f"{e.knees}, {e.patients}" for e in columns.values())])
    return Table(["score", *columns], [*rows, knees])
