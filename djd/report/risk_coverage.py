"""Whether the knees that the network is sure of are graded better: error by the share kept."""

from collections.abc import Mapping

from djd.report.scores import scored
from djd.statistics.bootstrap import FEW_DRAWS, draw_patients
from djd.statistics.held_out import HeldOut
from djd.statistics.metrics import ranked_probability_score
from djd.statistics.risk_coverage import RiskCurve, risk_curve
from djd.wording import number, share

NETWORK = "network"
"""The best setting, beside the names of baselines."""

RPS, WRONG = "rps", "wrong"
"""Losses of the curves: the ranked probability score, and 1 for a wrong grade."""

Risks = Mapping[str, Mapping[str, RiskCurve]]
"""Curves by loss and grader."""

_DECIMALS = 3


def risks_of(finer: Mapping[str, HeldOut], graders: Mapping[str, HeldOut]) -> Risks:
    """Curves of graders of the same knees, by loss and name.

    Args:
        finer: By name, each with the candidate that has the least ranked probability score.
        graders: By name, each with the candidate that was chosen, for wrong grades.
    """
    patients = next(iter(graders.values())).patients
    weights = draw_patients(patients, draws=FEW_DRAWS)
    rps = {name: ranked_probability_score(o.grades, o.probabilities) for name, o in finer.items()}
    wrong = {name: 1.0 * (each.predicted != each.grades) for name, each in graders.items()}
    return {
        RPS: {name: risk_curve(each, rps[name], weights) for name, each in finer.items()},
        WRONG: {name: risk_curve(each, wrong[name], weights) for name, each in graders.items()},
    }


def risk_sentence(risks: Risks) -> str:
    """Whether the network errs less on the half of the knees that it is surest of."""
    rps, wrong = risks[RPS][NETWORK], risks[WRONG][NETWORK]
    half, whole = (number(each.value, decimals=_DECIMALS) for each in (rps.half, rps.whole))
    least, most = (number(each, decimals=_DECIMALS) for each in rps.gain[1:])
    ends = f", 95 % interval of the difference {least} to {most}" if rps.gain.has_interval else ""
    numbers = (
        f"their ranked probability score is {half}, that of all {whole}{ends}; "
        f"{scored(wrong.half, percent=True)} of their grades are wrong, of all "
        f"{share(wrong.whole.value)}"
    )
    surest = "the half of the knees that it is surest of"
    if rps.gain.low > 0:
        return f"The network grades {surest} better than all knees: {numbers}."
    if rps.gain.high < 0:
        return f"The network grades {surest} worse than all knees: {numbers}."
    return f"It isn't shown that the network grades {surest} better than all knees: {numbers}."
