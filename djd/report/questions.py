"""The three questions of the study, and which axes answer each."""

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, get_args

from djd.report.axis_effects import EPOCHS, AxisEffect, place_of
from djd.report.out_of_fold import Findings
from djd.report.sentences import effect_sentence
from djd.report.wording import capital
from djd.sweeps.cells import AxisValue, as_typed, short_names

Question = Literal["hyperparameters", "depth", "optimizer"]
QUESTIONS: tuple[Question, ...] = get_args(Question)

_HEAD = {
    "hyperparameters": ("optim.lr_times", "data.batch_size", EPOCHS),
    "depth": ("model.depth",),
    "optimizer": ("optim",),
}
"""What each question is about, where nothing of it was compared."""

_WORDS = {
    "model.depth": "depth",
    "optim": "optimizer",
    "optim.lr": "learning rate",
    "optim.lr_times": "learning rate factor",
    "data.batch_size": "batch size",
    EPOCHS: "epochs",
}
"""What a reader calls axes that he never typed; others go by their keys."""


def axis_words(keys: Iterable[str]) -> dict[str, str]:
    """What axes are called on the page, by key."""
    short = short_names(list(keys))
    return {key: _WORDS.get(key, name) for key, name in short.items()}


def question_of(axis: str) -> Question:
    """The question that an axis belongs to; what is neither network nor optimizer tunes."""
    if axis.startswith("model."):
        return "depth"
    return "optimizer" if axis == "optim" else "hyperparameters"


def effects_on(question: Question, findings: Findings, score: str) -> list[AxisEffect]:
    """Effects of the axes that answer a question, on one score."""
    return [
        effect
        for effect in findings.effects
        if effect.score == score and question_of(effect.axis) == question
    ]


def question_sentences(
    question: Question, findings: Findings, planned: Mapping[str, Collection[AxisValue]]
) -> list[str]:
    """What was found on a question: on kappa, then on accuracy; or that nothing was compared.

    Args:
        question: Which.
        findings: What was found.
        planned: Values of each compared axis that were asked for, finished or not.
    """
    on_kappa = effects_on(question, findings, "kappa")
    on_accuracy = effects_on(question, findings, "accuracy")
    words = axis_words(place_of(findings.settings[0].setting))
    said = [
        f"{capital(words.get(kappa.axis, kappa.name))}: {effect_sentence(kappa, named=False)}. "
        f"On accuracy: {effect_sentence(accuracy, named=False)}."
        for kappa, accuracy in zip(on_kappa, on_accuracy, strict=True)
    ]
    missing = _missing(question, findings, planned)
    return [*said, *missing] or [_not_compared(question, findings)]


def _missing(
    question: Question, findings: Findings, planned: Mapping[str, Collection[AxisValue]]
) -> list[str]:
    """Values that were asked for and that no setting has that can be compared."""
    places = [place_of(each.setting) for each in findings.settings]
    words = axis_words(planned)
    said = []
    for axis, values in planned.items():
        there = {place[axis] for place in places if axis in place}
        gone = [as_typed(value) for value in values if value not in there]
        if there and gone and question_of(axis) == question:
            verb = "is" if len(gone) == 1 else "are"
            said.append(
                f"Of {words[axis]}, {', '.join(gone)} {verb} missing: no setting with it "
                "can be compared."
            )
    return said


def _not_compared(question: Question, findings: Findings) -> str:
    setting = findings.settings[0].setting
    config = setting.cells[0].config
    fixed: dict[str, AxisValue] = {
        "model.depth": config.model.depth,
        "optim": config.optim.name,
        "optim.lr_times": config.optim.lr_times,
        "data.batch_size": config.data.batch_size,
        EPOCHS: setting.epochs,
        **place_of(setting),
    }
    words = axis_words(fixed)
    told = ", ".join(f"{words[key]} {as_typed(fixed[key])}" for key in _HEAD[question])
    return f"Not compared: every setting has {told}."


def compared(findings: Findings) -> Iterable[Question]:
    """Questions of which something was compared."""
    return (each for each in QUESTIONS if effects_on(each, findings, "kappa"))
