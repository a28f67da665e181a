import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from djd.grades import Decide
from djd.statistics.deciding import (
    Decision,
    cross_fitted,
    cuts_of,
    decided,
    expected_grade,
    temperature_of,
    tempered,
)
from djd.statistics.held_out import GradedKnees, HeldOut

RULES: tuple[Decide, ...] = ("likeliest", "median", "expected", "shares")
CUTS = (0.5, 1.0, 2.0, 3.5)


def chances_of(raw: NDArray[np.float64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = raw / raw.sum(axis=1, keepdims=True)
    return shares


CHANCES = arrays(np.float64, (7, 5), elements=st.floats(0.001, 1)).map(chances_of)
GRADES = arrays(np.int64, 7, elements=st.integers(0, 4))


# Worked by hand: the expected grades are 1.3, 2.0, 1.0, 2.5 and 4.0.
@pytest.mark.parametrize(
    ("chances", "likeliest", "median", "expected", "shares"),
    [
        ([0.4, 0.2, 0.2, 0.1, 0.1], 0, 1, 1, 2),
        ([0.4, 0.1, 0.0, 0.1, 0.4], 0, 1, 2, 3),
        ([0.3, 0.4, 0.3, 0.0, 0.0], 1, 1, 1, 2),
        ([0.0, 0.0, 0.5, 0.5, 0.0], 2, 2, 3, 3),
        ([0.0, 0.0, 0.0, 0.0, 1.0], 4, 4, 4, 4),
    ],
)
def test_each_rule_gives_the_grade_of_a_worked_table(
    chances: list[float], likeliest: int, median: int, expected: int, shares: int
) -> None:
    given = [int(decided(np.array([chances]), rule, CUTS)[0]) for rule in RULES]
    assert given == [likeliest, median, expected, shares]


def test_without_cuts_shares_are_the_median() -> None:
    chances = np.array([[0.4, 0.2, 0.2, 0.1, 0.1]])
    assert decided(chances, "shares") == decided(chances, "median") == 1


@given(CHANCES, st.sampled_from(RULES))
def test_a_file_gives_the_grades_that_memory_gave(
    chances: NDArray[np.float64], rule: Decide
) -> None:
    written = np.array([[float(f"{each:.8f}") for each in row] for row in chances])
    np.testing.assert_array_equal(decided(written, rule, CUTS), decided(chances, rule, CUTS))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("share", [0.1 + 0.2, 0.3])
def test_sums_that_reach_a_half_but_for_rounding_reach_it(rule: Decide, share: float) -> None:
    # 0.1 + 0.2 is above 0.3 in binary, and 1 - 0.3 - 0.2 is below 0.5.
    chances = np.array([[share, 0.2, 0.0, 0.0, 1 - share - 0.2]])
    whole = np.array([[0.3, 0.2, 0.0, 0.0, 0.5]])
    assert decided(chances, rule, CUTS) == decided(whole, rule, CUTS)
    assert decided(chances, "median") == 1


@pytest.mark.parametrize("rule", RULES)
def test_a_diverged_network_grades_every_knee_normal(rule: Decide) -> None:
    assert decided(np.full((2, 5), math.nan), rule, CUTS).tolist() == [0, 0]
    assert decided(np.empty((0, 5)), rule, CUTS).tolist() == []


@given(GRADES, st.permutations(range(7)))
def test_cuts_give_each_grade_the_knees_that_have_it(
    grades: NDArray[np.int64], order: list[int]
) -> None:
    expected = np.array(order) / 2.0
    given = np.searchsorted(cuts_of(expected, grades), expected, side="right")
    np.testing.assert_array_equal(np.bincount(given, minlength=5), np.bincount(grades, minlength=5))


def test_a_grade_that_no_knee_has_is_given_to_none() -> None:
    cuts = cuts_of(np.array([1.9, 2.0, 2.1]), np.array([1, 2, 2]))
    assert cuts == pytest.approx((-1, 1.95, 5, 5))
    assert np.searchsorted(cuts, [0.0, 4.0], side="right").tolist() == [1, 2]


@given(CHANCES, st.floats(0.1, 10))
def test_a_temperature_keeps_the_order_of_probabilities_and_their_sum(
    chances: NDArray[np.float64], temperature: float
) -> None:
    warmed = tempered(chances, temperature)
    np.testing.assert_allclose(warmed.sum(axis=1), 1)
    order = np.argsort(chances, axis=1, kind="stable")
    assert (np.diff(np.take_along_axis(warmed, order, axis=1), axis=1) >= -1e-12).all()
    assert tempered(chances, 1) is chances


def test_probabilities_made_too_sure_get_their_temperature_back() -> None:
    generator = np.random.default_rng(0)
    true = generator.dirichlet(np.ones(5), size=20_000)
    grades = np.array([generator.choice(5, p=row) for row in true])
    assert temperature_of(true, grades) == pytest.approx(1, abs=0.05)
    assert temperature_of(tempered(true, 0.5), grades) == pytest.approx(2, abs=0.1)


@given(CHANCES, GRADES)
def test_no_temperature_has_a_better_log_score(
    chances: NDArray[np.float64], grades: NDArray[np.int64]
) -> None:
    def loss(temperature: float) -> float:
        return -float(np.log(tempered(chances, temperature)[np.arange(7), grades]).mean())

    best = loss(temperature_of(chances, grades))
    assert all(best <= loss(other) + 1e-6 for other in (0.1, 0.5, 1.0, 2.0, 10.0))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("calibrate", [False, True])
def test_the_grades_of_a_folds_knees_change_nothing_on_that_fold(
    rule: Decide, calibrate: bool
) -> None:
    generator = np.random.default_rng(0)
    folds = [
        (generator.dirichlet(np.ones(5), size=30), generator.integers(0, 5, 30)) for _ in range(3)
    ]
    leaking = [(folds[0][0], np.full(30, 4)), *folds[1:]]
    before = cross_fitted(rule, folds, calibrate=calibrate)
    after = cross_fitted(rule, leaking, calibrate=calibrate)
    assert before[0] == after[0]
    fitted = calibrate or rule == "shares"
    assert (before[1] != after[1]) == fitted, "other folds do learn from it"


def test_cuts_are_those_of_the_calibrated_probabilities() -> None:
    generator = np.random.default_rng(0)
    chances = generator.dirichlet(np.full(5, 0.2), size=50)
    grades = generator.integers(0, 5, 50)
    decision = Decision.fitted("shares", chances, grades, calibrate=True)
    given = decision.grades(decision.calibrated(chances))
    assert decision.cuts == cuts_of(expected_grade(tempered(chances, decision.temperature)), grades)
    np.testing.assert_array_equal(np.bincount(given, minlength=5), np.bincount(grades, minlength=5))


def test_knees_follow_their_decision() -> None:
    chances = np.array([[0.4, 0.1, 0.0, 0.1, 0.4]])
    knees = GradedKnees(np.array([0]), np.array([1]), chances)
    assert knees.predicted == 0
    assert replace(knees, decision=Decision("median")).predicted == 1
    held_out = HeldOut.of_knees((("a", "left", "a"),), np.array([1]), np.array([0]), chances)
    warm = held_out.decided(Decision("median", temperature=2.0))
    assert warm.predicted == 2, "half of the knee is now below and half above"
    assert warm.uncalibrated is chances
    both = HeldOut.joined([[warm], [held_out.decided(Decision())]])
    assert both.predicted.tolist() == [2, 0]
    assert both.one(1).before.tolist() == chances.tolist()
