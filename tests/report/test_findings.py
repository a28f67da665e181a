import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score

from djd.report.answer import Answer, work_out
from djd.report.axes import EPOCHS
from djd.runs.config import RunConfig
from djd.sweeps.setting_scores import gather, score_settings
from djd.sweeps.sweep import read_folder
from tests.sweeping import rows_of
from tests.sweeps.invented_cells import leave_comparison


def answer_of(folder: Path) -> Answer:
    contents = read_folder(folder)
    settings, _ = score_settings(contents.cells, contents.finished)
    return work_out(gather(settings), refits=[], baselines=[])


def grades_and_guesses(
    folder: Path, cell: str, epoch: int, folds: tuple[int, ...] = (0, 1, 2)
) -> tuple[list[int], list[int]]:
    rows = [
        row
        for fold in folds
        for row in rows_of(folder / f"{cell} fold={fold}" / "predictions.csv")
        if row["epoch"] == str(epoch)
    ]
    return [int(row["grade"]) for row in rows], [int(row["predicted"]) for row in rows]


def better_when_deep(config: RunConfig, epoch: int) -> float:
    return 0.9 if config.model.arguments["depth"] == 2 else 0.1


def test_settings_are_ranked_and_scored_as_scikit_learn_does(tmp_path: Path) -> None:
    leave_comparison(tmp_path, {"model.depth": (1, 2)})
    findings = answer_of(tmp_path).findings
    assert findings
    kappas = []
    for each in findings.settings:
        depth = each.setting.axes["model.depth"]
        truth, guess = grades_and_guesses(tmp_path, f"depth={depth}", each.setting.epochs)
        kappa, low, high = each.scores["kappa"]
        assert kappa == pytest.approx(cohen_kappa_score(truth, guess, weights="quadratic"))
        assert low < kappa < high
        assert each.scores["accuracy"].value == pytest.approx(accuracy_score(truth, guess))
        assert (each.patients, each.knees) == (36, 72)
        kappas.append(kappa)
    assert kappas == sorted(kappas, reverse=True)
    assert len(kappas) == 6


def test_a_clearly_better_depth_is_told_and_an_equal_epoch_is_not(tmp_path: Path) -> None:
    leave_comparison(tmp_path, {"model.depth": (1, 2)}, skill=better_when_deep)
    findings = answer_of(tmp_path).findings
    assert findings
    assert [each.in_best_set for each in findings.settings] == [True] * 3 + [False] * 3
    effects = {(each.axis, each.score): each for each in findings.effects}
    depth, epochs = effects["model.depth", "kappa"], effects[EPOCHS, "kappa"]
    assert depth.mean
    assert depth.levels == (1, 2)
    assert list(depth.mean.among_best) == [False, True]
    assert epochs.mean
    assert epochs.levels == (25, 50, 100)
    assert epochs.mean.among_best.all()
    assert depth.matched == epochs.matched == 6


def test_a_level_that_lost_a_setting_is_compared_on_what_the_others_have(tmp_path: Path) -> None:
    axes = {"model.depth": (1, 2), "optim.lr_times": (0.1, 1.0, 10.0)}
    leave_comparison(tmp_path, axes, untrained=["depth=2 lr_times=10 fold=1"])
    findings = answer_of(tmp_path).findings
    assert findings
    effects = {each.axis: each for each in findings.effects if each.score == "kappa"}
    depth = effects["model.depth"]
    assert (depth.matched, depth.settings) == (12, 15)
    by_level = {
        level: [
            each.scores["kappa"].value
            for each in findings.settings
            if each.setting.axes["model.depth"] == level
            and each.setting.axes["optim.lr_times"] != 10
        ]
        for level in (1, 2)
    }
    assert depth.mean
    assert depth.best
    np.testing.assert_allclose(depth.mean.scores, [np.mean(each) for each in by_level.values()])
    np.testing.assert_allclose(depth.best.scores, [max(each) for each in by_level.values()])


def test_the_best_of_many_has_a_wider_interval_than_its_own(tmp_path: Path) -> None:
    leave_comparison(tmp_path / "many", {"model.depth": (1, 2, 3), "optim": ("adam", "sgd")})
    many = answer_of(tmp_path / "many").findings
    assert many
    best = many.settings[0]
    alone = work_out(gather([best.setting]), refits=[], baselines=[]).findings
    assert alone
    among_many, by_itself = (each.settings[0].scores["kappa"] for each in (many, alone))
    assert among_many.low < by_itself.low
    assert among_many.high == by_itself.high
    assert many.kappa_outside < best.scores["kappa"].value
    assert np.isnan(alone.optimism)


