import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm, t

from djd.statistics.bootstrap import draw_patients
from djd.statistics.intervals import (
    design_effect,
    expanded_tail,
    freedom_over_grades,
    logit_interval,
    loss_interval,
    percentile_interval,
    share_interval,
)

PATIENTS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=50)


def clusters(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Right knees and all knees of each patient."""
    right, wrong = np.array(pairs, dtype=np.float64).T
    return right, right + wrong


@pytest.mark.parametrize("patients", [2, 5, 40, 165, 2000])
def test_the_expanded_tail_widens_for_few_patients(patients: int) -> None:
    reach = np.sqrt(patients / (patients - 1)) * t.ppf(0.975, patients - 1)
    assert expanded_tail(patients) == pytest.approx(norm.sf(reach))
    assert expanded_tail(patients) < 0.025


def test_one_patient_has_no_tail_and_no_interval() -> None:
    assert np.isnan(expanded_tail(1))
    assert np.isnan(percentile_interval(np.linspace(0, 1, 99), 1)).all()
    assert np.isnan(logit_interval(0.5, np.linspace(0.1, 0.9, 99), 1)).all()
    weights = draw_patients(1, draws=9)
    assert np.isnan(loss_interval(np.array([1.0]), np.array([2.0]), weights)).all()


def test_the_percentile_interval_is_that_of_the_draws() -> None:
    draws = np.random.default_rng(0).normal(size=10_000)
    tail = expanded_tail(30)
    expected = np.quantile(draws, [tail, 1 - tail])
    np.testing.assert_allclose(percentile_interval(draws, 30), expected, atol=0.01)
    some_undefined = np.where(np.arange(10_000) % 3 == 0, np.nan, draws)
    np.testing.assert_allclose(percentile_interval(some_undefined, 30), expected, atol=0.1)
    mostly_undefined = np.where(np.arange(10_000) % 3 == 0, draws, np.nan)
    assert np.isnan(percentile_interval(mostly_undefined, 30)).all()


@given(st.integers(1, 60), st.data())
def test_independent_knees_have_wilsons_interval(knees: int, data: st.DataObject) -> None:
    right = np.array(data.draw(st.lists(st.integers(0, 1), min_size=knees, max_size=knees)))
    wilson = binomtest(int(right.sum()), knees).proportion_ci(method="wilson")
    interval = share_interval(right.astype(np.float64), np.ones(knees))
    np.testing.assert_allclose(interval, wilson, atol=1e-9)


@given(st.integers(2, 40), st.data())
def test_knees_that_are_alike_count_once(patients: int, data: st.DataObject) -> None:
    right = np.array(data.draw(st.lists(st.integers(0, 1), min_size=patients, max_size=patients)))
    wilson = binomtest(int(right.sum()), patients).proportion_ci(method="wilson")
    interval = share_interval(2.0 * right, np.full(patients, 2.0))
    np.testing.assert_allclose(interval, wilson, atol=1e-9)


@given(PATIENTS)
def test_a_share_lies_in_its_interval_between_none_and_all(pairs: list[tuple[int, int]]) -> None:
    right, knees = clusters(pairs)
    low, high = share_interval(right, knees)
    if not knees.sum():
        assert np.isnan(low)
        return
    share = right.sum() / knees.sum()
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1
    assert high - low > 0.01
    assert 1 <= design_effect(right, knees) <= max(knees.max(), 1) + 1e-12


def test_the_design_effect_of_a_table_worked_by_hand() -> None:
    # Three patients with 2 of 2, 1 of 2 and 0 of 2 right: share 1/2, residuals 1, 0, -1.
    # Between patients: (1 + 0 + 1) * 3/2 / 6**2 = 1/12; independent: 1/2 * 1/2 / 6 = 1/24.
    assert design_effect(np.array([2.0, 1, 0]), np.array([2.0, 2, 2])) == pytest.approx(2)


def test_five_patients_with_the_rarest_grade_leave_some_seventeen_degrees() -> None:
    assert freedom_over_grades(np.array([22, 15, 10, 6, 5])) == pytest.approx(17, abs=3)
    assert freedom_over_grades(np.array([10, 10, 0, 0, 0])) == pytest.approx(18)
    assert np.isnan(freedom_over_grades(np.zeros(5, dtype=np.int64)))
    assert freedom_over_grades(np.array([1, 0, 0, 0, 0])) > 0


@given(st.floats(0.02, 0.98), st.integers(2, 200))
def test_a_logit_interval_stays_between_none_and_all(score: float, patients: int) -> None:
    draws = np.clip(np.random.default_rng(0).normal(score, 0.1, 500), 0, 1)
    low, high = logit_interval(score, draws, patients)
    assert 0 <= low < score < high <= 1
    fewer = logit_interval(score, draws, patients, freedom=1)
    assert fewer.low <= low
    assert fewer.high >= high


@pytest.mark.parametrize("score", [0.0, 1.0, np.nan])
def test_a_score_without_a_logit_has_no_logit_interval(score: float) -> None:
    assert np.isnan(logit_interval(score, np.linspace(0.1, 0.9, 99), 40)).all()


def test_a_mean_loss_lies_in_its_interval_whatever_its_unit() -> None:
    generator = np.random.default_rng(3)
    losses, knees = generator.gamma(2, 0.2, 40), np.full(40, 2.0)
    weights = draw_patients(40, draws=2000)
    low, high = loss_interval(losses, knees, weights)
    mean = losses.sum() / knees.sum()
    assert 0 < low < mean < high
    np.testing.assert_allclose(loss_interval(10 * losses, knees, weights), (10 * low, 10 * high))
    # About Student's interval of the mean of patients, which is what it is for many of them.
    half = t.ppf(0.975, 39) * losses.std(ddof=1) / 2 / np.sqrt(40)
    assert high - low == pytest.approx(2 * half, rel=0.15)


@pytest.mark.parametrize("losses", [np.zeros(9), np.ones(9)])
def test_losses_that_do_not_differ_have_no_interval(losses: np.ndarray) -> None:
    weights = draw_patients(9, draws=50)
    assert np.isnan(loss_interval(losses, np.ones(9), weights)).all()
