"""A sweep's own files: their names, and how each is read, written and locked."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from djd.csv_files import csv_lines, write_rows
from djd.data.cohort import Cohort
from djd.errors import InputError
from djd.files import is_there, read_bytes, remove, remove_half_written, write_whole
from djd.grades import GRADE_COUNT, Decide
from djd.locks import wait_for_lock
from djd.runs.config import RunConfig
from djd.runs.folder import CONFIG_NAME, PREDICTIONS_NAME, RESULT_NAME, WINNER
from djd.runs.keys import NUMBERLESS_KEYS, REPEAT_KEYS, AxisValue
from djd.runs.predictions import PREDICTION_COLUMNS, prediction_rows, read_predictions, received
from djd.runs.result import RunResult, stamp_column
from djd.statistics.held_out import GradedKnees, HeldOut
from djd.sweeps.baselines import Baseline, BaselineName, KeptBaseline, Place, basis_of
from djd.sweeps.cells import Cell
from djd.sweeps.plan import OTHER_FOLDER, Plan, plan_cells

COMPARISON_NAME = "comparison.json"
"""The plan of a sweep, from its start."""

EACH = "each"
"""Folder of the refits of every setting (`test=each`)."""

_PLAN_LOCK = f".{COMPARISON_NAME}.lock"

_BASELINES = "baselines"
_CHOICE_NAME = "baseline.json"
_TEST_PREDICTIONS_NAME = "test_predictions.csv"
_CANDIDATES_NAME = "candidates.csv"  # grades: a row a held-out knee, a column a candidate
_FINER_NAME = "predictions_by_rps.csv"

_KNEE = ("scan", "side", "split_seed")


def read_plan(folder: Path) -> Plan:
    """Read the plan of a sweep's folder.

    Raises:
        InputError: The file is damaged.
    """
    path = folder / COMPARISON_NAME
    try:
        return Plan.model_validate_json(read_bytes(path))
    except (ValidationError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: expected the plan of a comparison, received a damaged file; {OTHER_FOLDER}"
        ) from error


def plan_in(
    folder: Path, cells: Sequence[Cell], *, digest: str, arguments: Sequence[str]
) -> tuple[Plan, list[Cell]]:
    """Give every cell its folder below the sweep's; nothing is written.

    Raises:
        InputError: See `plan_cells`; or the folder holds trainings and no plan.
    """
    before = read_plan(folder) if is_there(folder / COMPARISON_NAME) else None
    if before is None and (found := next(folder.glob(f"*/{RESULT_NAME}"), None)):
        raise InputError(
            f"{folder}: expected a new folder or a comparison's, received one that holds {found} "
            f"and no {COMPARISON_NAME}; {OTHER_FOLDER}"
        )
    return plan_cells(before, folder, cells, digest=digest, arguments=arguments)


def plan_and_save(
    folder: Path, cells: Sequence[Cell], *, digest: str, arguments: Sequence[str]
) -> tuple[Plan, list[Cell]]:
    """`plan_in`, checked and written under a lock: processes that start at once agree."""
    folder.mkdir(parents=True, exist_ok=True)
    with wait_for_lock(folder / _PLAN_LOCK):
        remove_half_written(folder)
        plan, placed = plan_in(folder, cells, digest=digest, arguments=arguments)
        path, content = folder / COMPARISON_NAME, plan.as_json().encode()
        if not is_there(path) or read_bytes(path) != content:
            write_whole(path, content)
    return plan, placed


def leave_hparam_columns(folder: Path, cells: Sequence[Cell]) -> None:
    """Write the columns of TensorBoard's HParams tab, if its logger is chosen; under a lock."""
    # This module imports tensorboard.
    from djd.runs.callbacks.hparams import EPOCHS_KEY, TENSORBOARD, write_hparam_columns

    if TENSORBOARD not in cells[0].config.logger:
        return
    with wait_for_lock(folder / _PLAN_LOCK):
        plan = read_plan(folder)
        values = hparam_values(folder, plan, cells)
        compared = [key for key in (*_hparam_axes(plan), EPOCHS_KEY) if len(values[key]) > 1]
        write_hparam_columns(folder, values, compared=compared)


def hparam_values(folder: Path, plan: Plan, cells: Sequence[Cell]) -> dict[str, list[AxisValue]]:
    """Values of each hyperparameter that has a column: the axes, epochs, and the main ones.

    Earlier commands may have scored other epochs than the `cells` of this command.
    """
    from djd.runs.callbacks.hparams import EPOCHS_KEY, SCORE_RUNS, main_hparams

    values: dict[str, dict[AxisValue, None]] = {}
    for cell in cells:
        for key, value in main_hparams(cell.config).items():
            values.setdefault(key, {})[value] = None
        for epochs in cell.config.epochs_to_score:
            values.setdefault(EPOCHS_KEY, {})[epochs] = None
    for run in folder.glob(f"*/{SCORE_RUNS}"):
        values[EPOCHS_KEY][int(run.name.partition("=")[2])] = None
    for key in _hparam_axes(plan):
        for named in plan.cells:
            values.setdefault(key, {})[named.axes[key]] = None
    return {key: list(each) for key, each in values.items()}


def _hparam_axes(plan: Plan) -> list[str]:
    return [key for key in plan.axes if key not in REPEAT_KEYS and key not in NUMBERLESS_KEYS]


def refit_folders(folder: Path, kind: str) -> list[Path]:
    """Folders of refits that were begun; `kind` is `WINNER` or `EACH`."""
    files = (*folder.glob(f"{kind}/*/{CONFIG_NAME}"), *folder.glob(f"{kind}/*/{RESULT_NAME}"))
    return sorted({path.parent for path in files})


