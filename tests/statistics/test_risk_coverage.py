from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import entropy as entropy_of

from djd.statistics.bootstrap import draw_patients
from djd.statistics.held_out import HeldOut
from djd.statistics.metrics import ranked_probability_score
from djd.statistics.risk_coverage import SHARES, entropy, risk_curve
from tests.statistics.invented_readers import reader, together

WEIGHTS = draw_patients(20, draws=400)


def losses_of(setting: HeldOut) -> np.ndarray:
    return ranked_probability_score(setting.grades, setting.probabilities)


def test_entropy_is_that_of_scipy_and_0_for_a_certain_grade() -> None:
    chances = np.random.default_rng(0).dirichlet(np.ones(5), 9)
    np.testing.assert_allclose(entropy(chances), entropy_of(chances, axis=1))
    np.testing.assert_array_equal(entropy(np.eye(5)), np.zeros(5))
    np.testing.assert_allclose(entropy(np.full((1, 5), 0.2)), np.log(5))


def test_each_share_has_the_mean_loss_of_its_surest_knees() -> None:
    setting = reader(1)
    losses, order = losses_of(setting), np.argsort(entropy_of(setting.probabilities, axis=1))
    curve = risk_curve(setting, losses, WEIGHTS)
    for kept, risk in zip(SHARES, curve.risks, strict=True):
        surest = order[: round(kept * len(order))]  # 40 knees: every share is a whole number
        assert risk.value == pytest.approx(losses[surest].mean())
        assert risk.low <= risk.value <= risk.high
    assert curve.half.value == pytest.approx(losses[order[:20]].mean())
    assert curve.whole.value == pytest.approx(losses.mean())
    assert curve.gain.value == pytest.approx(losses.mean() - losses[order[:20]].mean())


def test_a_draw_orders_the_knees_that_it_holds() -> None:
    """The interval is that of scores worked out draw by draw from repeated knees."""
    setting, half = reader(2), []
    losses = losses_of(setting)
    for weight in WEIGHTS:
        drawn = np.repeat(np.arange(40), weight[setting.patient].astype(int))
        order = drawn[np.argsort(entropy_of(setting.probabilities[drawn], axis=1), kind="stable")]
        half.append(losses[order[:20]].mean())
    curve = risk_curve(setting, losses, WEIGHTS)
    assert curve.half.low == pytest.approx(np.quantile(half, 0.017), abs=0.003)
    assert curve.half.high == pytest.approx(np.quantile(half, 0.983), abs=0.003)


def test_equally_sure_knees_share_their_mean_loss_in_any_order() -> None:
    setting = replace(reader(3), probabilities=np.full((40, 5), 0.2))
    losses = np.linspace(0, 1, 40)
    curve = risk_curve(setting, losses, WEIGHTS)
    assert [risk.value for risk in curve.risks] == pytest.approx([0.5] * len(SHARES))
    assert curve.gain.value == pytest.approx(0, abs=1e-12)


def test_repeats_are_ordered_each_by_itself_and_averaged() -> None:
    one, other = reader(4), reader(5, skill=0.1)
    both = together(one, other)
    curve = risk_curve(both, losses_of(both), WEIGHTS)
    alone = [risk_curve(each, losses_of(each), WEIGHTS) for each in (one, other)]
    for place, risk in enumerate(curve.risks):
        assert risk.value == pytest.approx(np.mean([each.risks[place].value for each in alone]))


def test_one_patient_has_a_curve_without_intervals() -> None:
    setting = reader(6, patients=1)
    curve = risk_curve(setting, losses_of(setting), draw_patients(1, draws=10))
    assert not any(risk.has_interval for risk in [*curve.risks, curve.gain])
    assert curve.whole.value == pytest.approx(losses_of(setting).mean())
