"""`settings.csv`, `effects.csv` and `cells.csv`: every figure with its interval, for programs.

Numbers have six digits; what is undefined is left empty. Shares are between 0 and 1.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from djd.files import write_rows
from djd.report.answer import Answer
from djd.report.axis_effects import EPOCHS, AxisEffect
from djd.report.out_of_fold import Findings, SettingFigures
from djd.report.scoreboard import Figures
from djd.runs.result import stamp_column
from djd.statistics.effects import LevelScores
from djd.statistics.intervals import Estimate
from djd.sweeps.cells import AxisValue, short_names

SETTINGS_NAME = "settings.csv"
EFFECTS_NAME = "effects.csv"
CELLS_NAME = "cells.csv"
REPORT_NAME = "report.html"

Row = dict[str, Any]


def write_tables(folder: Path, answer: Answer, cells: Sequence[Row], *, stamp: str | None) -> None:
    """Write the tables; those that would be empty have a head alone.

    Args:
        folder: The comparison's.
        answer: What was worked out.
        cells: Rows of `cells.csv`, see `djd.report.cell_rows`.
        stamp: What has to stand on everything; a column of every table where there is one.
    """
    _write(folder / SETTINGS_NAME, setting_rows(answer), stamp, first=("rank", "setting"))
    _write(folder / EFFECTS_NAME, effect_rows(answer.findings), stamp, first=("axis", "level"))
    _write(folder / CELLS_NAME, cells, stamp, first=("cell", "state", "reason"))


def _write(path: Path, rows: Sequence[Row], stamp: str | None, *, first: Sequence[str]) -> None:
    stamped = stamp_column(stamp)
    columns = dict.fromkeys([*first, *(column for row in rows for column in row)])
    write_rows(path, [*columns, *stamped], [{**row, **stamped} for row in rows])


def setting_rows(answer: Answer) -> list[Row]:
    """A row a setting, the best first, then one a baseline."""
    findings = answer.findings
    if findings is None:
        return _tested_alone(answer, ranked=())
    rows = [
        _setting_row(rank, each, findings) | _test_columns(answer, each.setting.name)
        for rank, each in enumerate(findings.settings, start=1)
    ]
    rows += _tested_alone(answer, ranked=[each.setting.name for each in findings.settings])
    return rows + [_baseline_row(answer, findings, name) for name in findings.baselines]


def _tested_alone(answer: Answer, ranked: Sequence[str]) -> list[Row]:
    """Settings that were scored on the test patients and have no place in the ranking."""
    tested = answer.opened.figures if answer.opened else ()
    return [
        {"setting": name} | _test_columns(answer, name) for name in tested if name not in ranked
    ]


def _setting_row(rank: int, each: SettingFigures, findings: Findings) -> Row:
    setting = each.setting
    best = findings.settings[0].figures.scores["kappa"].value
    kappa = each.figures.scores["kappa"].value
    return {
        "rank": rank,
        "setting": setting.name,
        **axis_columns(setting.axes),
        "learning_rate": written(setting.cells[0].config.optim.learning_rate),
        EPOCHS: setting.epochs,
        "repeats": setting.repeats,
        "patients": each.figures.patients,
        "knees": each.figures.knees,
        "in_best_set": _yes(each.in_best_set),
        "in_best_set_of_accuracy": _yes(each.in_best_set_of_accuracy),
        "kappa_behind_best": written(best - kappa),
        "kappa_se_patients": written(each.patient_error),
        "kappa_sd_seeds": written(each.between_repeats.seed),
        "kappa_sd_splits": written(each.between_repeats.split),
        **score_columns(each.figures.scores),
    }


def _baseline_row(answer: Answer, findings: Findings, name: str) -> Row:
    figures = findings.baselines[name]
    tried = next(each for each in answer.baselines if each.name == name)
    setting = f"{name} {tried.setting}".strip()
    tested = answer.opened.baselines.get(name) if answer.opened else None
    return {
        "setting": setting,
        "patients": figures.patients,
        "knees": figures.knees,
        **score_columns(figures.scores),
        **(score_columns(tested.scores, before="test_") if tested else {}),
    }


def _test_columns(answer: Answer, name: str) -> Row:
    tested: Figures | None = answer.opened.figures.get(name) if answer.opened else None
    return score_columns(tested.scores, before="test_") if tested else {}


def effect_rows(findings: Findings | None) -> list[Row]:
    """A row for each level of each axis, each score, and each way to judge it."""
    effects = findings.effects if findings else ()
    return [
        row
        for effect in effects
        for judged_by, levels in (("mean", effect.mean), ("best", effect.best))
        if levels is not None
        for row in _level_rows(effect, judged_by, levels)
    ]


def _level_rows(effect: AxisEffect, judged_by: str, levels: LevelScores) -> Iterable[Row]:
    best = float(levels.scores.max())
    for place, level in enumerate(effect.levels):
        estimate = levels.estimates[place]
        yield {
            "axis": effect.axis,
            "level": level,
            "score": effect.score,
            "judged_by": judged_by,
            "matched_settings": effect.matched,
            "settings": effect.settings,
            **score_columns({"value": estimate}),
            "behind_best": written(best - estimate.value),
            "told_apart_from": written(levels.distance),
            "in_best_set": _yes(bool(levels.among_best[place])),
        }


def axis_columns(axes: Mapping[str, AxisValue]) -> Row:
    """An axis a column, under its short name."""
    return {name: axes[key] for key, name in short_names(axes).items()}


def score_columns(scores: Mapping[str, Estimate], *, before: str = "") -> Row:
    """Each score with both ends of its interval: `kappa`, `kappa_low`, `kappa_high` ..."""
    columns = {}
    for name, (value, low, high) in scores.items():
        columns[f"{before}{name}"] = written(value)
        columns[f"{before}{name}_low"] = written(low)
        columns[f"{before}{name}_high"] = written(high)
    return columns


def written(value: float) -> str:
    """A number as it is written; empty where it is undefined."""
    return "" if math.isnan(value) else f"{value:.6g}"


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"
