"""The three questions of the study, and which axes answer each."""

from collections.abc import Iterable
from typing import Literal, get_args

from djd.comparison.cells import AxisValue, as_typed, short_names
from djd.comparison.findings.axis_effects import EPOCHS, AxisEffect, place_of
from djd.comparison.findings.out_of_fold import Findings
from djd.comparison.findings.sentences import effect_sentence

Question = Literal["hyperparameters", "depth", "optimizer"]
QUESTIONS: tuple[Question, ...] = get_args(Question)

_HEAD = {
    "hyperparameters": ("optim.lr_times", "data.batch_size", EPOCHS),
    "depth": ("model.depth",),
    "optimizer": ("optim",),
}
"""What each question is about, where nothing of it was compared."""


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


def question_sentences(question: Question, findings: Findings) -> list[str]:
    """What was found on a question: on kappa, then on accuracy; or that nothing was compared."""
    on_kappa = effects_on(question, findings, "kappa")
    if not on_kappa:
        return [_not_compared(question, findings)]
    on_accuracy = effects_on(question, findings, "accuracy")
    return [
        f"{_capital(effect_sentence(kappa))}. "
        f"On accuracy: {effect_sentence(accuracy, named=False)}."
        for kappa, accuracy in zip(on_kappa, on_accuracy, strict=True)
    ]


def _not_compared(question: Question, findings: Findings) -> str:
    setting = findings.settings[0].setting
    config = setting.cells[0].planned.cell.config
    fixed: dict[str, AxisValue] = {
        "model.depth": config.model.depth,
        "optim": config.optim.name,
        "optim.lr_times": config.optim.lr_times,
        "data.batch_size": config.data.batch_size,
        EPOCHS: setting.epochs,
        **place_of(setting),
    }
    names = short_names(fixed)
    told = ", ".join(f"{names[key]} {as_typed(fixed[key])}" for key in _HEAD[question])
    return f"Not compared: every setting has {told}."


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def compared(findings: Findings) -> Iterable[Question]:
    """Questions of which something was compared."""
    return (each for each in QUESTIONS if effects_on(each, findings, "kappa"))
