"""The three questions: each axis answers one of them, and what wasn't compared is said to be so."""

from dataclasses import replace
from pathlib import Path

import pytest

from djd.report.axes import QUESTIONS
from djd.report.findings import Findings
from djd.report.headline import compared, effects_on, question_of, question_sentences
from djd.report.sentences import effect_sentence
from tests.sweeps.invented_answers import tell
from tests.sweeps.invented_cells import leave_comparison


@pytest.mark.parametrize(
    ("axis", "question"),
    [
        ("model", "depth"),
        ("model.depth", "depth"),
        ("model.width", "depth"),
        ("optim", "optimizer"),
        ("optim.lr_times", "hyperparameters"),
        ("optim.momentum", "hyperparameters"),
        ("data.batch_size", "hyperparameters"),
        ("data.views", "hyperparameters"),
        ("loss", "hyperparameters"),
        ("augment", "hyperparameters"),
        ("epochs", "hyperparameters"),
    ],
)
def test_every_axis_answers_one_question(axis: str, question: str) -> None:
    assert question_of(axis) == question


def test_each_effect_is_told_once_under_its_question(findings: Findings) -> None:
    for score in ("kappa", "accuracy", "rps"):
        told = [each for question in QUESTIONS for each in effects_on(question, findings, score)]
        assert {id(each) for each in told} == {
            id(each) for each in findings.effects if each.score == score
        }
        assert [each.axis for each in told] == ["epochs", "model.depth", "optim"]
    assert list(compared(findings)) == ["hyperparameters", "depth", "optimizer"]


def test_all_scores_are_told_and_never_swapped(findings: Findings) -> None:
    effects = {(each.axis, each.score): each for each in findings.effects}
    (sentence,) = question_sentences("depth", findings, {})
    kappa, accuracy, rps = (
        effect_sentence(effects["model.depth", score], named=False)
        for score in ("kappa", "accuracy", "rps")
    )
    assert sentence == (
        f"Depth: {kappa}. On accuracy: {accuracy}. "
        f"On the ranked probability score (smaller is better): {rps}."
    )
    assert sentence.startswith("Depth: on average over the grid 2 is better than 1 by ")
    assert len({kappa, accuracy, rps}) == 3


def test_what_was_not_compared_is_said_with_its_value(findings: Findings) -> None:
    nothing = replace(findings, effects=())
    assert list(compared(nothing)) == []
    best = findings.settings[0].setting
    optim = best.axes["optim"]
    assert question_sentences("depth", nothing, {}) == ["Not compared: every setting has depth 2."]
    assert question_sentences("optimizer", nothing, {}) == [
        f"Not compared: every setting has optimizer {optim}."
    ]
    assert question_sentences("hyperparameters", nothing, {}) == [
        "Not compared: every setting has learning rate factor 1, batch size 32, epochs "
        f"{best.epochs}."
    ]


def test_levels_that_never_met_are_not_compared_in_words_either(findings: Findings) -> None:
    def unmet(axis: str) -> Findings:
        effects = [
            replace(each, mean=None, best=None, matched=0) if each.axis == axis else each
            for each in findings.effects
        ]
        return replace(findings, effects=tuple(effects))

    (sentence,) = question_sentences("depth", unmet("model.depth"), {})
    assert sentence.startswith("Depth: can't be compared yet; no combination of the other axes was")
    assert "is better than" not in sentence


def test_two_axes_of_one_question_have_a_sentence_each(tmp_path: Path) -> None:
    axes = {"data.batch_size": (16, 32), "optim.lr_times": (0.1, 1.0), "data.fold": (0,)}
    leave_comparison(tmp_path, axes)
    findings = tell(tmp_path)[1].findings
    assert findings
    said = question_sentences("hyperparameters", findings, {})
    assert [each.partition(":")[0] for each in said] == [
        "Batch size",
        "Learning rate factor",
        "Epochs",
    ]
    assert list(compared(findings)) == ["hyperparameters"]


def test_values_that_are_missing_are_said_and_not_called_uncompared(findings: Findings) -> None:
    asked = {"model.depth": (1, 2, 3), "optim": ("adam", "sgd")}
    *_, missing = question_sentences("depth", findings, asked)
    assert missing == "Of depth, 3 is missing: no setting with it can be compared."
    alone = replace(findings, effects=())
    assert question_sentences("depth", alone, asked) == [missing]
    assert len(question_sentences("optimizer", findings, asked)) == 1
