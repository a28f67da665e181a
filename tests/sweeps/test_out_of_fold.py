"""Settings that share their trainings and differ in how probabilities become grades."""

import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score

from djd.grades import SIDES
from djd.runs.config import RunConfig, read_config
from djd.runs.keys import AxisValue
from djd.runs.predictions import PREDICTION_COLUMNS, write_predictions
from djd.statistics.metrics import confusion_counts
from djd.sweeps.cells import Cell, identity_of
from djd.sweeps.folder import plan_and_save, read_plan
from djd.sweeps.setting_scores import Evidence, gather, score_settings
from djd.sweeps.sweep import Sweep, read_folder
from djd.sweeps.winner import each_refit, winner_refit
from tests.conftest import compose_values
from tests.sweeps.invented_cells import cell, leave_result

FOLDS, SEEDS, PATIENTS = range(3), range(4), 8
EPOCHS = (50, 100)
RULES = ("likeliest", "median", "expected", "shares")
EVERY: dict[str, tuple[AxisValue, ...]] = {"decide": RULES, "members": (1, 2)}

Graded = tuple[NDArray[np.float64], NDArray[np.int64]]


def drawn(fold: int, seed: int, epoch: int) -> Graded:
    """Probabilities to eight digits, (knee, grade 5), of one cell, and true grades by fold."""
    grades = np.random.default_rng(fold).integers(0, 5, 2 * PATIENTS)
    generator = np.random.default_rng([fold, seed, epoch])
    raw = generator.dirichlet(np.full(5, 0.5), size=len(grades)) + 0.3 * np.eye(5)[grades]
    return np.round(raw / raw.sum(axis=1, keepdims=True), 8), grades


def leave(there: Cell, grades: NDArray[np.int64] | None = None) -> None:
    """Leave a finished cell that decided by the likeliest grade; `grades` replace its true ones."""
    config = there.config.model_copy(update={"decide": "likeliest"})
    fold, seed = config.data.fold or 0, config.seed
    rows, confusions = [], {}
    for epoch in EPOCHS:
        chances, truth = drawn(fold, seed, epoch)
        truth = truth if grades is None else grades
        predicted = chances.argmax(axis=1)
        confusions[epoch] = confusion_counts(truth, predicted)
        for knee, (grade, given) in enumerate(zip(truth, predicted, strict=True)):
            name, side = f"{100 * fold + knee // 2:07d}", SIDES[knee % 2]
            told = (name, name, side, grade, given, *map("{:.8f}".format, chances[knee]))
            rows.append(dict(zip(PREDICTION_COLUMNS, (*told, fold, seed, epoch), strict=True)))
    leave_result(there.folder, config, confusions)
    (there.folder / "config.yaml").write_text(config.as_yaml(), encoding="utf-8")
    write_predictions(there.folder / "predictions.csv", rows, stamp=None)


def plan(folder: Path, axes: dict[str, tuple[AxisValue, ...]], **fixed: Any) -> list[Cell]:
    every = {**axes, "seed": tuple(SEEDS), "data.fold": tuple(FOLDS)}
    fixed = {"data__folds": 3, "score_epochs": [50], **fixed}
    cells = [
        cell(dict(zip(every, values, strict=True)), **fixed) for values in product(*every.values())
    ]
    return plan_and_save(folder, cells, digest="0" * 16, arguments=())[1]


def finished(folder: Path, axes: dict[str, tuple[AxisValue, ...]], **fixed: Any) -> Sweep:
    for there in plan(folder, axes, **fixed):
        leave(there)
    return read_folder(folder)


def evidence_of(sweep: Sweep) -> Evidence:
    settings, incomplete = score_settings(sweep.cells, sweep.finished)
    assert incomplete == 0
    return gather(settings)


def reference(rule: str, chances: NDArray[np.float64], others: list[Graded]) -> list[int]:
    """Grades by the definitions in words, knee by knee."""
    if rule == "likeliest":
        return [max(range(5), key=lambda grade: row[grade]) for row in chances]
    if rule == "median":
        return [next(g for g in range(5) if row[: g + 1].sum() >= 0.5) for row in chances]
    expected = [float(row @ range(5)) for row in chances]
    if rule == "expected":
        return [math.floor(each + 0.5) for each in expected]
    known = np.sort(np.concatenate([each for each, _ in others]) @ np.arange(5))
    have = np.bincount(np.concatenate([grades for _, grades in others]), minlength=5)
    cuts = [known[count - 1 : count + 1].mean() for count in have.cumsum()[:-1]]
    return [sum(each >= cut for cut in cuts) for each in expected]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """A finished comparison of `EVERY`; not to be changed."""
    return finished(tmp_path_factory.mktemp("compared"), EVERY)


