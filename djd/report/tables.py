"""The answer in files: `settings.csv`, `effects.csv`, `cells.csv` and `settings.tex`.

Numbers in CSV have six digits, undefined numbers are left empty, shares are between 0 and 1.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from djd.csv_files import write_rows
from djd.errors import InputError
from djd.files import remove
from djd.machine import usable_cores
from djd.processes import in_processes
from djd.report.answer import CELLS_NAME, EFFECTS_NAME, SETTINGS_NAME, STEPS_NAME, Answer
from djd.report.axes import EPOCHS
from djd.report.findings import Findings, SettingScores
from djd.report.ranking import head, ranking
from djd.report.scores import GraderScores, Scoreboard
from djd.runs.keys import SHARING_KEYS, AxisValue, short_names
from djd.runs.result import PartScores, stamp_column
from djd.statistics.bootstrap import FEW_DRAWS, draw_patients
from djd.statistics.held_out import HeldOut
from djd.statistics.intervals import Estimate
from djd.statistics.scoring import scores_alone
from djd.sweeps.cells import Cell, FinishedCell
from djd.sweeps.out_of_fold import predictions_at
from djd.sweeps.sweep import UNUSABLE_RESULT, Sweep, has_unusable_result

Row = dict[str, Any]

_Found = TypeVar("_Found")

CELLS_AT_ONCE = 250
"""In a call of a process."""

MOST_WITH_INTERVALS = 2000
"""Rows of `cells.csv` with intervals; 10,000 rows took 66 s of a core with them, in place of 5."""


def write_tables(sweep: Sweep, answer: Answer) -> None:
    """Write the CSV files, with a column of the stamp; an empty table has a head alone.

    Steps have a file only where there are any.
    """
    stamped = stamp_column(sweep.stamp)
    if not (found := step_rows(answer.findings)):
        remove(sweep.folder / STEPS_NAME)
    for name, rows, first in (
        *([(STEPS_NAME, found, ("step",))] if found else []),
        (SETTINGS_NAME, setting_rows(answer), ("rank", "setting")),
        (EFFECTS_NAME, effect_rows(answer.findings), ("axis", "level")),
        (CELLS_NAME, cell_rows(sweep), ("cell", "state", "reason")),
    ):
        columns = dict.fromkeys([*first, *(column for row in rows for column in row)])
        write_rows(sweep.folder / name, [*columns, *stamped], [{**row, **stamped} for row in rows])


def setting_rows(answer: Answer) -> list[Row]:
    """A row a setting, the best first, then a row a baseline."""
    chosen = {each.name: f"{each.name} {each.setting}".strip() for each in answer.baselines}
    best = answer.findings.settings[0] if answer.findings else None
    return [
        {
            **({"rank": line.rank} if line.rank else {}),
            "setting": chosen.get(line.name, line.name),
            **_out_of_fold_columns(line.scores, best),
            **(score_columns(line.test.scores, before="test_") if line.test else {}),
            **_lead_columns(answer.findings, line.name if line.kind == "baseline" else ""),
        }
        for line in ranking(answer)
        if line.kind != "reader"
    ]


def _lead_columns(findings: Findings | None, baseline: str) -> Row:
    """How far the best setting is ahead of a baseline: larger kappa, smaller rps."""
    if findings is None or baseline not in findings.beyond:
        return {}
    leads = {"kappa": findings.beyond, "rps": findings.beyond_in_rps}
    there = {score: each[baseline] for score, each in leads.items() if baseline in each}
    return score_columns(there, before="best_ahead_in_")


def _out_of_fold_columns(scores: GraderScores | None, best: GraderScores | None) -> Row:
    if scores is None or best is None:
        return {}
    counts = {"patients": scores.patients, "knees": scores.knees}
    if not isinstance(scores, SettingScores):
        return counts | score_columns(scores.scores)
    setting, behind = scores.setting, best.scores["kappa"].value - scores.scores["kappa"].value
    return {
        **axis_columns(setting.axes),
        "learning_rate": written(setting.configs[0].optim.learning_rate),
        EPOCHS: setting.epochs,
        "repeats": setting.repeats,
        **counts,
        "in_best_set": _yes(scores.in_best_set),
        "in_best_set_of_accuracy": _yes(scores.in_best_set_of_accuracy),
        "kappa_behind_best": written(behind),
        "kappa_se_patients": written(scores.patient_error),
        "kappa_sd_seeds": written(scores.between_repeats.seed),
        "kappa_sd_splits": written(scores.between_repeats.split),
        "seconds_a_training": written(setting.seconds),
        "ms_a_knee": written(setting.milliseconds_a_knee),
        **score_columns(scores.scores),
    }


def effect_rows(findings: Findings | None) -> list[Row]:
    """A row for each axis, score, judgement (mean or best in the grid) and level."""
    return [
        {
            "axis": effect.axis,
            "level": level,
            "score": effect.score,
            "judged_by": judged_by,
            "matched_settings": effect.matched,
            "settings": effect.settings,
            **score_columns({"value": effect.estimate(judged, place)}),
            "behind_best": written(judged.scores.max() - judged.scores[place]),
            "told_apart_from": written(judged.distance),
            "in_best_set": _yes(judged.among_best[place]),
        }
        for effect in (findings.effects if findings else ())
        for judged_by, judged in (("mean", effect.mean), ("best", effect.best))
        if judged is not None
        for place, level in enumerate(effect.levels)
    ]


def step_rows(findings: Findings | None) -> list[Row]:
    """A row for each step: its scores, its gain over the step before, what it costs."""
    return [
        {
            "step": each.name,
            **score_columns({"kappa": each.kappa, "rps": each.rps}),
            **score_columns({"gain": each.gain} if each.gain else {}),
            **score_columns({"rps_lower_by": each.gain_in_rps} if each.gain_in_rps else {}),
            "seconds_a_training": written(each.seconds),
        }
        for each in (findings.steps if findings else ())
    ]


def axis_columns(axes: Mapping[str, AxisValue]) -> Row:
    """A column for each axis, under its short name."""
    return {name: axes[key] for key, name in short_names(axes).items()}


def score_columns(scores: Mapping[str, Estimate], *, before: str = "") -> Row:
    """Each score with both ends of its interval: `kappa`, `kappa_low`, `kappa_high` ..."""
    return {
        f"{before}{name}{end}": written(value)
        for name, estimate in scores.items()
        for end, value in zip(("", "_low", "_high"), estimate, strict=True)
    }


def written(value: float) -> str:
    """A number as text; empty where undefined."""
    return "" if math.isnan(value) else f"{value:.6g}"


def _yes(fact: bool | np.bool_) -> str:
    return "yes" if fact else "no"


def unfinished(sweep: Sweep) -> list[tuple[str, Cell, str]]:
    """State, cell and reason of every cell without a usable result."""
    rows = [("failed", cell, reason) for cell, reason in sweep.failed]
    rows += [("running elsewhere", cell, "") for cell in sweep.elsewhere]
    for cell in sweep.to_do:
        unusable = has_unusable_result(cell)
        rows.append(("unusable", cell, UNUSABLE_RESULT) if unusable else ("not trained", cell, ""))
    return rows


def cell_rows(sweep: Sweep) -> list[Row]:
    """A row for each cell at each of its score epochs; one row for a cell without a result.

    The grades are those that the cell decided by itself, so `SHARING_KEYS` have no columns.

    Of more than `MOST_WITH_INTERVALS` rows scores have no intervals.
    """
    finished = sweep.finished_trainings
    many = sum(len(cell.result.validation) for cell in finished) > MOST_WITH_INTERVALS
    rows = _rows_alone(finished) if many else _rows_together(finished)
    return rows + [_cell_head(cell, state, reason) for state, cell, reason in unfinished(sweep)]


def _rows_together(finished: Sequence[FinishedCell]) -> list[Row]:
    """Cells with the same held-out knees are scored together, on fewer draws than settings."""
    rows: list[Row] = []
    alike: dict[tuple[tuple[str, str, str], ...], list[tuple[Row, HeldOut]]] = {}
    for cell in finished:
        found = _tried(partial(predictions_at, cell.folder, cell.result.validation))
        for row, predictions in _finished_rows(cell, found):
            rows.append(row)
            if predictions:
                alike.setdefault(predictions.knees, []).append((row, predictions))
    for group in alike.values():
        graders = [grader for _, grader in group]
        board = Scoreboard.of(graders, draw_patients(graders[0].patients, draws=FEW_DRAWS))
        for (row, _), grader in zip(group, board.scores, strict=True):
            row |= score_columns(grader.scores)
    return rows


def _rows_alone(finished: Sequence[FinishedCell]) -> list[Row]:
    """Cells without intervals, read and scored on all cores."""
    parts = [(cell.folder, cell.result.validation) for cell in finished]
    chunks = [parts[at : at + CELLS_AT_ONCE] for at in range(0, len(parts), CELLS_AT_ONCE)]
    scored = chain.from_iterable(in_processes(_scored, chunks, processes=usable_cores()))
    rows: list[Row] = []
    for cell, found in zip(finished, scored, strict=True):
        for row, scores in _finished_rows(cell, found):
            rows.append(row | score_columns(scores or {}))
    return rows


def _scored(
    cells: Sequence[tuple[Path, Sequence[PartScores]]],
) -> list[dict[int, dict[str, Estimate]] | InputError]:
    """Scores of each cell by epoch, or why its predictions can't be used."""
    return [_tried(partial(_scored_alone, *each)) for each in cells]


