"""Findings in words: a setting is called better only where it can be told apart from the rest."""

import math
from collections.abc import Iterable, Sequence

from djd.report.against import (
    FINER,
    FINER_DECIMALS,
    features_sentences,
    finer_sentences,
    tested_sentences,
    uptake_sentences,
)
from djd.report.answer import Answer
from djd.report.axes import LIMITS, AxisEffect, is_number, place_of
from djd.report.findings import Findings
from djd.report.more_patients import more_patients_sentences
from djd.report.scores import GraderScores, scored
from djd.report.steps import steps_sentence
from djd.runs.keys import AxisValue, as_typed, short_names
from djd.statistics.effects import LevelScores
from djd.statistics.intervals import Estimate
from djd.statistics.metrics import brier_score, ranked_probability_score
from djd.wording import capital, count_of, listed, number

MAIN_SHARES = {
    "accuracy": "accuracy",
    "balanced accuracy": "balanced_accuracy",
    "minimal recall": "recall_minimal",
    "off by one at most": "off_by_one",
}
"""Scores in the sentence of a part, by their words."""


def in_one_line(grader: GraderScores) -> str:
    """The main scores with their intervals."""
    said = [f"kappa {scored(grader.scores['kappa'])}"]
    for words, score in MAIN_SHARES.items():
        said.append(f"{words} {scored(grader.scores[score], percent=True)}")
    patients = count_of(grader.patients, "patient")
    return f"{', '.join(said)} ({grader.knees} knees of {patients}; 95 % intervals)"


def sentences(answer: Answer) -> list[str]:
    """The sentences below the tables, in order."""
    findings, tested = answer.findings, answer.tested
    said = list(answer.notes)
    if findings:
        said += _found_sentences(findings, answer)
    else:
        none = "No setting has graded the held-out knees of all its folds"
        said.append(f"{none}: there is nothing to compare")
    if tested:
        if answer.other_tested or not findings:
            said.append(f"Scored on the test patients: {tested.winner}")
        elif len(findings.settings) > 1:
            said.append(f"Winner: {tested.winner}")
        said.append(f"test: {in_one_line(tested.settings[tested.winner])}")
        said += tested_sentences(tested, "It")
    return said


def remarks(answer: Answer) -> list[str]:
    """Sentences of the page on differences, choosing and the test patients."""
    findings, tested, said = answer.findings, answer.tested, []
    if findings and len(findings.settings) > 1:
        said += [detection_sentence(findings), *luck_sentences(findings)]
    if findings:
        said += together_sentences(findings)
        said += [*finer_sentences(findings), *features_sentences(findings, answer)]
    if tested:
        said += tested_sentences(tested, capital(answer.other_tested or "the setting"))
    return said


def _found_sentences(findings: Findings, answer: Answer) -> list[str]:
    uptake = [
        *uptake_sentences(findings, answer),
        *finer_sentences(findings),
        *features_sentences(findings, answer),
    ]
    if len(findings.settings) == 1:
        line = f"validation: {in_one_line(findings.settings[0])}"
        return [line, *_spread_sentences(findings), *together_sentences(findings), *uptake]
    effects = [effect_sentence(each) for each in findings.effects if each.score != "accuracy"]
    helped = [steps_sentence(findings.steps)] if findings.steps else []
    effects += more_patients_sentences(findings)
    best = [*_best_sentences(findings), *together_sentences(findings)]
    return [*best, *effects, *helped, *edge_sentences(findings), *uptake]


def together_sentences(findings: Findings) -> list[str]:
    """The best setting's networks that grade together, and what its calibration changed."""
    config, said = findings.settings[0].setting.configs[0], []
    if config.members > 1:
        said.append(f"Each grade of the best setting is of {config.members} networks together")
    held_out = findings.evidence.held_out[0]
    if held_out.uncalibrated is not None:
        changes = []
        for name, score in (("Brier score", brier_score), ("RPS", ranked_probability_score)):
            both = (score(held_out.grades, p) for p in (held_out.before, held_out.probabilities))
            before, after = (number(float(losses.mean())) for losses in both)
            changes.append(f"{name} from {before} to {after}")
        fitted = "A temperature, fitted on the other folds, changes the best setting's"
        said.append(f"{fitted} {' and '.join(changes)} (the lower the better)")
    return said


def _best_sentences(findings: Findings) -> list[str]:
    found, said = detection_sentence(findings), capital(best_set_words(findings))
    if math.isnan(findings.distance):
        said = found
    elif said.endswith("worse"):
        said = f"{said} than the best"
    else:
        said = f"{said} be told apart from the best (*): {found[:1].lower()}{found[1:]}"
    best = f"Best: kappa {scored(findings.settings[0].scores['kappa'])} out of fold"
    luck = luck_sentences(findings)
    if not math.isnan(findings.optimism):
        first, *luck = luck
        best = f"{best}; {first[:1].lower()}{first[1:]}"
    return [said, best, *luck]


