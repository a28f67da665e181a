"""The ranking, built once: settings, baselines and the second reader; its print on the terminal.

`djd.report.tables` prints the same lines as CSV and LaTeX, `djd.report.page.rows` as HTML.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from rich.table import Table

from djd.grades import GRADE_NAMES
from djd.report.answer import OUT_OF_FOLD, SETTINGS_NAME, TEST, Answer
from djd.report.axes import EPOCHS
from djd.report.findings import Findings, SettingScores
from djd.report.scores import GraderScores
from djd.report.sentences import DASH, scored
from djd.runs.keys import as_typed, short_names
from djd.runs.summary import as_text
from djd.statistics.effects import LevelScores
from djd.statistics.scoring import MINIMAL
from djd.wording import count_of

MOST_LINES = 20
"""Settings that the terminal shows; `settings.csv` has all."""

READER = "second reader"


class Line(NamedTuple):
    """One line of the ranking.

    Attributes:
        name: Of the setting or baseline, or `READER`.
        kind: `tested` is a setting with test scores and without a place in the ranking.
        scores: Out of fold; None where there are none.
        test: On the test patients; None where they weren't scored.
        rank: From 1; None for all but settings in the ranking.
        starred: Whether it is one of several settings and can't be told apart from the best.
    """

    name: str
    kind: Literal["setting", "tested", "baseline", "reader"]
    scores: GraderScores | None
    test: GraderScores | None
    rank: int | None = None
    starred: bool = False

    def cells(self, axes: int, *, mark: str = "*", blank: str = DASH) -> list[str]:
        """Rank or name, place on every axis, epochs, kappa, accuracy, minimal recall, test kappa.

        `axes` is how many axes there are besides epochs.
        """
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
    """Settings, the best first; settings with test scores alone; baselines; the second reader."""
    findings, tested = answer.findings, answer.tested
    settings = findings.settings if findings else ()
    on_test = dict(tested.settings) if tested else {}
    lines = [
        Line(
            each.setting.name,
            "setting",
            each,
            on_test.pop(each.setting.name, None),
            rank,
            starred=each.in_best_set and len(settings) > 1,
        )
        for rank, each in enumerate(settings, start=1)
    ]
    lines += [Line(name, "tested", None, scores) for name, scores in on_test.items()]
    beside = tested.baselines if tested else {}
    for name, scores in (findings.baselines if findings else {}).items():
        lines.append(Line(name, "baseline", scores, beside.get(name)))
    if read := answer.second_reader:
        lines.append(Line(READER, "reader", read.get(OUT_OF_FOLD), read.get(TEST)))
    return lines


def head(findings: Findings, names: Iterable[str]) -> list[str]:
    """Names of the columns of `Line.cells` but the last; `names` are those of the axes."""
    minimal = count_of(findings.settings[0].knees_of_grades[MINIMAL], "knee")
    return ["rank", *names, EPOCHS, "kappa", "accuracy", f"minimal recall ({minimal})"]


def grade_rows(graders: Iterable[GraderScores]) -> list[list[str]]:
    """A row for each grade: its name, then knees, recall and precision of each grader."""
    rows = [[f"{grade} {name}"] for grade, name in enumerate(GRADE_NAMES)]
    for grader in graders:
        for row, name, knees in zip(rows, GRADE_NAMES, grader.knees_of_grades, strict=True):
            row += [
                str(knees),
                _score(grader, f"recall_{name}"),
                _score(grader, f"precision_{name}"),
            ]
    return rows


def terminal_tables(answer: Answer) -> list[str]:
    """Ranked settings with the baselines, effects, and the grades of a single setting, as text."""
    findings = answer.findings
    tables = []
    if findings:
        tables.append(as_text(ranked_table(answer, findings)))
        if (more := len(findings.settings) - MOST_LINES) > 0:
            tables.append(f"... and {count_of(more, 'more setting')} ({SETTINGS_NAME} has all)")
        effects = effects_table(findings)
        tables += [as_text(effects)] if effects.row_count else []
    if answer.is_of_one:
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
    for line in [each for each in lines if each.kind == "setting"][:MOST_LINES]:
        table.add_row(*line.cells(len(axes), mark=" *")[:-1])
    table.add_section()
    for line in lines:
        if line.kind == "baseline":
            table.add_row(*line.cells(len(axes))[:-1])
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


def effects_table(findings: Findings) -> Table:
    """Kappa of each level of each axis; without rows where nothing was compared."""
    table = Table("axis", "level", "kappa, mean over the grid", "", "kappa, best in the grid", " ")
    for effect in findings.effects:
        if effect.score != "kappa" or effect.mean is None or effect.best is None:
            continue
        judged = zip(effect.levels, _starred(effect.mean), _starred(effect.best), strict=True)
        for place, (level, mean, best) in enumerate(judged):
            table.add_row("" if place else effect.name, as_typed(level), *mean, *best)
        table.add_section()
    return table


def _starred(levels: LevelScores) -> Sequence[tuple[str, str]]:
    return [
        (scored(estimate), "*" if among_best else "")
        for estimate, among_best in zip(levels.estimates, levels.among_best, strict=True)
    ]
