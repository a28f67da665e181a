"""What is said of figures: nothing that they don't say."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from djd.report.against import against_uptake
from djd.report.axes import AxisEffect
from djd.report.scores import scored
from djd.report.sentences import (
    edge_sentences,
    effect_sentence,
    sentences,
)
from djd.runs.config import RunConfig
from djd.statistics.effects import LevelScores
from djd.statistics.intervals import Estimate
from tests.report.test_findings import answer_of
from tests.sweeps.invented_cells import leave_comparison


def levels(*scores: float, distance: float) -> LevelScores:
    return LevelScores(tuple(map(Estimate, scores)), distance)


def effect(mean: LevelScores | None, best: LevelScores | None) -> AxisEffect:
    return AxisEffect("model.depth", "depth", "kappa", (1, 2, 3), mean, best, 9, 9)


@pytest.mark.parametrize(
    ("score", "percent", "words"),
    [
        (Estimate(0.618, 0.449, 0.741), False, "0.62 (0.45 to 0.74)"),
        (Estimate(-0.001, -0.1, 0.2), False, "0.00 (-0.10 to 0.20)"),
        (Estimate(0.46, 0.34, 0.58), True, "46 % (34 to 58)"),
        (Estimate(1.0), False, "1.00"),
        (Estimate(math.nan), True, "-"),
    ],
)
def test_a_score_is_said_with_its_interval(score: Estimate, percent: bool, words: str) -> None:
    assert scored(score, percent=percent) == words


@pytest.mark.parametrize(
    ("mean", "best", "words"),
    [
        (
            levels(0.5, 0.6, 0.58, distance=0.2),
            levels(0.6, 0.7, 0.7, distance=0.2),
            "depth: no difference was found between 1, 2 and 3",
        ),
        (
            levels(0.3, 0.6, 0.58, distance=0.2),
            levels(0.6, 0.7, 0.7, distance=0.2),
            "depth: on average over the grid 2 is better than 1 by 0.30 (0.10 to 0.50); of the "
            "best in the grid no difference was found",
        ),
        (
            levels(0.3, 0.6, 0.1, distance=0.2),
            levels(0.2, 0.7, 0.7, distance=0.2),
            "depth: on average over the grid 2 is better than 1 by 0.30 (0.10 to 0.50) and 3 by "
            "0.50 (0.30 to 0.70); of the best in the grid 2 is better than 1 by 0.50 (0.30 to "
            "0.70)",
        ),
        (
            levels(0.3, 0.6, 0.1, distance=math.nan),
            levels(0.2, 0.7, 0.7, distance=math.nan),
            "depth: no difference was found between 1, 2 and 3",
        ),
        (
            None,
            None,
            "depth: can't be compared yet; no combination of the other axes was finished with all "
            "of 1, 2 and 3",
        ),
    ],
)
def test_only_levels_that_are_told_apart_are_called_better(
    mean: LevelScores | None, best: LevelScores | None, words: str
) -> None:
    assert effect_sentence(effect(mean, best)) == words


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (
            Estimate(0.2, 0.05, 0.31),
            "The winner beats uptake alone by 0.20 (0.05 to 0.31)",
        ),
        (
            Estimate(-0.2, -0.31, -0.05),
            "The winner is behind uptake alone by 0.20 (0.05 to 0.31)",
        ),
        (
            Estimate(0.2, -0.01, 0.31),
            "The winner can't be told apart from uptake alone (difference 0.20, 95 % interval "
            "-0.01 to 0.31)",
        ),
        (
            Estimate(0.2),
            "The winner can't be told apart from uptake alone (difference 0.20)",
        ),
    ],
)
def test_uptake_is_beaten_only_where_the_whole_interval_says_so(
    difference: Estimate, words: str
) -> None:
    assert against_uptake(difference, "The winner") == words


def middle_rate_is_best(config: RunConfig, epoch: int) -> float:
    return 0.95 if config.optim.lr_times == 1 else 0.3


def large_rate_is_best(config: RunConfig, epoch: int) -> float:
    return 0.95 if config.optim.lr_times == 10 else 0.1


RATES = {"optim.lr_times": (0.1, 1.0, 10.0)}


def test_a_best_at_the_edge_of_the_grid_is_warned_of(tmp_path: Path) -> None:
    leave_comparison(tmp_path, RATES, skill=large_rate_is_best)
    said = sentences(answer_of(tmp_path))
    (warning,) = [each for each in said if "value of lr_times" in each]
    assert warning == (
        "Edge of the grid: the best setting has the largest value of lr_times that was compared "
        "(10); a larger one might do better"
    )


def test_a_best_inside_the_grid_is_not(tmp_path: Path) -> None:
    leave_comparison(tmp_path, RATES, skill=middle_rate_is_best)
    assert not any("value of lr_times" in each for each in sentences(answer_of(tmp_path)))


def test_an_edge_is_softened_where_one_inside_is_as_good(tmp_path: Path) -> None:
    leave_comparison(tmp_path, RATES, skill=large_rate_is_best)
    findings = answer_of(tmp_path).findings
    assert findings
    as_good = tuple(replace(each, in_best_set=True) for each in findings.settings)
    (warning,) = [
        each for each in edge_sentences(replace(findings, settings=as_good)) if "lr_times" in each
    ]
    assert warning.endswith("though one inside the grid can't be told apart from it")


@pytest.mark.parametrize("depth", [1, 5])
def test_a_depth_that_can_go_no_further_is_no_edge(tmp_path: Path, depth: int) -> None:
    def best(config: RunConfig, epoch: int) -> float:
        return 0.95 if config.model.arguments["depth"] == depth else 0.1

    leave_comparison(tmp_path, {"model.depth": (1, 5)}, skill=best)
    assert not any("value of depth" in each for each in sentences(answer_of(tmp_path)))


@pytest.mark.parametrize(
    ("key", "values", "warned"),
    [
        ("data.batch_size", (1, 2), False),
        ("data.batch_size", (2, 4), True),
        ("optim.lr_times", (1, 10), True),
    ],
)
def test_what_is_counted_does_not_go_below_one_and_a_rate_does(
    tmp_path: Path, key: str, values: tuple[int, int], warned: bool
) -> None:
    group, _, name = key.partition(".")

    def best(config: RunConfig, epoch: int) -> float:
        return 0.95 if getattr(getattr(config, group), name) == values[0] else 0.1

    leave_comparison(tmp_path, {key: values}, skill=best)
    said = sentences(answer_of(tmp_path))
    assert any(f"smallest value of {name}" in each for each in said) == warned


def test_equal_settings_are_all_said_to_be_as_good(tmp_path: Path) -> None:
    leave_comparison(tmp_path, {"model.depth": (1, 2)})
    said = sentences(answer_of(tmp_path))
    assert said[0].startswith("None of the 5 other settings can be told apart from the best (*): ")
    assert "depth: no difference was found between 1 and 2" in said
    assert not any("better than 1" in each or "better than 2" in each for each in said)


def test_nothing_finished_is_said_as_such(tmp_path: Path) -> None:
    leave_comparison(tmp_path, {"model.depth": (1,)}, untrained=["depth=1 fold=2"])
    assert sentences(answer_of(tmp_path)) == [
        "No setting has graded the held-out knees of all its folds: there is nothing to compare"
    ]