def _scored_alone(folder: Path, parts: Sequence[PartScores]) -> dict[int, dict[str, Estimate]]:
    return {
        epoch: {name: Estimate(value) for name, value in scores_alone(predictions).items()}
        for epoch, predictions in predictions_at(folder, parts).items()
    }


def _tried(read: Callable[[], _Found]) -> _Found | InputError:
    try:
        return read()
    except InputError as error:
        return error


def _cell_head(cell: Cell, state: str, reason: str = "") -> Row:
    config = cell.config
    return {
        "cell": cell.folder.name,
        "state": state,
        "reason": reason,
        **axis_columns({key: each for key, each in cell.axes.items() if key not in SHARING_KEYS}),
        "learning_rate": written(config.optim.learning_rate),
        "fold": "" if config.data.fold is None else config.data.fold,
        "seed": config.seed,
        "split_seed": config.data.split_seed,
    }


def _finished_rows(
    cell: FinishedCell, by_epoch: Mapping[int, _Found] | InputError
) -> Iterator[tuple[Row, _Found | None]]:
    """Rows of a finished cell, each with what was found of its epoch."""
    row, seconds = _cell_head(cell, "finished"), {"fit_seconds": written(cell.result.fit_seconds)}
    if isinstance(by_epoch, InputError):
        yield row | {"state": "unusable", "reason": str(by_epoch)}, None
        return
    if not by_epoch:  # nothing was held out
        yield row | seconds, None
    for scores in cell.result.validation:
        at = {"epoch": scores.epoch, "patients": scores.patients, "knees": scores.knees}
        yield row | at | seconds, by_epoch[scores.epoch]


