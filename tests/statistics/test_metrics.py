import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchmetrics.functional.classification as torch_scores
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as scikit

from djd.grades import GRADE_NAMES
from djd.statistics import metrics

Grades = NDArray[np.int64]
KNEES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60)
FEW_GRADES = st.lists(st.tuples(st.integers(1, 2), st.integers(2, 3)), min_size=1, max_size=9)


def arrays(pairs: list[tuple[int, int]]) -> tuple[Grades, Grades]:
    grades, predicted = np.array(pairs, dtype=np.int64).T
    return grades, predicted


@given(KNEES | FEW_GRADES)
def test_scores_are_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    grades, predicted = arrays(pairs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is undefined
        expected = {
            "kappa": scikit.cohen_kappa_score(
                grades, predicted, weights="quadratic", labels=range(5)
            ),
            "accuracy": scikit.accuracy_score(grades, predicted),
            "balanced_accuracy": scikit.balanced_accuracy_score(grades, predicted),
            "macro_f1": scikit.f1_score(grades, predicted, average="macro", zero_division=0),
            "mae": scikit.mean_absolute_error(grades, predicted),
            "off_by_one": float(np.mean(np.abs(grades - predicted) <= 1)),
        }
        for name, score in (("recall", scikit.recall_score), ("precision", scikit.precision_score)):
            values = score(grades, predicted, labels=range(5), average=None, zero_division=np.nan)
            expected |= {f"{name}_{grade}": values[i] for i, grade in enumerate(GRADE_NAMES)}
    received = metrics.score_table(metrics.confusion_counts(grades, predicted))
    assert received.keys() == expected.keys()
    for name, value in received.items():
        np.testing.assert_allclose(value, expected[name], atol=1e-9, err_msg=name)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=40, max_size=80))
def test_scores_are_torchmetrics_where_every_grade_is_there(pairs: list[tuple[int, int]]) -> None:
    grades, predicted = arrays(pairs + [(grade, grade) for grade in range(5)])
    counts = metrics.confusion_counts(grades, predicted)
    true, guess = torch.from_numpy(grades), torch.from_numpy(predicted)
    expected = {
        "kappa": torch_scores.multiclass_cohen_kappa(guess, true, 5, weights="quadratic"),
        "accuracy": torch_scores.multiclass_accuracy(guess, true, 5, average="micro"),
        "balanced_accuracy": torch_scores.multiclass_recall(guess, true, 5, average="macro"),
        "macro_f1": torch_scores.multiclass_f1_score(guess, true, 5, average="macro"),
    }
    received = metrics.score_table(counts)
    for name, value in expected.items():
        assert received[name] == pytest.approx(float(value), abs=1e-5), name


@given(KNEES)
def test_confusion_counts_are_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    grades, predicted = arrays(pairs)
    expected = scikit.confusion_matrix(grades, predicted, labels=range(5))
    np.testing.assert_array_equal(metrics.confusion_counts(grades, predicted), expected)


def test_a_table_worked_by_hand() -> None:
    counts = np.zeros((5, 5), dtype=np.int64)
    counts[0, 0], counts[0, 1], counts[1, 1], counts[4, 2] = 3, 1, 2, 2
    scores = metrics.score_table(counts)
    assert scores["accuracy"] == pytest.approx(5 / 8)
    assert scores["balanced_accuracy"] == pytest.approx((3 / 4 + 1 + 0) / 3)
    assert scores["mae"] == pytest.approx((1 * 1 + 2 * 2) / 8)
    assert scores["off_by_one"] == pytest.approx(6 / 8)
    # Observed squared distance 1*1 + 2*4 = 9; expected with the margins (4, 2, 0, 0, 2) and
    # (3, 3, 2, 0, 0): [4*(3*0 + 3*1 + 2*4) + 2*(3*1 + 0 + 2*1) + 2*(3*16 + 3*9 + 2*4)] / 8.
    assert scores["kappa"] == pytest.approx(1 - 9 / ((44 + 10 + 166) / 8))
    assert np.isnan(scores["recall_mild"])
    assert np.isnan(scores["precision_severe"])
    assert scores["recall_severe"] == 0


