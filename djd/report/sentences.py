"""Findings in words, by rules: nothing is called better that can't be told apart from the rest."""

import math
from collections.abc import Sequence

from djd.report.answer import Answer
from djd.report.axis_effects import AxisEffect, Edge
from djd.report.opened import Opened
from djd.report.out_of_fold import Findings
from djd.report.wording import between, in_one_line, scored
from djd.runs.keys import AxisValue, as_typed
from djd.statistics.effects import LevelScores
from djd.statistics.intervals import Estimate
from djd.sweeps.baselines import BaselineName, KeptBaseline
from djd.wording import count_of, number

UPTAKE: BaselineName = "uptake"


def sentences(answer: Answer) -> list[str]:
    """What there is to say below the tables, in order."""
    findings, opened = answer.findings, answer.opened
    said = list(answer.notes)
    if findings is None:
        said.append(
            "No setting has graded the held-out knees of all its folds: there is nothing to compare"
        )
    else:
        said += found_sentences(findings, answer)
    if opened:
        said += who_was_opened(findings, next(iter(opened.figures)))
        said += opened_sentences(opened)
    return said


def who_was_opened(findings: Findings | None, name: str) -> list[str]:
    """Whose test scores follow; of a single run it goes without saying."""
    settings = [each.setting.name for each in findings.settings] if findings else []
    if settings == [name]:
        return []
    return [f"{'Winner' if settings[:1] == [name] else 'Scored on the test patients'}: {name}"]


def found_sentences(findings: Findings, answer: Answer) -> list[str]:
    """What the held-out knees say."""
    if len(findings.settings) == 1:
        return [
            f"validation: {in_one_line(findings.settings[0].figures)}",
            *_spread_sentences(findings),
            *baseline_sentences(findings, answer.baselines),
        ]
    return [
        *best_sentences(findings),
        *(effect_sentence(effect) for effect in findings.effects if effect.score == "kappa"),
        *(edge_sentence(edge, findings) for edge in answer.edges),
        *baseline_sentences(findings, answer.baselines),
    ]


def best_sentences(findings: Findings) -> list[str]:
    """Who can't be told apart from the best, and how much of its figure is luck."""
    said = [_best_set_sentence(findings)]
    best = f"Best: kappa {scored(findings.settings[0].figures.scores['kappa'])} out of fold"
    first, *others = luck_sentences(findings) or [""]
    if math.isnan(findings.choice.optimism):
        return [*said, best, *filter(None, [first, *others])]
    return [*said, f"{best}; {first[:1].lower()}{first[1:]}", *others]


def luck_sentences(findings: Findings) -> list[str]:
    """What choosing the best cost, or would have cost on the test patients; what repeats say."""
    said, choice = [], findings.choice
    if not math.isnan(choice.optimism):
        said.append(_choice_sentence(findings))
    if not math.isnan(choice.optimism_on_test):
        flattery = number(max(choice.optimism_on_test, 0))
        said.append(
            f"Had the best of the {len(findings.settings)} been picked on the test patients, its "
            f"kappa would look at least {flattery} too good"
        )
    return said + _spread_sentences(findings)


def _best_set_sentence(findings: Findings) -> str:
    others = len(findings.settings) - 1
    untold = sum(each.in_best_set for each in findings.settings) - 1
    distance = findings.choice.distance
    if math.isnan(distance):
        return detection_sentence(findings)
    if untold == 0:
        which = "The other setting is" if others == 1 else f"All {others} other settings are"
        return f"{which} worse than the best"
    if untold == others:
        which = "The other setting" if others == 1 else f"None of the {others} other settings"
        can = "can't" if others == 1 else "can"
    else:
        which, can = f"{untold} of the {others} other settings", "can't"
    found = detection_sentence(findings)
    return f"{which} {can} be told apart from the best (*): {found[:1].lower()}{found[1:]}"


def detection_sentence(findings: Findings) -> str:
    """Which differences can be found with so many patients."""
    distance = findings.choice.distance
    if math.isnan(distance):
        return "Too few patients, or too few of their grades, to tell any settings apart"
    if distance == 0:
        return "All settings grade every knee alike"
    patients = count_of(len(findings.evidence.patients), "patient")
    return (
        f"With {patients} only differences of kappa above {number(distance)} can be found between "
        "single settings"
    )


def _choice_sentence(findings: Findings) -> str:
    """What being chosen as the best did to its kappa."""
    choice = findings.choice
    return (
        f"The interval allows for its being the largest of {len(findings.settings)}; with "
        f"different patients for choosing and scoring (out of bag) kappa is "
        f"{number(choice.kappa_outside)}, so the choice made it look about "
        f"{number(max(choice.optimism, 0))} too good"
    )


def _spread_sentences(findings: Findings) -> list[str]:
    best = findings.settings[0]
    seed, split = best.between_repeats
    told = [
        f"{number(deviation)} with other {what}"
        for what, deviation in (
            ("patients", best.patient_error),
            ("seeds", seed),
            ("splits", split),
        )
        if not math.isnan(deviation)
    ]
    if len(told) > 1:
        return [f"The best setting's kappa changes by {', '.join(told)} (standard deviations)"]
    if len(findings.settings) > 1 and math.isnan(findings.training_deviation):
        return [
            "Every setting was trained with one seed: the luck of a training counts as a "
            "difference here (seed=0,1,2 in the command tells it apart)"
        ]
    return []


