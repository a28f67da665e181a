"""The best setting and the winner against the baselines, in words."""

import math

from djd.report.answer import FEATURES, UPTAKE, Answer
from djd.report.findings import Findings
from djd.report.scores import ScoresOnTest, scored
from djd.statistics.intervals import Estimate
from djd.wording import number

FINER = "ranked probability score (smaller is better)"
"""The second score, which finds smaller differences than kappa."""

FINER_DECIMALS = 3


def uptake_sentences(findings: Findings, answer: Answer) -> list[str]:
    """Whether the best setting has learned more than uptake."""
    who = _best_words(findings)
    return [
        f"{against_uptake(findings.beyond[UPTAKE], who)} out of fold: uptake has kappa "
        f"{scored(findings.baselines[UPTAKE].scores['kappa'])}, the best of "
        f"{len(baseline.candidates)} logistic models of it"
        for baseline in answer.baselines
        if baseline.name == UPTAKE
    ]


def finer_sentences(findings: Findings) -> list[str]:
    """The best setting and uptake by the ranked probability score."""
    if UPTAKE not in findings.beyond_in_rps:
        return []
    who = _best_words(findings).lower()
    lead, own = findings.beyond_in_rps[UPTAKE], findings.settings[0].scores["rps"]
    said = against(lead, who, "uptake alone", decimals=FINER_DECIMALS)
    other = number(own.value + lead.value, decimals=FINER_DECIMALS)
    score = scored(own, decimals=FINER_DECIMALS)
    return [f"On the {FINER}, {said}: {score} against {other} of its best candidate by this score"]


def features_sentences(findings: Findings, answer: Answer) -> list[str]:
    """Where the best setting doesn't beat handmade features: that it doesn't."""
    return [
        f"{against(findings.beyond[FEATURES], _best_words(findings), 'handmade features')} out of "
        f"fold: they have kappa {scored(findings.baselines[FEATURES].scores['kappa'])}, the best "
        f"of {len(baseline.candidates)} models of measures of the picture, without a network"
        for baseline in answer.baselines
        if baseline.name == FEATURES and not findings.beyond[FEATURES].low > 0
    ]


def _best_words(findings: Findings) -> str:
    return "The best setting" if len(findings.settings) > 1 else "The network"


def against_uptake(difference: Estimate, who: str) -> str:
    """Whether one grader beats uptake alone, on the same knees."""
    return against(difference, who, "uptake alone")


def against(difference: Estimate, who: str, whom: str, *, decimals: int = 2) -> str:
    """Whether one grader beats another, on the same knees."""
    value, low, high = difference
    if low > 0:
        return f"{who} beats {whom} by {scored(difference, decimals=decimals)}"
    if high < 0:
        behind = scored(Estimate(-value, -high, -low), decimals=decimals)
        return f"{who} is behind {whom} by {behind}"
    said, least, most = (number(each, decimals=decimals) for each in difference)
    ends = "" if math.isnan(low) else f", 95 % interval {least} to {most}"
    return f"{who} can't be told apart from {whom} (difference {said}{ends})"


def tested_sentences(tested: ScoresOnTest, who: str) -> list[str]:
    """The lead over uptake on the test patients, and the cost of choosing on them."""
    said = []
    if UPTAKE in tested.beyond:
        lead = against_uptake(tested.beyond[UPTAKE], who)
        kappa = scored(tested.baselines[UPTAKE].scores["kappa"])
        said.append(f"{lead} on the test patients: uptake has kappa {kappa} there")
    if not math.isnan(tested.flattered):
        best = tested.settings[tested.best].scores["kappa"].value
        also = "this one" if tested.best == tested.winner else tested.best
        said.append(
            f"The best of {len(tested.settings)} settings on the test patients is {also}, with "
            f"kappa {number(best)} there; being the best there makes it look about "
            f"{number(max(tested.flattered, 0))} too good"
        )
    return said
