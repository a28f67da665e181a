import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from djd.statistics.bootstrap import draw_patients, score_draws
from djd.statistics.intervals import expanded_tail, percentile_interval
from djd.statistics.metrics import confusion_counts, quadratic_kappa
from djd.statistics.selection import (
    best_set,
    distance_to_tell,
    interval_of_best,
    interval_of_lead,
    optimism_of_best,
    out_of_bag,
)
from tests.statistics.invented_readers import reader, together


def drawn(scores: list[float], noise: float, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    values = np.array(scores)
    return values, values[:, None] + np.random.default_rng(seed).normal(
        0, noise, (len(scores), 4000)
    )


def test_the_distance_is_the_quantile_of_the_range_of_deviations() -> None:
    scores, draws = drawn([0.3, 0.5, 0.4], 0.05)
    ranges = np.ptp(draws - scores[:, None], axis=0)
    expected = np.quantile(ranges, 1 - 2 * expanded_tail(40))
    assert distance_to_tell(scores, draws, 40) == pytest.approx(expected)


def test_far_settings_are_told_and_near_ones_are_not() -> None:
    scores, draws = drawn([0.1, 0.6, 0.58], 0.03)
    np.testing.assert_array_equal(best_set(scores, draws, 40), [False, True, True])


@given(st.permutations(range(5)))
def test_the_order_of_settings_changes_nothing(order: list[int]) -> None:
    scores, draws = drawn([0.1, 0.6, 0.58, 0.3, 0.5], 0.05)
    before = best_set(scores, draws, 40)
    np.testing.assert_array_equal(best_set(scores[order], draws[order], 40), before[order])


def test_settings_that_grade_alike_are_all_in_the_best_set() -> None:
    scores, draws = drawn([0.5], 0.1)
    same = np.repeat(scores, 4), np.repeat(draws, 4, axis=0)
    assert distance_to_tell(*same, 40) == 0
    assert best_set(*same, 40).all()


def test_too_few_patients_tell_nothing_apart() -> None:
    scores, draws = drawn([0.0, 0.9], 0.01)
    assert best_set(scores, draws, 1).all()
    draws[:, ::2] = np.nan
    draws[0, 1::4] = np.nan
    assert best_set(scores, draws, 40).all()
    assert np.isnan(interval_of_best(scores, draws, 40)).all()


def test_the_best_of_one_has_its_own_interval_or_a_wider_one() -> None:
    scores, draws = drawn([0.5], 0.05)
    own = percentile_interval(draws[0], 40)
    low, high = interval_of_best(scores, draws, 40)
    assert own.low - 0.03 < low <= own.low
    assert high == own.high


def test_more_equal_rivals_lower_the_lower_end_alone() -> None:
    scores, draws = drawn([0.5] * 30, 0.05)
    few, many = (interval_of_best(scores[:n], draws[:n], 40) for n in (2, 30))
    assert many.low < few.low - 0.01
    assert many.high == few.high


def test_a_kappa_of_one_among_the_settings_breaks_nothing() -> None:
    scores, draws = drawn([0.9, 1.0], 0.02)
    draws = np.minimum(draws, 1)
    low, high = interval_of_best(scores, draws, 40)
    assert 0 < low < 1
    assert high == 1


def test_a_near_perfect_rival_does_not_spoil_the_interval_of_the_best() -> None:
    scores, draws = drawn([0.8, 0.9], 0.03)
    draws[0] = np.where(np.arange(4000) % 100 == 0, 1, draws[0])
    low, _ = interval_of_best(scores, np.minimum(draws, 1), 40)
    assert 0.7 < low < 0.9


def test_the_lead_of_one_setting_is_a_plain_paired_difference() -> None:
    scores, draws = drawn([0.6, 0.4], 0.05)
    found = interval_of_lead(scores[:1], draws[:1], scores[1:], draws[1:], 40)
    assert found == percentile_interval(draws[0] - draws[1], 40)


def test_the_lead_of_a_best_of_many_allows_for_its_luck() -> None:
    scores, draws = drawn([0.5] * 30 + [0.4], 0.05)
    one = interval_of_lead(scores[:1], draws[:1], scores[-1:], draws[-1:], 40)
    best = interval_of_lead(scores[:-1], draws[:-1], scores[-1:], draws[-1:], 40)
    assert best.low < one.low - 0.02
    assert best.high == one.high


def test_the_lead_over_a_best_of_many_allows_for_that_ones_luck() -> None:
    scores, draws = drawn([0.4] + [0.5] * 30, 0.05)
    over_one = interval_of_lead(scores[:1], draws[:1], scores[1:2], draws[1:2], 40)
    over_best = interval_of_lead(scores[:1], draws[:1], scores[1:], draws[1:], 40)
    assert over_best.high > over_one.high + 0.02
    assert over_best.low == over_one.low


def test_who_leads_whom_is_only_a_matter_of_sign() -> None:
    scores, draws = drawn([0.5, 0.6, 0.4, 0.7], 0.05)
    low, high = interval_of_lead(scores[:2], draws[:2], scores[2:], draws[2:], 40)
    turned = interval_of_lead(scores[2:], draws[2:], scores[:2], draws[:2], 40)
    np.testing.assert_allclose(turned, (-high, -low), atol=1e-3)


def test_against_itself_there_is_no_lead() -> None:
    scores, draws = drawn([0.5], 0.05)
    found = interval_of_lead(scores, draws, scores, draws, 40)
    assert found == (0, 0)


def test_out_of_bag_counts_are_those_of_the_chosen_in_each_draw_written_out() -> None:
    readers = [reader(seed, patients=9, skill=0.2) for seed in range(4)]
    weights = draw_patients(9, draws=60)
    counts = [each.counts() for each in readers]
    draws = score_draws(weights, np.concatenate(counts), {"kappa": quadratic_kappa})["kappa"]
    expected = np.zeros((5, 5))
    for draw, times in enumerate(weights):
        chosen = readers[int(np.argmax(draws[:, draw]))]
        left_out = times[chosen.patient] == 0
        expected += confusion_counts(chosen.grades[left_out], chosen.predicted[left_out])
    found = out_of_bag(counts, draws, weights)
    assert found is not None
    np.testing.assert_allclose(found, [expected])


def test_out_of_bag_each_seed_is_counted_by_itself() -> None:
    seeds = [reader(seed, patients=9, skill=0.2) for seed in range(3)]
    weights = draw_patients(9, draws=60)
    twice, alone = together(*seeds[:2]).counts(), seeds[2].counts()
    draws = np.stack([np.full(60, 0.6), np.full(60, 0.5)])
    found = out_of_bag([twice, alone], draws, weights)
    assert found is not None
    for repeat in (0, 1):
        by_itself = out_of_bag([seeds[repeat].counts(), alone], draws, weights)
        assert by_itself is not None
        np.testing.assert_allclose(found[repeat], by_itself[0])
    assert not np.array_equal(found[0], found[1])


def test_nobody_is_left_out_of_a_cohort_of_one() -> None:
    counts = [np.ones((1, 1, 5, 5), dtype=np.int64)] * 2
    assert out_of_bag(counts, np.ones((2, 9)), draw_patients(1, draws=9)) is None


def test_optimism_is_what_the_chosen_loses_among_all() -> None:
    scores = np.array([0.5, 0.6])
    draws = np.array([[0.7, 0.5, np.nan], [0.6, 0.8, 0.9]])
    # In the first draw the first is chosen, 0.7 for 0.5; in the second the second, 0.8 for 0.6.
    assert optimism_of_best(scores, draws) == pytest.approx((0.2 + 0.2) / 2)
    assert np.isnan(optimism_of_best(scores, np.full((2, 3), np.nan)))