def effect_sentence(effect: AxisEffect, *, named: bool = True) -> str:
    """What one axis does, judged by the mean over the grid and by the best in it.

    Args:
        effect: Of the axis.
        named: Whether its name stands before it.
    """
    name = f"{effect.name}: " if named else ""
    if effect.mean is None or effect.best is None:
        return (
            f"{name}can't be compared yet; no combination of the other axes was finished "
            f"with all of {_listed(effect.levels)}"
        )
    on_average = _told_apart(effect.levels, effect.mean)
    at_best = _told_apart(effect.levels, effect.best)
    nothing = "no difference was found"
    if on_average is None and at_best is None:
        found = f"{nothing} between {_listed(effect.levels)}"
    else:
        found = (
            f"on average over the grid {on_average or nothing}; "
            f"of the best in the grid {at_best or nothing}"
        )
    some = f" ({effect.matched} of {effect.settings} settings can be compared)"
    return f"{name}{found}{some if effect.matched < effect.settings else ''}"


def _told_apart(levels: Sequence[AxisValue], figures: LevelScores) -> str | None:
    best = int(figures.scores.argmax())
    behind = figures.scores[best] - figures.scores
    worse = [
        f"{as_typed(level)} by {_with_ends(float(behind[place]), figures.distance)}"
        for place, level in enumerate(levels)
        if not figures.among_best[place]
    ]
    return f"{as_typed(levels[best])} is better than {_listed(worse)}" if worse else None


def _with_ends(difference: float, distance: float) -> str:
    """A difference of levels with its interval, which holds for all pairs at once."""
    return f"{number(difference)}{between(difference - distance, difference + distance)}"


def _listed(values: Sequence[AxisValue]) -> str:
    words = [as_typed(value) for value in values]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def edge_sentence(edge: Edge, findings: Findings) -> str:
    """That the grid may have been too narrow."""
    which, way = ("largest", "larger") if edge.largest else ("smallest", "smaller")
    inside = any(each.in_best_set and edge.spares(each.setting) for each in findings.settings)
    others = ", though one inside the grid can't be told apart from it" if inside else ""
    return (
        f"Edge of the grid: the best setting has the {which} value of {edge.name} that was "
        f"compared ({as_typed(edge.value)}); a {way} one might do better{others}"
    )


def baseline_sentences(findings: Findings, baselines: Sequence[KeptBaseline]) -> list[str]:
    """Whether the best setting has learned more than how much a knee takes up."""
    said = []
    for baseline in baselines:
        if baseline.name == UPTAKE:
            kappa = findings.baselines[UPTAKE].scores["kappa"]
            verdict = against_uptake(findings.beyond[UPTAKE], _who(findings))
            said.append(
                f"{verdict} out of fold: uptake has kappa {scored(kappa)}, the best of "
                f"{len(baseline.candidates)} logistic models of it"
            )
    return said


def _who(findings: Findings) -> str:
    return "The best setting" if len(findings.settings) > 1 else "The network"


def against_uptake(difference: Estimate, who: str) -> str:
    """Whether one grader beats uptake alone, on the same knees."""
    value, low, high = difference
    if low > 0:
        return f"{who} beats uptake alone by {number(value)}{between(low, high)}"
    if high < 0:
        return f"{who} is behind uptake alone by {number(-value)}{between(-high, -low)}"
    told = "" if math.isnan(low) else f", 95 % interval {number(low)} to {number(high)}"
    return f"{who} can't be told apart from uptake alone (difference {number(value)}{told})"


def opened_sentences(opened: Opened) -> list[str]:
    """The test patients' verdict on the winner, on uptake, and what picking there would cost."""
    figures = next(iter(opened.figures.values()))
    return [f"test: {in_one_line(figures)}", *beside_test_sentences(opened, "It")]


def beside_test_sentences(opened: Opened, who: str) -> list[str]:
    """What the test patients say besides the winner's scores: of uptake, and of picking there.

    Args:
        opened: What the test patients said.
        who: What the winner is called.
    """
    first, said = next(iter(opened.figures)), []
    if UPTAKE in opened.beyond:
        kappa = opened.baselines[UPTAKE].scores["kappa"]
        said.append(
            f"{against_uptake(opened.beyond[UPTAKE], who)} on the test patients: uptake has kappa "
            f"{scored(kappa)} there"
        )
    if not math.isnan(opened.flattered):
        best = opened.figures[opened.best].scores["kappa"].value
        also = "this one" if opened.best == first else opened.best
        said.append(
            f"The best of {len(opened.figures)} settings on the test patients is {also}, with "
            f"kappa {number(best)} there; being the best there makes it look about "
            f"{number(max(opened.flattered, 0))} too good"
        )
    return said