def winner_results(folder: Path) -> Iterable[tuple[Path, RunResult | None]]:
    """Folders of all winners with their results; None for a missing or damaged result."""
    for below in refit_folders(folder, WINNER):
        result = None
        with suppress(InputError, OSError):
            result = RunResult.load(below / RESULT_NAME)
        yield below, result


def sweep_above(folder: Path) -> Path | None:
    """The sweep or run that a cell's or a refit's folder is a part of."""
    parent = folder.absolute().parent
    if (parent / COMPARISON_NAME).exists():
        return parent
    whole = (parent.parent / COMPARISON_NAME, parent.parent / RESULT_NAME)
    refit = parent.name in (WINNER, EACH) and any(path.exists() for path in whole)
    return parent.parent if refit else None


def keep_baselines(
    folder: Path,
    baselines: Iterable[Baseline],
    cohort: Cohort,
    configs: Sequence[RunConfig],
    rules: Sequence[Decide],
) -> None:
    """Write each baseline's choice and predictions below the folder of a sweep or run.

    The baselines were fitted to the folds of `configs`, and to `rules`.

    Raises:
        OSError: The files can't be written.
    """
    stamp = stamp_column(configs[0].stamp(phantom=cohort.phantom))
    (folder / _BASELINES).mkdir(parents=True, exist_ok=True)
    # Two commands that end at once must not mix their files.
    with wait_for_lock(folder / _BASELINES / ".lock"):
        for each in baselines:
            below = folder / _BASELINES / each.name
            below.mkdir(exist_ok=True)
            # The choice is written last: without it nothing here counts.
            remove(below / _CHOICE_NAME)
            _keep_predictions(below, each, cohort, stamp)
            choice = {"setting": each.setting, "fitted_on": basis_of(configs, rules)}
            write_whole(below / _CHOICE_NAME, json.dumps(choice, indent=1))


def _keep_predictions(
    below: Path, baseline: Baseline, cohort: Cohort, stamp: Mapping[str, str]
) -> None:
    columns = (*PREDICTION_COLUMNS, "split_seed", *stamp)
    rows, finer = (
        [row for place, fold in folds.items() for row in _rows(cohort, fold, place, stamp)]
        for folds in (baseline.validation, baseline.finer)
    )
    write_rows(below / PREDICTIONS_NAME, columns, rows)
    write_rows(below / _FINER_NAME, columns, finer)
    remove(below / _TEST_PREDICTIONS_NAME)
    if test := baseline.test:
        write_rows(below / _TEST_PREDICTIONS_NAME, columns, _rows(cohort, test, (0, None), stamp))
    graded = {
        name: [int(grade) for fold in folds.values() for grade in fold.predicted]
        for name, folds in baseline.candidates.items()
    }
    every = [
        {key: row[key] for key in (*_KNEE, *stamp)} | dict(zip(graded, given, strict=True))
        for row, *given in zip(rows, *graded.values(), strict=True)
    ]
    write_rows(below / _CANDIDATES_NAME, (*_KNEE, *graded, *stamp), every)


def _rows(
    cohort: Cohort, graded: GradedKnees, place: Place, stamp: Mapping[str, str]
) -> Iterable[dict[str, Any]]:
    split_seed, fold = place
    for row in prediction_rows(cohort, graded, fold=fold, seed=None, epoch=None):
        yield {**row, "split_seed": split_seed, **stamp}


def kept_baselines(folder: Path) -> tuple[KeptBaseline, ...]:
    """The baselines that lie below a folder; earlier versions left no features.

    Raises:
        InputError: One of their files is damaged.
    """
    below = [folder / _BASELINES / name for name in get_args(BaselineName)]
    return tuple(_kept(each) for each in below if (each / _CHOICE_NAME).exists())


def _kept(folder: Path) -> KeptBaseline:
    path = folder / _CHOICE_NAME
    try:
        choice = json.loads(read_bytes(path))
        setting, basis = str(choice["setting"]), dict(choice["fitted_on"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(
            f"{path}: expected what a baseline chose, received a damaged file"
        ) from error
    test = folder / _TEST_PREDICTIONS_NAME
    repeats = read_predictions(folder / PREDICTIONS_NAME, by="split_seed")
    candidates = _candidates(folder / _CANDIDATES_NAME, repeats)
    tested = read_predictions(test, by="fold").get("") if test.exists() else None
    finer = folder / _FINER_NAME
    by_rps = read_predictions(finer, by="split_seed") if finer.exists() else {}
    of_choice = tuple(repeats.values()), candidates, tested
    return KeptBaseline(folder.name, setting, basis, *of_choice, tuple(by_rps.values()))


def _candidates(path: Path, repeats: Mapping[str, HeldOut]) -> NDArray[np.int64]:
    """See `KeptBaseline`."""
    try:
        head, *lines = filter(None, csv_lines(path))
        rows = [dict(zip(head, line, strict=True)) for line in lines]
        names = [name for name in head if name not in (*_KNEE, *stamp_column("any"))]
        given = {
            tuple(row[key] for key in _KNEE): [int(row[name]) for name in names] for row in rows
        }
        knees = [(*knee[:2], seed) for seed, each in repeats.items() for knee in each.knees]
        candidates = np.array([given[knee] for knee in knees], dtype=np.int64).T
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise InputError(
            f"{path}: expected what every candidate graded, received {received(error)}"
        ) from error
    if not len(candidates) or not ((candidates >= 0) & (candidates < GRADE_COUNT)).all():
        raise InputError(f"{path}: expected grades of 0 to 4, received others")
    return candidates
