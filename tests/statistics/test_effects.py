import numpy as np
import pytest

from djd.statistics.effects import best_in_grid, matched_settings, mean_over_grid
from djd.statistics.selection import interval_of_best

LEVELS = np.array([0, 0, 1, 1, 2, 2])
SCORES = np.array([0.5, 0.3, 0.6, 0.4, 0.1, 0.1])
DRAWS = SCORES[:, None] + np.random.default_rng(0).normal(0, 0.02, (6, 3000))


def test_levels_are_judged_by_their_mean_and_by_their_best() -> None:
    means = mean_over_grid(SCORES, DRAWS, LEVELS, 40)
    np.testing.assert_allclose(means.scores, [0.4, 0.5, 0.1])
    np.testing.assert_array_equal(means.among_best, [False, True, False])
    bests = best_in_grid(SCORES, DRAWS, LEVELS, 40)
    np.testing.assert_allclose(bests.scores, [0.5, 0.6, 0.1])
    expected = interval_of_best(SCORES[:2], DRAWS[:2], 40)
    assert bests.estimates[0] == (0.5, *expected)


def test_an_equal_shift_of_all_scores_changes_no_distance() -> None:
    for judge in (mean_over_grid, best_in_grid):
        before = judge(SCORES, DRAWS, LEVELS, 40)
        after = judge(SCORES + 0.2, DRAWS + 0.2, LEVELS, 40)
        assert after.distance == pytest.approx(before.distance)


def test_one_patient_tells_no_level_from_another() -> None:
    assert mean_over_grid(SCORES, DRAWS, LEVELS, 1).among_best.all()


def test_only_places_that_every_level_has_are_matched() -> None:
    # Places a and b at levels 0 and 1, place c at level 0 alone, place b twice at level 1.
    levels = np.array([0, 0, 0, 1, 1, 1])
    others = np.array([0, 1, 2, 0, 1, 1])
    np.testing.assert_array_equal(matched_settings(levels, others, count=2), [0, 1, 3, 4, 5])
    assert not len(matched_settings(levels, others, count=3))