@pytest.fixture(scope="module")
def evidence(compared: Sweep) -> Evidence:
    return evidence_of(compared)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("members", [1, 2])
def test_a_setting_is_scored_by_its_rule_from_the_probabilities_of_its_members(
    evidence: Evidence, rule: str, members: int
) -> None:
    (setting,) = (
        each
        for each in evidence.settings
        if each.axes == {"decide": rule, "members": members} and each.epochs == 50
    )
    assert setting.repeats == 4 // members
    kappas = []
    for seeds in np.reshape(SEEDS, (-1, members)).tolist():
        folds = []
        for fold in FOLDS:
            together = [drawn(fold, seed, 50) for seed in seeds]
            folds.append((np.mean([each for each, _ in together], axis=0), together[0][1]))
        given = [
            reference(rule, chances, [other for other in folds if other[0] is not chances])
            for chances, _ in folds
        ]
        truth = np.concatenate([grades for _, grades in folds])
        predicted = np.concatenate(given)
        kappas.append(cohen_kappa_score(truth, predicted, weights="quadratic"))
    assert setting.scores["kappa"] == pytest.approx(np.mean(kappas))
    held_out = evidence.held_out[evidence.settings.index(setting)]
    assert held_out.repeats == 4 // members
    assert held_out.one(held_out.repeats - 1).predicted.tolist() == predicted.tolist()


def test_settings_that_share_their_trainings_share_folders_and_are_counted_once(
    compared: Sweep,
) -> None:
    sweep = compared
    assert len(sweep.cells) == 8 * 12
    assert len(sweep.trainings) == len(sweep.finished_trainings) == 12
    assert len({each.folder for each in sweep.cells}) == 12
    assert sweep.trainings[0].folder.name == "seed=0 fold=0"
    assert {each.config.decide for each in sweep.cells} == set(RULES)
    assert all(each.config.decide == each.axes["decide"] for each in sweep.finished)


def test_unfinished_cells_that_share_a_folder_are_one_job(tmp_path: Path) -> None:
    planned = plan(tmp_path, {"decide": ("likeliest", "shares")})
    planned[0].folder.mkdir()
    (planned[0].folder / "error.txt").write_text("no luck")
    sweep = Sweep(tmp_path, tuple(planned), plan=read_plan(tmp_path)).looked_at()
    assert (len(sweep.failed), len(sweep.to_do), len(sweep.unfinished)) == (1, 11, 12)


def test_a_rule_becomes_an_axis_of_a_finished_sweep_without_a_training(tmp_path: Path) -> None:
    finished(tmp_path, {})
    names = {each.folder for each in plan(tmp_path, {"decide": ("median", "shares")})}
    assert names == {path.parent for path in tmp_path.glob("*/result.json")}
    sweep = read_folder(tmp_path)
    assert not sweep.unfinished
    rules = {setting.axes["decide"] for setting in evidence_of(sweep).settings}
    assert rules == {"likeliest", "median", "shares"}, "the earlier rule stays compared"


def test_the_last_command_says_how_a_sweep_decides_that_does_not_compare_it(
    tmp_path: Path,
) -> None:
    finished(tmp_path, {})
    plan(tmp_path, {}, decide="median")
    assert {each.config.decide for each in read_folder(tmp_path).cells} == {"median"}


