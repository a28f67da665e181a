from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from djd.report import scores
from djd.report.scores import Scoreboard, score_tested
from djd.statistics.held_out import HeldOut
from djd.statistics.metrics import ranked_probability_score
from tests.statistics.invented_readers import reader


def kappa(held_out: HeldOut) -> float:
    return float(
        cohen_kappa_score(held_out.grades, held_out.predicted, weights="quadratic", labels=range(5))
    )


def test_the_lead_by_the_ranked_probability_score_is_that_of_smaller_losses() -> None:
    better, worse = reader(0, skill=0.9), reader(1, skill=0.1)
    lead = Scoreboard.of([better]).finer_lead(worse)
    own, other = (
        ranked_probability_score(each.grades, each.probabilities).mean() for each in (better, worse)
    )
    assert lead.value == pytest.approx(other - own)
    assert 0 < lead.low < lead.value < lead.high
    behind = Scoreboard.of([worse]).finer_lead(better)
    assert tuple(behind) == pytest.approx((-lead.value, -lead.high, -lead.low), abs=0.002)
    assert Scoreboard.of([better]).finer_lead(better) == pytest.approx((0, 0, 0))


def test_the_test_patients_score_settings_and_baselines() -> None:
    winner, uptake = reader(0, skill=0.6), reader(1, skill=0.2)
    majority = replace(uptake, predicted=np.zeros_like(uptake.predicted))
    opened = score_tested({"depth=2": winner}, {"majority": majority, "uptake": uptake})
    assert opened.best == "depth=2"
    assert np.isnan(opened.flattered)
    assert opened.settings["depth=2"].scores["kappa"].value == pytest.approx(kappa(winner))
    assert opened.baselines["uptake"].scores["kappa"].value == pytest.approx(kappa(uptake))
    lead = opened.beyond["uptake"]
    assert lead.value == pytest.approx(kappa(winner) - kappa(uptake))
    assert 0 < lead.low < lead.value < lead.high
    assert opened.beyond["majority"].value == pytest.approx(kappa(winner))


def test_the_best_of_several_on_the_test_patients_is_named_and_looks_too_good() -> None:
    settings = {f"depth={seed}": reader(seed, skill=0.35) for seed in range(6)}
    opened = score_tested(settings, {})
    kappas = {name: kappa(each) for name, each in settings.items()}
    assert opened.best == max(kappas, key=lambda name: kappas[name])
    assert opened.flattered > 0.01
    alike = score_tested({"one": settings["depth=0"], "same": settings["depth=0"]}, {})
    assert alike.flattered == pytest.approx(0, abs=0.03)


def test_the_winners_lead_is_the_winners_even_where_another_is_better() -> None:
    winner, better, uptake = (
        reader(seed, skill=skill) for seed, skill in ((0, 0.1), (1, 0.9), (2, 0.5))
    )
    opened = score_tested({"winner": winner, "better": better}, {"uptake": uptake})
    assert opened.best == "better"
    assert opened.beyond["uptake"].value == pytest.approx(kappa(winner) - kappa(uptake))
    assert opened.beyond["uptake"].high < 0


def test_very_many_graders_scored_in_processes_have_the_same_scores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graders = [reader(seed, skill=0.2 * seed) for seed in range(5)]
    whole = Scoreboard.of(graders)
    monkeypatch.setattr(scores, "MOST_IN_THREADS", 4)
    monkeypatch.setattr(scores, "AT_ONCE", 2)
    parts = Scoreboard.of(graders)
    for name, draws in whole.draws.items():
        np.testing.assert_allclose(parts.draws[name], draws)
    for one, other in zip(whole.scores, parts.scores, strict=True):
        np.testing.assert_allclose(list(other.scores.values()), list(one.scores.values()))
