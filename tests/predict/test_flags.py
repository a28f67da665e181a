"""Limits let a given share of training knees pass, and scores find what is unlike them."""

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf

from djd.predict.flags import FlagLimits, Likeness, disagreement, limit_of
from djd.statistics.risk_coverage import entropy

KNEES, FEATURES = 120, 40


def features_of(seed: int, knees: int = KNEES) -> np.ndarray:
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(FEATURES, FEATURES))
    return (random.normal(size=(knees, FEATURES)) @ mixing).astype(np.float32)


PATIENTS = np.repeat([f"{number:07d}" for number in range(KNEES // 2)], 2)


def test_at_most_the_share_lies_above_a_limit() -> None:
    scores = np.random.default_rng(0).normal(size=997)
    for share in (0.0, 0.01, 0.05, 0.5):
        above = (scores > limit_of(scores, share)).mean()
        assert above <= share
        assert above > share - 2 / 997
    assert limit_of(np.array([1.0, 1.0, 1.0])) == 1


def test_disagreement_is_the_deviation_of_expected_grades() -> None:
    members = np.random.default_rng(1).dirichlet(np.ones(5), (3, 20))
    expected = (members @ np.arange(5)).std(axis=0)
    np.testing.assert_allclose(disagreement(members), expected, atol=1e-6)
    np.testing.assert_array_equal(disagreement(members[:1]), np.zeros(20))
    sure = np.eye(5)[[[0], [4]]]  # one member says normal, the other severe
    assert disagreement(sure) == pytest.approx([2])


def test_limits_flag_flat_and_disagreeing_knees_and_few_others() -> None:
    random = np.random.default_rng(2)
    members = random.dirichlet([8, 1, 0.5, 0.3, 0.2], (3, 500))
    limits = FlagLimits.fitted(members, share=0.02)
    assert (entropy(members.mean(axis=0)) > limits.entropy).mean() == pytest.approx(0.02, abs=0.003)
    assert (disagreement(members) > limits.disagreement).mean() == pytest.approx(0.02, abs=0.003)
    assert entropy(np.full((1, 5), 0.2)) > limits.entropy
    assert disagreement(np.eye(5)[[[0], [4], [4]]]) > limits.disagreement


def test_one_network_disagrees_with_nobody() -> None:
    members = np.random.default_rng(3).dirichlet(np.ones(5), (1, 50))
    assert FlagLimits.fitted(members).disagreement == np.inf


def test_distances_are_those_of_the_shrunk_covariance() -> None:
    features, fresh = features_of(1), features_of(2)
    likeness = Likeness.fitted(features, PATIENTS)
    reference = LedoitWolf().fit(features.astype(np.float64)).mahalanobis(fresh.astype(np.float64))
    np.testing.assert_allclose(likeness.distances(fresh), np.sqrt(reference), rtol=1e-6)


def test_the_limit_is_kept_by_fresh_knees_of_the_kind_and_passed_by_others() -> None:
    likeness = Likeness.fitted(features_of(3), PATIENTS, share=0.05)
    fresh = likeness.distances(features_of(4, knees=4000))
    assert 0.02 < (fresh > likeness.limit).mean() < 0.09
    # The training knees themselves would have set a limit that fresh knees often pass.
    own = limit_of(likeness.distances(features_of(3)), 0.05)
    assert (fresh > own).mean() > 0.15
    far = features_of(5, knees=200) + 40
    assert (likeness.distances(far) > likeness.limit).all()


def test_the_limit_is_set_by_knees_of_other_patients() -> None:
    """Each knee twice: a copy among the others would make the distance too small."""
    once = features_of(6, knees=KNEES // 2)
    twice = np.repeat(once, 2, axis=0)
    limit = Likeness.fitted(twice, PATIENTS, share=0.05).limit
    apart = Likeness.fitted(twice, np.arange(KNEES).astype(str), share=0.05).limit
    assert limit > 1.05 * apart


def test_a_network_without_features_flags_nothing() -> None:
    likeness = Likeness.fitted(np.zeros((KNEES, 0), dtype=np.float32), PATIENTS)
    distances = likeness.distances(np.zeros((3, 0), dtype=np.float32))
    np.testing.assert_array_equal(distances > likeness.limit, [False] * 3)