@pytest.mark.parametrize("fixed", [{"decide": "shares"}, {"calibrate": "temperature"}])
@pytest.mark.parametrize("members", [1, 2])
def test_the_grades_of_a_folds_patients_do_not_reach_that_folds_predictions(
    tmp_path: Path, fixed: dict[str, str], members: int
) -> None:
    cells = plan(tmp_path, {}, members=members, **fixed)
    for there in cells:
        leave(there)
    before = evidence_of(read_folder(tmp_path)).held_out
    for there in cells:
        if there.config.data.fold == 1:
            leave(there, grades=np.full(2 * PATIENTS, 4))
    after = evidence_of(read_folder(tmp_path)).held_out
    own = [int(scan) // 100 == 1 for scan, *_ in before[0].knees]
    by_epoch = {each.probabilities[0, 0]: each for each in before}
    changed = False
    for now in after:
        was = min(by_epoch.values(), key=lambda e: np.abs(e.before - now.before).sum())
        assert was.predicted[own].tolist() == now.predicted[own].tolist()
        np.testing.assert_array_equal(was.probabilities[own], now.probabilities[own])
        changed |= bool((was.probabilities != now.probabilities).any())
        changed |= bool((was.predicted != now.predicted).any())
    assert changed, "the other folds learn from those grades"


def test_calibration_keeps_the_probabilities_before(tmp_path: Path) -> None:
    evidence = evidence_of(finished(tmp_path, {}, calibrate="temperature"))
    held_out = evidence.held_out[0]
    assert held_out.uncalibrated is not None
    truth = np.arange(len(held_out.grades)), held_out.grades
    assert np.log(held_out.probabilities[truth]).mean() > np.log(held_out.before[truth]).mean()
    assert evidence.decision(evidence.settings[0]).temperature != 1


def test_damaged_predictions_cost_the_settings_that_need_them(tmp_path: Path) -> None:
    sweep = finished(tmp_path, {"decide": ("likeliest", "shares")})
    (sweep.trainings[0].folder / "predictions.csv").write_text("nothing")
    evidence = evidence_of(read_folder(tmp_path))
    assert not evidence.settings
    assert [name for name, _ in evidence.broken] == ["seed=0 fold=0"]


def override(refit: Cell, key: str) -> str:
    return next(each for each in refit.overrides if each.startswith(f"{key}="))


def test_the_winner_gets_its_cuts_temperature_and_seeds_in_hydras_grammar(tmp_path: Path) -> None:
    sweep = finished(
        tmp_path, {}, decide="shares", members=2, calibrate="temperature", test="winner"
    )
    evidence = evidence_of(sweep)
    best = evidence.settings[0]
    refit = winner_refit(tmp_path, best, evidence)
    decision = evidence.decision(best)
    values = compose_values(override(refit, "fitted"), "decide=shares", "members=2", "kind=refit")
    config = read_config(values)
    assert config.fitted == refit.config.fitted
    assert config.fitted is not None
    assert config.fitted.seeds == (0, 1)
    assert config.decision_at(best.epochs) == decision
    assert decision.cuts is not None
    given = decision.grades(decision.calibrated(evidence.held_out[0].before))
    assert np.bincount(given, minlength=5) == pytest.approx(
        np.bincount(evidence.held_out[0].grades, minlength=5), abs=2
    )


def test_the_networks_of_all_folds_and_members_are_named_for_a_winner_of_folds(
    tmp_path: Path,
) -> None:
    evidence = evidence_of(finished(tmp_path, {}, winner="folds", members=2))
    refit = winner_refit(tmp_path, evidence.settings[0], evidence)
    config = read_config(compose_values(override(refit, "fitted"), "kind=refit"))
    assert config.fitted is not None
    names = {f"seed={seed} fold={fold}" for seed in (0, 1) for fold in FOLDS}
    assert set(config.fitted.cells) == names
    assert config.fitted.seeds == ()


def test_refits_of_other_rules_are_other_refits_and_each_epoch_has_its_cuts(
    tmp_path: Path,
) -> None:
    sweep = finished(tmp_path, {"decide": ("likeliest", "shares")})
    refits = each_refit(tmp_path, sweep.cells, evidence_of(sweep))
    assert [each.folder.name for each in refits] == ["decide=likeliest", "decide=shares"]
    fitted = [each.config.fitted for each in refits]
    assert fitted[0] is None
    assert fitted[1] is not None
    assert set(fitted[1].cuts) == set(EPOCHS)


def refit_config(**changes: Any) -> RunConfig:
    return cell({}, **changes).config.model_copy(update={"kind": "refit"})


def test_what_shares_a_training_tells_refits_apart_and_leaves_older_ones_known() -> None:
    plain = refit_config()
    cells = cell({}).config
    assert identity_of(plain, "") == identity_of(cells, ""), "as earlier versions knew it"
    for change in ({"decide": "median"}, {"members": 2}, {"winner": "folds"}):
        assert identity_of(refit_config(**change), "") != identity_of(plain, "")
        assert identity_of(cell({}, **change).config, "") == identity_of(cells, "")
