"""The first sentences of the page: the answer, the three questions, the second reader."""

import math
from collections.abc import Collection, Iterable, Mapping

from djd.report.against import FINER, against_uptake
from djd.report.answer import OUT_OF_FOLD, UPTAKE, Answer
from djd.report.axes import COMPARED, EPOCHS, QUESTIONS, AxisEffect, Question, axis_words, place_of
from djd.report.findings import Findings
from djd.report.more_patients import SHARE, more_patients_sentences
from djd.report.scores import Agreement, GraderScores, ScoresOnTest, scored
from djd.report.sentences import best_set_words, effect_sentence
from djd.runs.config import NEUTRAL
from djd.runs.keys import RECIPE, AxisValue, as_typed, short_names
from djd.sweeps.setting_scores import Setting
from djd.wording import capital, count_of

OPTIMIZERS: Mapping[AxisValue, str] = {
    "sgd": "SGD",
    "momentum": "SGD with momentum",
    "adagrad": "Adagrad",
    "adam": "Adam",
    "adamw": "AdamW",
}
"""Options of `conf/optim`; other optimizers go by their own names."""

NOTHING_HELD_OUT = "Nothing was held out (data.fold=null): there are no validation scores"

NOTHING_FINISHED = "Nothing finished: no setting has graded the held-out knees of all its folds"

USUAL: Mapping[str, str] = {
    "model": "cnn",
    **{group: option for group, option in NEUTRAL.items() if group != RECIPE},
}
"""Options that are not named where no other option was compared."""

ASKED: Mapping[Question, tuple[str, ...]] = {
    "hyperparameters": ("optim.lr_times", "data.batch_size", EPOCHS),
    "depth": ("model.depth",),
    "optimizer": ("optim",),
}
"""The axes of each question."""

_SAID = {"model", "model.depth", "optim", "optim.lr", "optim.lr_times", "data.batch_size"}


def in_words(setting: Setting, others: Iterable[Setting] = ()) -> str:
    """A setting in words, among `others`: `Depth 3 with Adam at 0.001 for 50 epochs`."""
    config, unsaid = setting.configs[0], _unsaid([setting, *others])
    values = {**config.by_key(), **config.choices, **setting.axes}
    network, depth = values.get("model"), values.get("model.depth")
    if "model" in unsaid and depth is not None:
        who = f"Depth {depth}"
    else:
        who = f"Network {network}{'' if depth is None else f' (depth {depth})'}"
    optimizer = OPTIMIZERS.get(values["optim"], as_typed(values["optim"]))
    batch = f", batch size {config.data.batch_size}" if "data.batch_size" in setting.axes else ""
    more = [
        f", {name} {as_typed(setting.axes[key])}"
        for key, name in short_names(setting.axes).items()
        if key not in _SAID | unsaid
    ]
    long = f"at {config.optim.learning_rate:g} for {count_of(setting.epochs, 'epoch')}"
    return f"{who} with {optimizer} {long}{batch}{''.join(more)}"


def _unsaid(settings: Iterable[Setting]) -> set[str]:
    """Groups of which all settings have the usual option."""
    chosen = [{**USUAL, **each.cells[0].config.choices, **each.axes} for each in settings]
    return {key for key, usual in USUAL.items() if all(each[key] == usual for each in chosen)}


def headline(answer: Answer, *, nothing: str = NOTHING_FINISHED) -> list[str]:
    """The best setting and its certainty, uptake, guessing, who decided; or `nothing`."""
    findings, tested = answer.findings, answer.tested
    if findings is not None:
        said = [_best(findings, tested)]
        if UPTAKE in findings.baselines:
            kappa = scored(findings.baselines[UPTAKE].scores["kappa"])
            lead = against_uptake(findings.beyond[UPTAKE], "It")
            said.append(f"{lead}, whose kappa is {kappa}.")
        return [*said, *_guessing(findings), *who_decided(findings)]
    said = [f"{NOTHING_HELD_OUT if NOTHING_HELD_OUT in answer.notes else nothing}."]
    if tested:
        reached = _reached(tested.settings[tested.winner])
        said.append(f"{tested.winner} reaches kappa {reached}.")
    return said


def _reached(scores: GraderScores) -> str:
    patients = count_of(scores.patients, "test patient")
    return f"{scored(scores.scores['kappa'])} on the {patients}"


def _best(findings: Findings, tested: ScoresOnTest | None) -> str:
    best = findings.settings[0]
    others, untold = len(findings.settings) - 1, sum(s.in_best_set for s in findings.settings) - 1
    # Where most others can't be told apart from the best, no setting is called best.
    verb = "grades best: kappa" if 2 * untold < others else "has the highest kappa:"
    ties = f"; {best_set_words(findings)}{' be told apart from it' if untold else ''}"
    if not others:
        verb, ties = "reaches kappa", ""
    kappa = scored(best.scores["kappa"])
    who = in_words(best.setting, [each.setting for each in findings.settings])
    scores = tested.settings.get(best.setting.name) if tested else None
    on_test = f", {_reached(scores)}" if scores else ""
    return f"{who} {verb} {kappa} out of fold{on_test}{ties}."


