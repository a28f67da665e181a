"""The ranking of settings, baselines and the second reader, and its tables on the terminal.

`djd.report.tables` prints the same lines as CSV and LaTeX, `djd.report.page.rows` as HTML.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from rich.table import Table

from djd.grades import GRADE_NAMES
from djd.report.answer import OUT_OF_FOLD, SETTINGS_NAME, TEST, Answer
from djd.report.axes import EPOCHS
from djd.report.findings import Findings, SettingScores
from djd.report.scores import DASH, GraderScores, scored
from djd.report.steps import Step
from djd.runs.keys import as_typed, short_names
from djd.runs.summary import as_text
from djd.statistics.scoring import MINIMAL
from djd.wording import count_of

MOST_LINES = 20
"""Settings on the terminal; `settings.csv` has all."""

READER = "second reader"


class Line(NamedTuple):
    """One line of the ranking.

    Attributes:
        name: Of the setting or baseline, or `READER`.
        kind: `tested` is a setting with test scores alone.
        scores: Out of fold; None where there are none, as `test`.
        rank: From 1; None for all but settings in the ranking.
        starred: Whether one of several settings can't be told apart from the best.
    """

    name: str
    kind: Literal["setting", "tested", "baseline", "reader"]
    scores: GraderScores | None
    test: GraderScores | None
    rank: int | None = None
    starred: bool = False

    def cells(self, axes: int, *, mark: str = "*", blank: str = DASH) -> list[str]:
        """The line in words, see `head`, and test kappa; `axes` counts the axes besides epochs."""
        head, places = self.name, [blank] * (axes + 1)
        if isinstance(self.scores, SettingScores):
            setting = self.scores.setting
            head = f"{self.rank}{mark if self.starred else ''}"
            places = [*map(as_typed, setting.axes.values()), str(setting.epochs)]
        minimal = DASH if self.kind == "reader" else _score(self.scores, "recall_minimal")
        numbers = [_score(self.scores, "kappa"), _score(self.scores, "accuracy"), minimal]
        return [head, *places, *numbers, _score(self.test, "kappa")]


def _score(grader: GraderScores | None, name: str) -> str:
    return scored(grader.scores[name], percent=name != "kappa") if grader else DASH


def ranking(answer: Answer) -> list[Line]:
    """Settings, the best first; those with test scores alone; baselines; the second reader."""
    findings, tested = answer.findings, answer.tested
    named = [(each.setting.name, each) for each in (findings.settings if findings else ())]
    several, on_test = len(named) > 1, dict(tested.settings) if tested else {}
    lines = [
        Line(name, "setting", each, on_test.pop(name, None), rank, each.in_best_set and several)
        for rank, (name, each) in enumerate(named, start=1)
    ]
    lines += [Line(name, "tested", None, scores) for name, scores in on_test.items()]
    beside = tested.baselines if tested else {}
    for name, scores in (findings.baselines if findings else {}).items():
        lines.append(Line(name, "baseline", scores, beside.get(name)))
    if read := answer.second_reader:
        lines.append(Line(READER, "reader", read.get(OUT_OF_FOLD), read.get(TEST)))
    return lines


def head(findings: Findings, names: Iterable[str]) -> list[str]:
    """Columns of `Line.cells` but the last; `names` are those of the axes."""
    minimal = count_of(findings.settings[0].knees_of_grades[MINIMAL], "knee")
    return ["rank", *names, EPOCHS, "kappa", "accuracy", f"minimal recall ({minimal})"]


def grade_rows(graders: Iterable[GraderScores]) -> list[list[str]]:
    """A row for each grade: its name, then knees, recall and precision of each grader."""
    rows = [[f"{grade} {name}"] for grade, name in enumerate(GRADE_NAMES)]
    for grader in graders:
        for row, name, knees in zip(rows, GRADE_NAMES, grader.knees_of_grades, strict=True):
            shares = (_score(grader, f"{score}_{name}") for score in ("recall", "precision"))
            row += [str(knees), *shares]
    return rows


def terminal_tables(answer: Answer) -> list[str]:
    """Ranked settings with the baselines, effects, and the grades of a single setting, as text."""
    findings, tables = answer.findings, []
    if findings:
        tables.append(as_text(ranked_table(answer, findings)))
        if (more := len(findings.settings) - MOST_LINES) > 0:
            tables.append(f"... and {count_of(more, 'more setting')} ({SETTINGS_NAME} has all)")
        effects = effects_table(findings)
        tables += [as_text(effects)] if effects.row_count else []
        tables += [as_text(steps_table(findings.steps))] if findings.steps else []
    if len(findings.settings) == 1 if findings else answer.tested:
        tables.append(as_text(grade_table(answer)))
    return tables


def ranked_table(answer: Answer, findings: Findings) -> Table:
    """The best settings first, each score with its interval, then the baselines."""
    axes = findings.settings[0].setting.axes
    columns = head(findings, short_names(axes).values())
    table = Table(*columns[:-3])
    for score in columns[-3:]:
        table.add_column(score.replace(" (", "\n("), no_wrap=True)
    lines = ranking(answer)
    for kind in ("setting", "baseline"):
        for line in [each for each in lines if each.kind == kind][:MOST_LINES]:
            table.add_row(*line.cells(len(axes), mark=" *")[:-1])
        table.add_section()
    return table


def grade_table(answer: Answer) -> Table:
    """Recall and precision of each grade, out of fold and on the test patients."""
    table = Table("grade")
    for part in answer.parts:
        for column in ("knees", "recall", "precision"):
            where = "validation" if part == OUT_OF_FOLD else part
            table.add_column(f"{where}\n{column}", justify="right")
    for row in grade_rows(answer.parts.values()):
        table.add_row(*row)
    return table


STEPS_HEAD = ("step", "kappa", "gain", "rps lower by", "seconds a training")


def step_rows(found: Iterable[Step]) -> list[list[str]]:
    """A row for each step, see `STEPS_HEAD`."""
    return [
        [
            each.name,
            scored(each.kappa),
            scored(each.gain) if each.gain else DASH,
            scored(each.gain_in_rps, decimals=3) if each.gain_in_rps else DASH,
            f"{each.seconds:.1f}",
        ]
        for each in found
    ]


def steps_table(found: Iterable[Step]) -> Table:
    """Kappa of each step and its gain over the one before."""
    table = Table(*STEPS_HEAD)
    for row in step_rows(found):
        table.add_row(*row)
    return table


def effects_table(findings: Findings) -> Table:
    """Kappa of each level of each axis."""
    table = Table("axis", "level", "kappa, mean over the grid", "", "kappa, best in the grid", " ")
    for effect in findings.effects:
        if effect.score != "kappa" or effect.mean is None or effect.best is None:
            continue
        for place, level in enumerate(effect.levels):
            cells = ["" if place else effect.name, as_typed(level)]
            for judged in (effect.mean, effect.best):
                cells += [scored(judged.estimates[place]), "*" if judged.among_best[place] else ""]
            table.add_row(*cells)
        table.add_section()
    return table
