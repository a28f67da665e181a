"""Ranked settings, baselines among them, and effects, as tables for the terminal."""

from collections.abc import Iterable

from rich.table import Table

from djd.grades import GRADE_NAMES
from djd.report.answer import Answer
from djd.report.out_of_fold import Findings
from djd.report.scoreboard import Figures
from djd.report.wording import DASH, scored
from djd.runs.keys import as_typed, short_names
from djd.statistics.effects import LevelScores
from djd.statistics.scoring import MINIMAL
from djd.wording import count_of

MOST_ROWS = 20
"""Settings that the terminal shows; `settings.csv` has all."""


def ranked_table(findings: Findings) -> Table:
    """The best settings first, each score with its interval, then the baselines."""
    axes = findings.settings[0].setting.axes
    table = Table("rank", *short_names(axes).values(), "epochs")
    minimal = f"minimal recall\n({count_of(_minimal_knees(findings), 'knee')})"
    for score in ("kappa", "accuracy", minimal):
        table.add_column(score, no_wrap=True)
    for rank, each in enumerate(findings.settings[:MOST_ROWS], start=1):
        mark = "*" if each.in_best_set and len(findings.settings) > 1 else ""
        places = [as_typed(value) for value in each.setting.axes.values()]
        table.add_row(f"{rank} {mark}", *places, str(each.setting.epochs), *_scores(each.figures))
    table.add_section()
    blanks = [DASH] * (len(axes) + 1)
    for name, figures in findings.baselines.items():
        table.add_row(name, *blanks, *_scores(figures))
    return table


def _scores(figures: Figures) -> Iterable[str]:
    scores = figures.scores
    yield scored(scores["kappa"])
    yield scored(scores["accuracy"], percent=True)
    yield scored(scores["recall_minimal"], percent=True)


def _minimal_knees(findings: Findings) -> int:
    return sum(grade == MINIMAL for _, _, _, grade in findings.evidence.knees)


def grade_table(answer: Answer) -> Table:
    """Recall and precision of each grade, of one setting out of fold and on the test patients."""
    parts: dict[str, Figures] = {}
    if answer.findings:
        parts["validation"] = answer.findings.settings[0].figures
    if answer.opened:
        parts["test"] = next(iter(answer.opened.figures.values()))
    table = Table("grade")
    for part in parts:
        for column in ("knees", "recall", "precision"):
            table.add_column(f"{part}\n{column}", justify="right")
    for grade, name in enumerate(GRADE_NAMES):
        cells = [cell for figures in parts.values() for cell in _of_grade(figures, grade, name)]
        table.add_row(f"{grade} {name}", *cells)
    return table


def _of_grade(figures: Figures, grade: int, name: str) -> Iterable[str]:
    yield str(figures.knees_of_grades[grade])
    yield scored(figures.scores[f"recall_{name}"], percent=True)
    yield scored(figures.scores[f"precision_{name}"], percent=True)


def effects_table(findings: Findings) -> Table | None:
    """Kappa of each level of each axis; None where nothing was compared."""
    table = Table("axis", "level", "kappa, mean over the grid", "", "kappa, best in the grid", " ")
    for effect in findings.effects:
        if effect.score != "kappa" or effect.mean is None or effect.best is None:
            continue
        for place, level in enumerate(effect.levels):
            name = effect.name if place == 0 else ""
            mean, best = _at(effect.mean, place), _at(effect.best, place)
            table.add_row(name, as_typed(level), *mean, *best)
        table.add_section()
    return table if table.row_count else None


def _at(levels: LevelScores, place: int) -> tuple[str, str]:
    return scored(levels.estimates[place]), "*" if levels.among_best[place] else ""
