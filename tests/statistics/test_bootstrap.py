import numpy as np
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score

from djd.statistics import bootstrap
from djd.statistics.bootstrap import (
    draw_patients,
    mean_of_repeats,
    score_draws,
)
from djd.statistics.metrics import accuracy, quadratic_kappa
from tests.statistics.invented_readers import reader

SCORES = {"kappa": quadratic_kappa, "accuracy": accuracy}


def test_every_draw_holds_as_many_patients_as_there_are() -> None:
    weights = draw_patients(7, draws=500)
    assert weights.shape == (500, 7)
    np.testing.assert_array_equal(weights.sum(axis=1), 7)
    np.testing.assert_allclose(weights.mean(axis=0), 1, atol=0.15)
    np.testing.assert_array_equal(weights, draw_patients(7, draws=500))
    assert not np.array_equal(weights, draw_patients(7, draws=500, seed=1))
    np.testing.assert_array_equal(draw_patients(7, 3, draws=9).sum(axis=1), 3)


def test_a_draws_score_is_that_of_its_patients_knees_written_out() -> None:
    readers = [reader(seed, patients=12) for seed in range(3)]
    weights = draw_patients(12, draws=40)
    drawn = score_draws(weights, np.concatenate([each.counts() for each in readers]), SCORES)
    for draw, times in enumerate(weights.astype(int)):
        for setting, each in enumerate(readers):
            knees = np.concatenate(
                [np.flatnonzero(each.patient == p) for p, n in enumerate(times) for _ in range(n)]
            )
            truth, guess = each.grades[knees], each.predicted[knees]
            kappa = cohen_kappa_score(truth, guess, weights="quadratic", labels=range(5))
            assert drawn["kappa"][setting, draw] == pytest.approx(kappa)
            assert drawn["accuracy"][setting, draw] == pytest.approx(accuracy_score(truth, guess))


def test_pieces_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = np.concatenate([reader(seed).counts() for seed in range(7)])
    weights = draw_patients(20, draws=30)
    whole = score_draws(weights, counts, SCORES)
    monkeypatch.setattr(bootstrap, "_MOST_COUNTS", 1)
    one_by_one = score_draws(weights, counts, SCORES)
    for name in SCORES:
        np.testing.assert_array_equal(one_by_one[name], whole[name])


def test_repeats_are_averaged_setting_by_setting() -> None:
    values = np.array([[1.0, 2], [3, 4], [5, 9], [7, 7], [8, 8]])
    means = np.array([[2, 3], [5, 9], [7.5, 7.5]])
    np.testing.assert_allclose(mean_of_repeats(values, [2, 1, 2]), means)


def test_many_settings_have_fewer_draws_and_never_few() -> None:
    assert [bootstrap.draws_of(count) for count in (1, 500)] == [bootstrap.DRAWS] * 2
    assert bootstrap.draws_of(2_000) == 2_500
    assert bootstrap.draws_of(100_000) == bootstrap.FEW_DRAWS