@given(KNEES)
def test_merged_grades_count_as_if_they_had_been_read_so(pairs: list[tuple[int, int]]) -> None:
    grades, predicted = arrays(pairs)
    counts = metrics.confusion_counts(grades, predicted)
    for groups in (((0,), (1, 2, 3, 4)), metrics.THREE_GROUPS):
        group_of = np.empty(5, dtype=np.int64)
        for group, members in enumerate(groups):
            group_of[list(members)] = group
        expected = scikit.confusion_matrix(
            group_of[grades], group_of[predicted], labels=range(len(groups))
        )
        np.testing.assert_array_equal(metrics.merge_grades(counts, groups), expected)


def test_losses_of_probabilities_worked_by_hand() -> None:
    grades = np.array([0, 2, 4])
    chances = np.array([[1, 0, 0, 0, 0], [0.5, 0, 0.5, 0, 0], [1, 0, 0, 0, 0]], dtype=np.float64)
    # Second knee: (0.5**2 + 0.5**2); cumulative 0.5, 0.5, 1, 1 against 0, 0, 1, 1.
    np.testing.assert_allclose(metrics.brier_score(grades, chances), [0, 0.5, 2])
    np.testing.assert_allclose(
        metrics.ranked_probability_score(grades, chances), [0, (0.25 + 0.25) / 4, 1]
    )


@given(KNEES)
def test_losses_of_probabilities_are_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    grades, seeds = arrays(pairs)
    chances = np.random.default_rng(seeds).dirichlet(np.ones(5), len(grades))
    one_hot = np.eye(5)[grades]
    brier = sum(scikit.brier_score_loss(one_hot[:, g], chances[:, g]) for g in range(5))
    assert metrics.brier_score(grades, chances).mean() == pytest.approx(brier)
    ranked = [
        scikit.brier_score_loss(grades <= limit, np.clip(chances[:, : limit + 1].sum(axis=1), 0, 1))
        for limit in range(4)
    ]
    score = metrics.ranked_probability_score(grades, chances).mean()
    assert score == pytest.approx(np.mean(ranked))


SCORES = [
    metrics.quadratic_kappa,
    metrics.accuracy,
    metrics.balanced_accuracy,
    metrics.macro_f1,
    metrics.mean_absolute_error,
    metrics.off_by_one,
    metrics.recall,
    metrics.precision,
]


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.__name__)
def test_leading_axes_of_the_counts_are_kept(
    score: Callable[[metrics.Counts], metrics.Scores],
) -> None:
    counts = np.random.default_rng(0).integers(0, 9, (3, 4, 5, 5))
    together = score(counts)
    for i in range(3):
        for j in range(4):
            np.testing.assert_allclose(together[i, j], score(counts[i, j]))


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.__name__)
def test_no_knee_is_undefined_and_says_nothing(
    score: Callable[[metrics.Counts], metrics.Scores],
) -> None:
    with np.errstate(all="raise"):
        assert np.isnan(score(np.zeros((5, 5), dtype=np.int64))).all()


def test_kappa_of_a_constant_guess_is_zero_and_of_perfect_grades_one() -> None:
    grades = np.array([0, 1, 2, 3, 4, 4])
    constant = metrics.confusion_counts(grades, np.full(6, 2))
    assert metrics.quadratic_kappa(constant) == pytest.approx(0, abs=1e-12)
    assert metrics.quadratic_kappa(metrics.confusion_counts(grades, grades)) == 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=1, max_size=50))
def test_auroc_is_scikit_learns_with_ties(pairs: list[tuple[bool, int]]) -> None:
    positive = np.array([one for one, _ in pairs])
    score = np.array([other for _, other in pairs]) / 6
    received = metrics.auroc(positive, score)
    if positive.all() or not positive.any():
        assert np.isnan(received)
    else:
        assert received == pytest.approx(scikit.roc_auc_score(positive, score), abs=1e-9)
