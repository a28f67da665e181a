from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, cohen_kappa_score

from djd.runs.keys import AxisValue
from djd.statistics.metrics import confusion_counts
from djd.sweeps.cells import Cell, FinishedCell
from djd.sweeps.setting_scores import score_settings
from tests.sweeps.invented_cells import cell, result

EPOCHS = (25, 50, 100)
Graded = tuple[NDArray[np.int64], NDArray[np.int64]]


def graded(seed: int, noise: float, knees: int = 30) -> Graded:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 5, knees)
    return truth, np.clip(np.round(truth + noise * rng.standard_normal(knees)), 0, 4).astype(int)


def planned(axes: dict[str, AxisValue]) -> Cell:
    return replace(cell(axes), folder=Path("comparison") / str(axes))


def finished(there: Cell, knees: dict[int, Graded]) -> FinishedCell:
    confusions = {epoch: confusion_counts(*pair) for epoch, pair in knees.items()}
    return FinishedCell.of(there, result(there.config, confusions))


def test_a_setting_is_scored_by_the_predictions_of_all_its_folds() -> None:
    cells = [planned({"model.depth": 1, "data.fold": fold}) for fold in range(3)]
    knees = [{epoch: graded(fold, 1 + epoch / 50) for epoch in EPOCHS} for fold in range(3)]
    settings, incomplete = score_settings(cells, list(map(finished, cells, knees)))
    assert incomplete == 0
    assert [setting.epochs for setting in settings] == [25, 50, 100]
    for setting in settings:
        truth, predicted = (
            np.concatenate([each[setting.epochs][part] for each in knees]) for part in (0, 1)
        )
        kappa = cohen_kappa_score(truth, predicted, labels=range(5), weights="quadratic")
        assert setting.scores["kappa"] == pytest.approx(kappa)
        assert setting.scores["accuracy"] == pytest.approx(accuracy_score(truth, predicted))
        assert (setting.knees, setting.patients, setting.repeats) == (90, 45, 1)
        assert setting.name == f"depth=1 epochs={setting.epochs}"


def test_seeds_are_averaged_after_pooling_not_pooled() -> None:
    cells = [planned({"seed": seed, "data.fold": fold}) for seed in (0, 1) for fold in (0, 1)]
    pairs = [graded(index, 0.5 + index) for index in range(4)]
    settings, _ = score_settings(
        cells,
        [
            finished(each, dict.fromkeys(EPOCHS, pair))
            for each, pair in zip(cells, pairs, strict=True)
        ],
    )
    kappas = [
        cohen_kappa_score(
            *(
                np.concatenate([pairs[2 * seed][part], pairs[2 * seed + 1][part]])
                for part in (0, 1)
            ),
            labels=range(5),
            weights="quadratic",
        )
        for seed in (0, 1)
    ]
    assert settings[0].scores["kappa"] == pytest.approx(np.mean(kappas))
    assert settings[0].scores["kappa"] != pytest.approx(kappas[0])
    assert (settings[0].repeats, settings[0].knees) == (2, 60)


def test_a_setting_that_lacks_a_fold_does_not_compete() -> None:
    cells = [
        planned({"model.depth": depth, "data.fold": fold}) for depth in (1, 2) for fold in (0, 1)
    ]
    perfect = dict.fromkeys(EPOCHS, graded(0, 0))
    poor = dict.fromkeys(EPOCHS, graded(0, 3))
    done = [finished(cells[0], poor), finished(cells[1], poor), finished(cells[2], perfect)]
    settings, incomplete = score_settings(cells, done)
    assert {setting.axes["model.depth"] for setting in settings} == {1}
    assert incomplete == len(EPOCHS)


def test_the_best_comes_first_and_of_equal_ones_the_first_in_order() -> None:
    cells = [planned({"model.depth": depth}) for depth in (1, 2, 3)]
    same, better = graded(0, 2), graded(0, 0.3)
    done = [
        finished(cells[0], dict.fromkeys(EPOCHS, same)),
        finished(cells[1], {25: same, 50: better, 100: same}),
        finished(cells[2], dict.fromkeys(EPOCHS, same)),
    ]
    settings, _ = score_settings(cells, done)
    assert settings[0].name == "depth=2 epochs=50"
    assert [setting.name for setting in settings[1:4]] == [
        "depth=1 epochs=25",
        "depth=1 epochs=50",
        "depth=1 epochs=100",
    ]


def test_an_undefined_kappa_comes_last() -> None:
    cells = [planned({"model.depth": depth}) for depth in (1, 2)]
    one_grade = (np.zeros(10, dtype=np.int64), np.zeros(10, dtype=np.int64))
    worse_than_chance = (np.array([0, 4, 0, 4]), np.array([4, 0, 4, 0]))
    settings, _ = score_settings(
        cells,
        [
            finished(cells[0], dict.fromkeys(EPOCHS, one_grade)),
            finished(cells[1], dict.fromkeys(EPOCHS, worse_than_chance)),
        ],
    )
    assert [setting.axes["model.depth"] for setting in settings] == [2, 2, 2, 1, 1, 1]
    assert np.isnan(settings[-1].scores["kappa"])


def test_cells_that_held_nothing_out_have_no_score() -> None:
    there = planned({"data.fold": None})
    assert score_settings([there], [finished(there, {})]) == ([], len(EPOCHS))
