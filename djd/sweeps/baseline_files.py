"""Baselines of a comparison: fitted on its folds, kept beside its cells, read back."""

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from djd.data.cohort import Cohort
from djd.data.split import PatientSplit
from djd.errors import InputError
from djd.files import write_rows, write_whole
from djd.grades import GRADE_COUNT
from djd.runs.folder import PREDICTIONS_NAME
from djd.runs.predictions import Predictions, read_predictions, received
from djd.runs.prepare import split_cell
from djd.runs.result import PREDICTION_COLUMNS, prediction_rows, stamp_column
from djd.sweeps.baselines import Baseline, BaselineFold, BaselineName, fit_baselines
from djd.sweeps.settings import Setting

BASELINES = "baselines"
"""Their folder below the comparison's."""

CANDIDATES_NAME = "candidates.csv"
"""What every candidate graded: a row a held-out knee, a column a candidate."""

TEST_PREDICTIONS_NAME = "test_predictions.csv"
CHOICE_NAME = "baseline.json"


_KNEE = ("scan", "side", "split_seed")


class Basis(NamedTuple):
    """What baselines were fitted on, besides the knees.

    Attributes:
        views: Those of the networks.
        folds: How many there are.
        held_out: Split seed and fold of each held-out set, ascending.
    """

    views: str
    folds: int
    held_out: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class KeptBaseline:
    """A baseline as its folder has it.

    Attributes:
        name: `majority` or `uptake`.
        setting: The chosen candidate; empty where there was nothing to choose.
        basis: What it was fitted on.
        repeats: Held-out knees of each split seed, all folds together.
        candidates: int64 (candidate, knee), 0 to 4: what each candidate gave the knees of all
            repeats, one repeat after the other.
        test: The test patients' knees; None where they weren't opened.
    """

    name: str
    setting: str
    basis: Basis
    repeats: tuple[Predictions, ...]
    candidates: NDArray[np.int64]
    test: Predictions | None


def basis_of(best: Setting) -> Basis:
    """What the baselines of this setting have to be fitted on."""
    data = [cell.config.data for cell in best.cells]
    held_out = {(each.split_seed, each.fold) for each in data if each.fold is not None}
    return Basis(data[0].views, data[0].folds, tuple(sorted(held_out)))


def fit_to(
    best: Setting, cohort: Cohort, split: PatientSplit, *, opens_test: bool
) -> tuple[Baseline, ...]:
    """Fit the baselines on the folds and views of the best setting.

    Args:
        best: The setting that they are held against.
        cohort: The knees.
        split: The wall between development and test patients.
        opens_test: Whether they are scored on the test patients too.

    Raises:
        InputError: The split is not as expected.
    """
    configs = [cell.config for cell in best.cells]
    by_fold = {(config.data.split_seed, config.data.fold): config for config in configs}
    parts = {
        (split_seed, fold): split_cell(by_fold[split_seed, fold], cohort, split, fold=fold)
        for split_seed, fold in basis_of(best).held_out
    }
    test = split_cell(configs[0], cohort, split, fold=None) if opens_test else None
    return fit_baselines(cohort, parts, views=configs[0].data.views, test=test)


def keep_baselines(
    folder: Path, baselines: Iterable[Baseline], cohort: Cohort, best: Setting
) -> None:
    """Write each baseline's choice and predictions below the comparison's folder.

    Raises:
        OSError: They can't be written.
    """
    (folder / BASELINES).mkdir(parents=True, exist_ok=True)
    # Two commands that end at once must not mix their files.
    with FileLock(folder / BASELINES / ".lock"):
        for baseline in baselines:
            _keep(folder / BASELINES / baseline.name, baseline, cohort, best)


def _keep(below: Path, baseline: Baseline, cohort: Cohort, best: Setting) -> None:
    config = best.cells[0].config
    stamp = stamp_column(config.stamp(phantom=cohort.phantom))
    columns = (*PREDICTION_COLUMNS, "split_seed", *stamp)
    below.mkdir(exist_ok=True)
    (below / CHOICE_NAME).unlink(missing_ok=True)  # written last: without it nothing here counts
    (below / TEST_PREDICTIONS_NAME).unlink(missing_ok=True)
    rows = [row | stamp for fold in baseline.validation for row in _rows(fold, cohort)]
    write_rows(below / PREDICTIONS_NAME, columns, rows)
    if baseline.test:
        tested = [row | stamp for row in _rows(baseline.test, cohort)]
        write_rows(below / TEST_PREDICTIONS_NAME, columns, tested)
    graded = {
        name: np.concatenate([fold.predicted for fold in folds]).tolist() if folds else []
        for name, folds in baseline.candidates.items()
    }
    every = [
        {key: row[key] for key in _KNEE} | dict(zip(graded, given, strict=True)) | stamp
        for row, *given in zip(rows, *graded.values(), strict=True)
    ]
    write_rows(below / CANDIDATES_NAME, (*_KNEE, *graded, *stamp), every)
    choice = {"setting": baseline.setting, "fitted_on": basis_of(best)._asdict()}
    write_whole(below / CHOICE_NAME, json.dumps(choice, indent=1))


def _rows(fold: BaselineFold, cohort: Cohort) -> Iterable[dict[str, Any]]:
    for row in prediction_rows(fold, cohort, fold=fold.fold, seed=None, epoch=None):
        yield {**row, "split_seed": fold.split_seed}


def kept_baselines(folder: Path) -> tuple[KeptBaseline, ...]:
    """The baselines that lie below a comparison's folder; none where one of them is missing.

    Raises:
        InputError: One of their files is damaged.
    """
    below = [folder / BASELINES / name for name in get_args(BaselineName)]
    if not all((each / CHOICE_NAME).exists() for each in below):
        return ()
    return tuple(_kept(each) for each in below)


def _kept(folder: Path) -> KeptBaseline:
    path = folder / CHOICE_NAME
    try:
        choice = json.loads(path.read_bytes())
        setting, basis = str(choice["setting"]), _basis(choice["fitted_on"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(
            f"{path}: expected what a baseline chose, received a damaged file"
        ) from error
    test = folder / TEST_PREDICTIONS_NAME
    repeats = read_predictions(folder / PREDICTIONS_NAME, by="split_seed")
    return KeptBaseline(
        name=folder.name,
        setting=setting,
        basis=basis,
        repeats=tuple(repeats.values()),
        candidates=_candidates(folder / CANDIDATES_NAME, repeats),
        test=read_predictions(test, by="fold").get("") if test.exists() else None,
    )


def _basis(told: Any) -> Basis:
    held_out = tuple((int(split_seed), int(fold)) for split_seed, fold in told["held_out"])
    return Basis(str(told["views"]), int(told["folds"]), held_out)


def _candidates(path: Path, repeats: Mapping[str, Predictions]) -> NDArray[np.int64]:
    """What every candidate gave the knees of all repeats; see `KeptBaseline`.

    Raises:
        InputError: The file is missing, damaged, or of other knees.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        names = [name for name in rows[0] if name not in (*_KNEE, *stamp_column("any"))]
        given = {
            tuple(row[key] for key in _KNEE): [int(row[name]) for name in names] for row in rows
        }
        knees = [(*knee, seed) for seed, each in repeats.items() for knee in each.knees]
        candidates = np.array([given[knee] for knee in knees], dtype=np.int64).T
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(
            f"{path}: expected what every candidate graded, received {received(error)}"
        ) from error
    if not len(candidates) or not ((candidates >= 0) & (candidates < GRADE_COUNT)).all():
        raise InputError(f"{path}: expected grades of 0 to 4, received others")
    return candidates
