"""Cells and results that were never trained, for tests of what is made of them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from djd.grades import SIDES
from djd.runs.config import RunConfig, read_config
from djd.runs.keys import AxisValue
from djd.runs.predictions import PREDICTION_COLUMNS, write_predictions
from djd.runs.result import RESULTS_VERSION, PartScores, RunResult
from djd.statistics.metrics import confusion_counts, score_table
from djd.sweeps.cells import Cell
from djd.sweeps.folder import plan_and_save
from tests.conftest import compose_values

OPTIONS: dict[str, dict[str, Any]] = {
    "optim=adam": {"_target_": "torch.optim.Adam"},
    "optim=sgd": {"_target_": "torch.optim.SGD"},
    "optim=momentum": {"_target_": "torch.optim.SGD", "momentum": 0.9},
    "optim=adagrad": {"_target_": "torch.optim.Adagrad"},
    "model=cnn": {
        "_target_": "djd.models.networks.KneeCNN",
        "depth": 2,
        "width": 16,
        "clip_logits": False,
    },
    "model=mine": {"_target_": "networks.Mine", "rings": 3},
}


@cache
def base_values() -> dict[str, Any]:
    return compose_values()


def config_with(changes: Mapping[str, Any]) -> RunConfig:
    """The base configuration with values changed by key; a group has an option of `OPTIONS`."""
    values = {key: dict(value) if isinstance(value, dict) else value
              for key, value in base_values().items()}  # fmt: skip
    for key, value in changes.items():
        group, _, name = key.partition(".")
        if option := OPTIONS.get(f"{key}={value}"):
            values[key] = values[key] | option if key == "optim" else option
            values["choices"][key] = value
        elif key == "recipe":
            # Recipes of different lengths are different trainings.
            values["choices"][key] = value
            values["model"]["width"] = 8 + len(value)
        elif name:
            values[group][name] = value
        else:
            values[key] = value
    return read_config(values)


def cell(axes: Mapping[str, AxisValue], **fixed: Any) -> Cell:
    """A cell on some axes; of fixed keys `__` stands for the dot."""
    changes = {key.replace("__", "."): value for key, value in fixed.items()}
    overrides = tuple(f"{key}={value}" for key, value in axes.items())
    return Cell(axes, overrides, config_with({**changes, **axes}))


def result(config: RunConfig, confusions: dict[int, NDArray[np.int64]]) -> RunResult:
    """A result with these confusion counts at each epoch; ten knees are of five patients."""
    return RunResult(
        results_version=RESULTS_VERSION,
        setting=config.setting_name,
        config=config.plain(),
        fingerprint="f" * 16,
        phantom=True,
        leak=False,
        device="cpu",
        threads=1,
        versions={},
        fit_seconds=1.0,
        validation=[
            PartScores(
                epoch=epoch,
                patients=int(counts.sum()) // 2,
                knees=int(counts.sum()),
                confusion=counts.tolist(),
                scores=score_table(counts),
            )
            for epoch, counts in confusions.items()
        ],
        test=[],
        test_openings=None,
    )


def leave_result(folder: Path, config: RunConfig, confusions: dict[int, NDArray[np.int64]]) -> None:
    """Leave a finished cell's result."""
    folder.mkdir(parents=True, exist_ok=True)
    result(config, confusions).save(folder / "result.json")


def grades_of(patients: Sequence[int]) -> NDArray[np.int64]:
    """The true grades of invented patients, int64 (patient, knee 2); of each always the same."""
    severity = [np.random.default_rng(patient).normal(size=3) for patient in patients]
    latent = np.array([each[0] + each[1:] for each in severity])
    return np.searchsorted([-0.5, 0.4, 1.2, 2.0], latent).astype(np.int64)


def leave_cell(
    folder: Path, config: RunConfig, patients: Sequence[int], skills: Mapping[int, float], seed: int
) -> None:
    """Leave a finished cell with predictions of invented patients.

    Args:
        folder: The cell's.
        config: What was trained.
        patients: Who was held out.
        skills: At each score epoch, how near guesses are to the truth: 0 chance, 1 always right.
        seed: Of the guesses.
    """
    generator = np.random.default_rng(seed)
    grades = grades_of(patients)
    rows, confusions = [], {}
    for epoch, skill in skills.items():
        lucky = generator.random(grades.shape) < skill
        predicted = np.where(lucky, grades, generator.integers(0, 5, grades.shape))
        confusions[epoch] = confusion_counts(grades.ravel(), predicted.ravel())
        for patient, both, guesses in zip(patients, grades, predicted, strict=True):
            for side, grade, guess in zip(SIDES, both, guesses, strict=True):
                chances = np.full(5, 0.1) + 0.5 * np.eye(5)[guess]
                name = f"{patient:07d}"
                values = (name, name, side, grade, guess, *chances, config.data.fold, 0, epoch)
                rows.append(dict(zip(PREDICTION_COLUMNS, values, strict=True)))
    leave_result(folder, config, confusions)
    (folder / "config.yaml").write_text(config.as_yaml(), encoding="utf-8")
    write_predictions(folder / "predictions.csv", rows, stamp=None)


DIGEST = "0" * 16
"""Of the invented cohort that no scans belong to."""

PATIENTS_A_FOLD = 12


def leave_comparison(
    folder: Path,
    axes: Mapping[str, Sequence[AxisValue]],
    *,
    skill: Callable[[RunConfig, int], float] = lambda config, epoch: 0.5,
    untrained: Collection[str] = (),
) -> list[Cell]:
    """Leave a comparison on three folds (unless `axes` says otherwise) as a sweep leaves it.

    Args:
        folder: The comparison's.
        axes: Values of each compared key; options of groups are those of `OPTIONS`.
        skill: How near a setting's guesses are to the truth, see `leave_cell`.
        untrained: Names of cells that are planned and no more.
    """
    axes = {**axes, "data.fold": axes.get("data.fold", (0, 1, 2))}
    cells = [
        cell(dict(zip(axes, values, strict=True)), data__folds=3)
        for values in product(*axes.values())
    ]
    _, planned = plan_and_save(folder, cells, digest=DIGEST, arguments=())
    for seed, each in enumerate(planned):
        if each.folder.name not in untrained:
            config = each.config
            first = (config.data.fold or 0) * PATIENTS_A_FOLD
            skills = {epoch: skill(config, epoch) for epoch in config.epochs_to_score}
            leave_cell(each.folder, config, range(first, first + PATIENTS_A_FOLD), skills, seed)
    return planned