def _guessing(findings: Findings) -> list[str]:
    _, low, high = findings.settings[0].scores["kappa"]
    if math.isnan(low) or low > 0:
        return []
    if low == high:
        return ["It grades as a constant guess does."]
    return ["It can't be told apart from guessing: the interval of its kappa holds 0."]


def who_decided(findings: Findings) -> list[str]:
    """A sentence on the folds held out, where not all were."""
    configs = [cell.config for cell in findings.settings[0].setting.cells]
    folds, held_out = configs[0].data.folds, {config.data.fold for config in configs}
    if len(held_out) >= folds:
        return []
    patients = count_of(len(findings.evidence.patients), "patient")
    few = f"Only {patients} decided, {len(held_out)} of {folds} folds"
    return [f"{few}: {all_folds(folds)} in the command lets all development patients decide."]


def all_folds(folds: int) -> str:
    """The override that holds out every fold in turn."""
    return f"data.fold={','.join(map(str, range(folds)))}"


def question_of(axis: str) -> Question:
    """The question of an axis; hyperparameters are all but network and optimizer."""
    if axis == "model" or axis.startswith("model."):
        return "depth"
    return "optimizer" if axis == "optim" else "hyperparameters"


def effects_on(question: Question, findings: Findings, score: str) -> list[AxisEffect]:
    """Effects of the axes of a question on one score."""
    on_score = (each for each in findings.effects if each.score == score)
    return [each for each in on_score if question_of(each.axis) == question]


def compared(findings: Findings) -> Iterable[Question]:
    """Questions of which an axis was compared."""
    return (each for each in QUESTIONS if effects_on(each, findings, "kappa"))


def question_sentences(
    question: Question, findings: Findings, planned: Mapping[str, Collection[AxisValue]]
) -> list[str]:
    """Findings on a question, on each score; `planned` holds all values of each axis."""
    by_score = (effects_on(question, findings, name) for name in COMPARED)
    words = axis_words(place_of(findings.settings[0].setting))
    said = [
        f"{capital(words.get(kappa.axis, kappa.name))}: {effect_sentence(kappa, named=False)}. "
        f"On accuracy: {effect_sentence(accuracy, named=False)}. "
        f"On the {FINER}: {effect_sentence(rps, named=False)}."
        for kappa, accuracy, rps in zip(*by_score, strict=True)
    ]
    if question == question_of(SHARE):
        said += [f"{sentence}." for sentence in more_patients_sentences(findings)]
    said += _missing(question, findings, planned)
    return said or [_not_compared(question, findings.settings[0].setting)]


def _missing(
    question: Question, findings: Findings, planned: Mapping[str, Collection[AxisValue]]
) -> Iterable[str]:
    """Planned values that no setting has that can be compared."""
    places = [place_of(each.setting) for each in findings.settings]
    for axis, name in axis_words(planned).items():
        there = {place[axis] for place in places if axis in place}
        gone = [as_typed(value) for value in planned[axis] if value not in there]
        if there and gone and question_of(axis) == question:
            missing = f"{', '.join(gone)} {'is' if len(gone) == 1 else 'are'} missing"
            yield f"Of {name}, {missing}: no setting with it can be compared."


def _not_compared(question: Question, setting: Setting) -> str:
    config = setting.configs[0]
    values = {**config.by_key(), **config.choices, **place_of(setting)}
    words = axis_words([key for key in ASKED[question] if key in values] or ["model"])
    said = ", ".join(f"{word} {as_typed(values.get(key))}" for key, word in words.items())
    return f"Not compared: every setting has {said}."


def reader_sentences(reader: Mapping[str, Agreement] | None) -> list[str]:
    """The agreement of a second reader with the grades, and its meaning for a network."""
    if reader is None:
        return []
    if not reader:
        return ["The second reader graded none of these knees"]
    # A network can do better: a network is fitted to the grades, and the reader is not.
    said = [_agreement(*each) for each in reader.items()]
    return [*said, "A network that reaches this agrees with the grades as well as that reader does"]


def _agreement(part: str, agreement: Agreement) -> str:
    what, scores = "held-out" if part == OUT_OF_FOLD else part, agreement.scores
    kappa = f"kappa {scored(scores['kappa'])},"
    if math.isnan(scores["kappa"].value):
        kappa = "an undefined kappa, since all knees have one grade, and"
    accuracy = f"accuracy {scored(scores['accuracy'], percent=True)}"
    patients = count_of(agreement.patients, "patient")
    return (
        f"A second reader agrees with the grades at {kappa} {accuracy} on {agreement.knees} of "
        f"the {agreement.asked} {what} knees ({patients}; 95 % intervals)"
    )
