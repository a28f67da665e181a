"""Baselines of a comparison: fitted on its folds, kept beside its cells, read back."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from djd.comparison.baselines import Baseline, BaselineFold, BaselineName, fit_baselines
from djd.comparison.findings.predictions import Predictions, read_predictions
from djd.comparison.settings import Setting
from djd.errors import InputError
from djd.files import write_rows, write_whole
from djd.scans.cohort import Cohort
from djd.training.config import RunConfig
from djd.training.reading import split_cell
from djd.training.result import PREDICTION_COLUMNS, PREDICTIONS_NAME, prediction_rows, stamp_column
from djd.training.split import PatientSplit

BASELINES = "baselines"
"""Their folder below the comparison's."""

TEST_PREDICTIONS_NAME = "test_predictions.csv"
CHOICE_NAME = "baseline.json"


@dataclass(frozen=True, eq=False)
class KeptBaseline:
    """A baseline as its folder has it.

    Attributes:
        name: `majority` or `uptake`.
        setting: The chosen candidate; empty where there was nothing to choose.
        tried: How many candidates there were.
        repeats: Held-out knees of each split seed, all folds together.
        test: The test patients' knees; None where they weren't opened.
    """

    name: str
    setting: str
    tried: int
    repeats: tuple[Predictions, ...]
    test: Predictions | None


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
    configs = [cell.planned.cell.config for cell in best.cells]
    parts = {
        (config.data.split_seed, config.data.fold): split_cell(
            config, cohort, split, fold=config.data.fold
        )
        for config in configs
        if config.data.fold is not None
    }
    test = split_cell(configs[0], cohort, split, fold=None) if opens_test else None
    return fit_baselines(cohort, parts, views=configs[0].data.views, test=test)


def keep_baselines(
    folder: Path, baselines: Iterable[Baseline], cohort: Cohort, config: RunConfig
) -> None:
    """Write each baseline's choice and predictions below the comparison's folder.

    Raises:
        OSError: They can't be written.
    """
    stamp = stamp_column(config.stamp(phantom=cohort.phantom))
    columns = (*PREDICTION_COLUMNS, "split_seed", *stamp)
    for baseline in baselines:
        below = folder / BASELINES / baseline.name
        below.mkdir(parents=True, exist_ok=True)
        rows = [row | stamp for fold in baseline.validation for row in _rows(fold, cohort)]
        write_rows(below / PREDICTIONS_NAME, columns, rows)
        if baseline.test:
            rows = [row | stamp for row in _rows(baseline.test, cohort)]
            write_rows(below / TEST_PREDICTIONS_NAME, columns, rows)
        choice = {"setting": baseline.setting, "tried": baseline.tried}
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
        setting, tried = str(choice["setting"]), int(choice["tried"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(
            f"{path}: expected what a baseline chose, received a damaged file"
        ) from error
    test = folder / TEST_PREDICTIONS_NAME
    return KeptBaseline(
        name=folder.name,
        setting=setting,
        tried=tried,
        repeats=tuple(read_predictions(folder / PREDICTIONS_NAME, by="split_seed").values()),
        test=read_predictions(test, by="fold").get("") if test.exists() else None,
    )