MOST_IN_LATEX = 1000
"""Settings of `settings.tex`, on twenty pages."""

_ESCAPES: Mapping[str, str] = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def settings_in_latex(answer: Answer, *, stamp: str | None) -> str:
    """The ranked settings and baselines as a table for a manuscript."""
    if answer.findings is None:
        return "% No setting is finished: there is nothing to compare.\n"
    best = answer.findings.settings[0]
    columns = head(answer.findings, short_names(best.setting.axes).values())
    columns[-1] = columns[-1].partition(" (")[0]
    several = len(answer.findings.settings) > 1
    starred = "An asterisk marks settings that can't be told apart from the best. "
    caption = (
        f"{_escaped(stamp) + '. ' if stamp else ''}Quadratic weighted kappa, accuracy and recall "
        f"of minimal disease out of fold, with 95\\,\\% intervals over patients "
        f"({best.knees} knees of {best.patients} patients). "
        f"{starred if several else ''}Research use only."
    )
    rows: dict[str, list[str]] = {"setting": [], "baseline": []}
    lines = [line for line in ranking(answer) if line.kind in rows]
    for line in lines:
        if line.rank is None or line.rank <= MOST_IN_LATEX:
            cells = line.cells(len(best.setting.axes), blank="--")[:-1]
            rows[line.kind].append(_latex_row(cells))
    left = len(answer.findings.settings) - MOST_IN_LATEX
    text = [
        *([f"% {left} more settings are in {SETTINGS_NAME} alone."] if left > 0 else []),
        "% Needs \\usepackage{booktabs,longtable} and a font with the letters of its names.",
        "{\\small\\setlength{\\tabcolsep}{4pt}",
        f"\\begin{{longtable}}{{{'l' * len(columns)}}}",
        f"\\caption{{{caption}}}\\\\",
        "\\toprule",
        _latex_row(columns),
        "\\midrule",
        "\\endhead",
        *rows["setting"],
        *(["\\midrule", *rows["baseline"]] if rows["baseline"] else []),
        "\\bottomrule",
        "\\end{longtable}}",
    ]
    return "\n".join(text) + "\n"


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(_escaped, cells)) + r" \\"


def _escaped(text: str) -> str:
    """Text with LaTeX's signs escaped, and a minus as a minus."""
    plain = "".join(_ESCAPES.get(sign, sign) for sign in text)
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", plain)
