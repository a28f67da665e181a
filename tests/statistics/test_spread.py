import numpy as np
import pytest

from djd.statistics.spread import (
    patient_error,
    repeat_deviations,
    training_deviation,
    with_training_luck,
)


def test_seeds_and_splits_are_told_apart_by_hand() -> None:
    # Two splits of two seeds each: within (0.02 + 0.02) / 2 freedom, so 0.02; means 0.5 and 0.9,
    # variance 0.08, of which 0.02 / 2 is the seeds'.
    seed, split = repeat_deviations(np.array([0.4, 0.6, 0.8, 1.0]), np.array([0, 0, 1, 1]))
    assert seed == pytest.approx(np.sqrt(0.02))
    assert split == pytest.approx(np.sqrt(0.08 - 0.01))


def test_what_is_not_repeated_has_no_deviation() -> None:
    assert np.isnan(repeat_deviations(np.array([0.4]), np.array([0]))).all()
    seed, split = repeat_deviations(np.array([0.4, 0.6]), np.array([0, 0]))
    assert seed == pytest.approx(np.std([0.4, 0.6], ddof=1))
    assert np.isnan(split)
    seed, split = repeat_deviations(np.array([0.4, 0.6]), np.array([0, 1]))
    assert np.isnan(seed)
    assert split == pytest.approx(np.std([0.4, 0.6], ddof=1))


def test_the_error_from_patients_is_that_of_the_draws_widened_for_their_number() -> None:
    draws = np.array([0.1, 0.2, np.nan, 0.4])
    assert patient_error(draws, 5) == pytest.approx(np.nanstd(draws) * np.sqrt(5 / 4))
    assert np.isnan(patient_error(np.array([0.1, np.nan, np.nan]), 5))
    assert np.isnan(patient_error(draws, 1))


def scores_and_draws(
    luck: float, with_patients: float, *, settings: int = 4000, repeats: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Repeats that differ by luck of their own and, anew in every draw, by luck with patients."""
    generator = np.random.default_rng(0)
    trainings = settings * repeats
    own = luck * generator.standard_normal(trainings)
    scores = own + with_patients * generator.standard_normal(trainings)
    return scores, scores[:, None] + with_patients * generator.standard_normal((trainings, 20))


@pytest.mark.parametrize("with_patients", [0.0, 0.05, 0.2])
def test_training_luck_is_what_patients_do_not_explain(with_patients: float) -> None:
    scores, draws = scores_and_draws(0.1, with_patients)
    assert training_deviation(scores, draws, [3] * 4000) == pytest.approx(0.1, rel=0.05)


def test_no_luck_is_found_where_there_is_none() -> None:
    scores, draws = scores_and_draws(0.0, 0.1)
    assert training_deviation(scores, draws, [3] * 4000) < 0.02


def test_luck_of_a_table_worked_by_hand() -> None:
    # Variances between two repeats 0.02 and 0.08, pooled 0.05; in the one draw 0.02 and 0.02.
    scores = np.array([0.4, 0.6, 0.1, 0.5])
    draws = np.array([[0.4], [0.6], [0.2], [0.4]])
    assert training_deviation(scores, draws, [2, 2]) == pytest.approx(np.sqrt(0.1 - 0.02))


def test_without_repeats_nothing_is_known_of_luck() -> None:
    draws = np.random.default_rng(0).normal(size=(3, 50))
    deviation = training_deviation(draws.mean(axis=1), draws, [1, 1, 1])
    assert np.isnan(deviation)
    assert with_training_luck(draws, deviation, [1, 1, 1]) is draws


def test_draws_of_trainings_to_come_spread_the_more_the_fewer_repeats_there_were() -> None:
    draws = np.full((2, 20_000), 0.5)
    again = with_training_luck(draws, 0.05, [2, 8])
    few, many = again.std(axis=1)
    assert few / many == pytest.approx(2, rel=0.03)
    # Eight degrees of freedom: Student's 2.306 in place of 1.960.
    assert many == pytest.approx(0.05 / np.sqrt(8) * 2.306 / 1.960, rel=0.03)
    np.testing.assert_allclose(again.mean(axis=1), 0.5, atol=0.002)


def test_no_draw_leaves_the_range_of_its_score() -> None:
    again = with_training_luck(np.full((1, 1000), 0.95), 0.3, [2], lowest=0.0)
    assert again.max() == 1
    assert again.min() >= 0
