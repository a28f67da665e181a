import numpy as np
import pytest

from djd.report.answer import Answer
from djd.report.risk_coverage import NETWORK, RPS, WRONG, Risks, risk_sentence, risks_of
from djd.statistics.intervals import Estimate
from djd.statistics.metrics import ranked_probability_score
from djd.statistics.risk_coverage import SHARES, RiskCurve
from tests.statistics.invented_readers import reader


def curves(gain: Estimate) -> Risks:
    rps = RiskCurve(tuple(Estimate(0.2 * share, 0.05, 0.3) for share in SHARES), gain)
    wrong = RiskCurve(tuple(Estimate(share / 2, 0.2, 0.6) for share in SHARES), gain)
    return {RPS: {NETWORK: rps}, WRONG: {NETWORK: wrong}}


@pytest.mark.parametrize(
    ("gain", "says"),
    [
        (Estimate(0.1, 0.05, 0.15), "The network grades {} better than all knees: "),
        (Estimate(-0.1, -0.15, -0.05), "The network grades {} worse than all knees: "),
        (Estimate(0.1, -0.05, 0.15), "It isn't shown that the network grades {} better than"),
        (Estimate(0.1), "It isn't shown that the network grades {} better than"),
    ],
)
def test_only_an_interval_beyond_0_says_that_sure_knees_are_graded_better(
    gain: Estimate, says: str
) -> None:
    said = risk_sentence(curves(gain))
    assert said.startswith(says.format("the half of the knees that it is surest of"))
    assert "score is 0.100, that of all 0.200" in said
    assert said.endswith("25 % (20 to 60) of their grades are wrong, of all 50 %.")
    assert "nan" not in said
    assert ("interval of the difference" in said) == gain.has_interval


def test_each_loss_has_its_own_graders() -> None:
    best, by_rps, chosen = reader(0), reader(1), reader(2)
    risks = risks_of({"network": best, "uptake": by_rps}, {"network": best, "uptake": chosen})
    rps = ranked_probability_score(by_rps.grades, by_rps.probabilities).mean()
    assert risks[RPS]["uptake"].whole.value == pytest.approx(rps)
    wrong = float(np.mean(chosen.predicted != chosen.grades))
    assert risks[WRONG]["uptake"].whole.value == pytest.approx(wrong)


def test_an_answer_has_the_curves_of_its_best_setting_and_of_uptake(answer: Answer) -> None:
    assert answer.findings
    scores = answer.findings.settings[0].scores
    assert {loss: list(named) for loss, named in answer.risks.items()} == {
        RPS: ["network", "uptake"],
        WRONG: ["network", "uptake"],
    }
    assert answer.risks[RPS]["network"].whole.value == pytest.approx(scores["rps"].value)
    assert answer.risks[WRONG]["network"].whole.value == pytest.approx(1 - scores["accuracy"].value)
    uptake = answer.findings.baselines["uptake"].scores["accuracy"].value
    assert answer.risks[WRONG]["uptake"].whole.value == pytest.approx(1 - uptake)