def test_several_seeds_are_averaged_and_their_spread_is_told(tmp_path: Path) -> None:
    leave_comparison(tmp_path, {"model.depth": (1,), "seed": (0, 1, 2)})
    findings = answer_of(tmp_path).findings
    assert findings
    best = findings.settings[0]
    kappas = []
    for seed in range(3):
        truth, guess = grades_and_guesses(tmp_path, f"depth=1 seed={seed}", best.setting.epochs)
        kappas.append(cohen_kappa_score(truth, guess, weights="quadratic"))
    assert best.scores["kappa"].value == pytest.approx(np.mean(kappas))
    assert best.between_repeats.seed == pytest.approx(np.std(kappas, ddof=1))
    assert np.isnan(best.between_repeats.split)
    assert best.knees == 72


def test_shares_of_unequal_seeds_lie_in_their_intervals(tmp_path: Path) -> None:
    def skill(config: RunConfig, epoch: int) -> float:
        return (0.05, 0.5, 0.95)[config.seed]

    leave_comparison(tmp_path, {"model.depth": (1,), "seed": (0, 1, 2)}, skill=skill)
    findings = answer_of(tmp_path).findings
    assert findings
    for name, (value, low, high) in findings.settings[0].scores.items():
        assert low < value < high, name


def unlucky_seeds(config: RunConfig, epoch: int) -> float:
    """Depth 2 looks better for one lucky seed."""
    return (0.8 if config.seed == 1 else 0.3) if config.model.arguments["depth"] == 2 else 0.3


def test_one_lucky_seed_of_several_is_no_better_depth(tmp_path: Path) -> None:
    leave_comparison(tmp_path, {"model.depth": (1, 2), "seed": (1, 2)}, skill=unlucky_seeds)
    leave_comparison(tmp_path / "one", {"model.depth": (1, 2), "seed": (1,)}, skill=unlucky_seeds)
    several, one = (answer_of(folder).findings for folder in (tmp_path, tmp_path / "one"))
    assert several
    assert one
    assert several.training_deviation > 0.1
    assert all(each.in_best_set for each in several.settings)
    assert np.isnan(one.training_deviation)
    assert sum(each.in_best_set for each in one.settings) < 6


def test_choosing_on_the_test_patients_is_priced_where_their_number_is_known(
    tmp_path: Path,
) -> None:
    planned = leave_comparison(tmp_path, {"model.depth": (1, 2)})
    unknown = answer_of(tmp_path).findings
    assert unknown
    assert np.isnan(unknown.optimism_on_test)
    priced = []
    for count in (8, 400):
        for each in planned:
            split = {"development": [], "test": [str(number) for number in range(count)]}
            (each.folder / "split.json").write_text(json.dumps(split), encoding="utf-8")
        findings = answer_of(tmp_path).findings
        assert findings
        priced.append(findings.optimism_on_test)
    few, many = priced
    assert few > many + 0.05 > 0.05


def test_settings_on_fewer_folds_do_not_compete_with_those_on_all(tmp_path: Path) -> None:
    leave_comparison(tmp_path, {"model.depth": (1, 2)})
    leave_comparison(tmp_path, {"model.depth": (3,), "data.fold": (0,)})
    answer = answer_of(tmp_path)
    assert answer.findings
    assert {each.setting.axes["model.depth"] for each in answer.findings.settings} == {1, 2}
    assert answer.notes == ("left out: 3 settings that held out other knees than the rest",)


def test_predictions_that_are_damaged_cost_their_settings_alone(tmp_path: Path) -> None:
    leave_comparison(tmp_path, {"model.depth": (1, 2)})
    (tmp_path / "depth=1 fold=1" / "predictions.csv").write_bytes(b"scan")
    answer = answer_of(tmp_path)
    assert answer.findings
    assert {each.setting.axes["model.depth"] for each in answer.findings.settings} == {2}
    (note,) = answer.notes
    assert note.startswith("left out: depth=1 fold=1: ")


def test_where_nothing_is_finished_there_is_nothing_to_find(tmp_path: Path) -> None:
    leave_comparison(tmp_path, {"model.depth": (1,)}, untrained=["depth=1 fold=2"])
    assert answer_of(tmp_path).findings is None


def test_where_everything_is_right_no_interval_is_claimed(tmp_path: Path) -> None:
    leave_comparison(tmp_path, {"model.depth": (1, 2)}, skill=lambda config, epoch: 1.0)
    findings = answer_of(tmp_path).findings
    assert findings
    for each in findings.settings:
        kappa, *ends = each.scores["kappa"]
        assert kappa == 1
        assert np.isnan(ends).all()
        assert each.in_best_set