def luck_sentences(findings: Findings) -> list[str]:
    """The cost of choosing the best, out of fold and on the test patients; and of repeats."""
    said, count = [], len(findings.settings)
    if not math.isnan(findings.optimism):
        said.append(
            f"The interval allows for its being the largest of {count}; with different patients "
            f"for choosing and scoring (out of bag) kappa is {number(findings.kappa_outside)}, so "
            f"the choice made it look about {number(max(findings.optimism, 0))} too good"
        )
    if not math.isnan(findings.optimism_on_test):
        picked = f"Had the best of the {count} been picked on the test patients"
        least = number(max(findings.optimism_on_test, 0))
        said.append(f"{picked}, its kappa would look at least {least} too good")
    return said + _spread_sentences(findings)


def best_set_words(findings: Findings) -> str:
    """Numbers of settings worse than the best, or not told apart from the best."""
    others = len(findings.settings) - 1
    untold = sum(each.in_best_set for each in findings.settings) - 1
    if untold == 0:
        which = "the other setting is" if others == 1 else f"all {others} other settings are"
        return f"{which} worse"
    if untold < others:
        return f"{untold} of the {others} other settings can't"
    return "the other setting can't" if others == 1 else f"none of the {others} other settings can"


def detection_sentence(findings: Findings) -> str:
    """The least difference that the patients can show."""
    distance = findings.distance
    if math.isnan(distance):
        return "Too few patients, or too few of their grades, to tell any settings apart"
    if distance == 0:
        return "All settings grade every knee alike"
    only = f"only differences of kappa above {number(distance)} can be found"
    patients = count_of(len(findings.evidence.patients), "patient")
    return f"With {patients} {only} between single settings"


def _spread_sentences(findings: Findings) -> list[str]:
    best = findings.settings[0]
    seed, split = best.between_repeats
    spread = {"patients": best.patient_error, "seeds": seed, "splits": split}
    known = {cause: each for cause, each in spread.items() if not math.isnan(each)}
    said = [f"{number(deviation)} with other {cause}" for cause, deviation in known.items()]
    if len(said) > 1:
        return [f"The best setting's kappa changes by {', '.join(said)} (standard deviations)"]
    alone = all(each.setting.configs[0].members == 1 for each in findings.settings)
    if len(findings.settings) > 1 and math.isnan(findings.training_deviation) and alone:
        return [
            "Every setting was trained with one seed: the luck of a training counts as a "
            "difference here (seed=0,1,2 in the command tells it apart)"
        ]
    return []


def effect_sentence(effect: AxisEffect, *, named: bool = True) -> str:
    """The effect of one axis, by the mean over the grid and by the best in the grid."""
    finer = effect.score == "rps"
    name = f"{effect.name}{', ' + FINER if finer else ''}: " if named else ""
    if effect.mean is None or effect.best is None:
        unfinished = "no combination of the other axes was finished"
        return f"{name}can't be compared yet; {unfinished} with all of {_listed(effect.levels)}"
    mean, best = (
        _told_apart(effect.levels, each, decimals=FINER_DECIMALS if finer else 2)
        for each in (effect.mean, effect.best)
    )
    nothing = "no difference was found"
    found = f"{nothing} between {_listed(effect.levels)}"
    if mean or best:
        found = f"on average over the grid {mean or nothing}; of the best in the grid "
        found += best or nothing
    some = f" ({effect.matched} of {effect.settings} settings can be compared)"
    return f"{name}{found}{some if effect.matched < effect.settings else ''}"


def _told_apart(levels: Sequence[AxisValue], judged: LevelScores, *, decimals: int) -> str | None:
    """Levels worse than the best, each with an interval that holds for all pairs at once."""
    scores, distance = judged.scores, judged.distance
    best = int(scores.argmax())
    behind = [float(scores[best] - score) for score in scores]
    worse = [
        f"{as_typed(level)} by "
        f"{scored(Estimate(each, each - distance, each + distance), decimals=decimals)}"
        for level, each, among_best in zip(levels, behind, judged.among_best, strict=True)
        if not among_best
    ]
    return f"{as_typed(levels[best])} is better than {_listed(worse)}" if worse else None


def _listed(values: Sequence[AxisValue]) -> str:
    return listed([as_typed(value) for value in values])


def edge_sentences(findings: Findings) -> Iterable[str]:
    """A sentence for each axis that the best setting ends, though other values are possible."""
    best, *_ = places = [place_of(each.setting) for each in findings.settings]
    for axis, name in short_names(best).items():
        values = {value for place in places if is_number(value := place[axis])}
        value, (least, most) = best[axis], LIMITS.get(axis, (0, math.inf))
        if not is_number(value) or len(values) < 2:
            continue
        if value == max(values) and value < most:
            which, way = "largest", "larger"
        elif value == min(values) and value > least:
            which, way = "smallest", "smaller"
        else:
            continue
        inside = values - {min(values), max(values)}
        softened = any(
            each.in_best_set and place[axis] in inside
            for each, place in zip(findings.settings, places, strict=True)
        )
        others = ", though one inside the grid can't be told apart from it" if softened else ""
        found = f"the best setting has the {which} value of {name} that was compared"
        better = f"a {way} one might do better{others}"
        yield f"Edge of the grid: {found} ({as_typed(value)}); {better}"
