"""The sentences at the top: each case says what it may say, and no more."""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from djd.report.answer import Answer
from djd.report.findings import Findings
from djd.report.headline import (
    NOTHING_HELD_OUT,
    headline,
    in_words,
    question_sentences,
    who_decided,
)
from djd.report.scores import GraderScores
from djd.runs.config import read_config
from djd.runs.keys import AxisValue
from djd.statistics.intervals import Estimate
from djd.sweeps.setting_scores import Setting
from tests.sweeps.invented_answers import tell
from tests.sweeps.invented_cells import leave_comparison


def findings_of(answer: Answer) -> Findings:
    assert answer.findings
    return answer.findings


Scores = TypeVar("Scores", bound=GraderScores)


def with_kappa(grader: Scores, value: float, low: float, high: float) -> Scores:
    return replace(grader, scores={**grader.scores, "kappa": Estimate(value, low, high)})


def told_of(
    answer: Answer,
    *,
    ties: int,
    others: int,
    kappa: tuple[float, float, float] = (0.62, 0.45, 0.74),
) -> list[str]:
    """The headline where so many of the others can't be told apart from the best."""
    findings = findings_of(answer)
    settings = [
        replace(each, in_best_set=rank <= ties)
        for rank, each in enumerate(findings.settings[: others + 1])
    ]
    settings[0] = with_kappa(settings[0], *kappa)
    return headline(replace(answer, findings=replace(findings, settings=tuple(settings))))


@pytest.mark.parametrize(
    ("ties", "others", "verb", "end"),
    [
        (0, 3, "grades best: kappa", "; all 3 other settings are worse."),
        (
            2,
            3,
            "has the highest kappa:",
            "; 2 of the 3 other settings can't be told apart from it.",
        ),
        (1, 3, "grades best: kappa", "; 1 of the 3 other settings can't be told apart from it."),
        (
            3,
            3,
            "has the highest kappa:",
            "; none of the 3 other settings can be told apart from it.",
        ),
        (0, 1, "grades best: kappa", "; the other setting is worse."),
        (1, 1, "has the highest kappa:", "; the other setting can't be told apart from it."),
        (0, 0, "reaches kappa", "."),
    ],
)
def test_the_first_sentence_says_how_surely_the_best_is_the_best(
    answer: Answer, ties: int, others: int, verb: str, end: str
) -> None:
    first = told_of(answer, ties=ties, others=others)[0]
    words, kappa, rest = first.partition(" 0.62 (0.45 to 0.74) out of fold")
    assert kappa
    assert re.fullmatch(rf"Depth 2 with \w+ at \S+ for \d+ epochs {verb}", words)
    assert re.fullmatch(rf", 0\.\d\d \(\S+ to \S+\) on the 20 test patients{re.escape(end)}", rest)


def test_where_some_can_not_be_told_apart_the_best_is_not_called_better(answer: Answer) -> None:
    for ties in (1, 3):
        said = " ".join(told_of(answer, ties=ties, others=3))
        assert "worse" not in said
        assert "can" in said
    assert "grades best" not in " ".join(told_of(answer, ties=3, others=3))


def test_test_scores_that_are_absent_or_of_another_setting_are_not_said(answer: Answer) -> None:
    for opened in (None, answer.tested and replace(answer.tested, settings={})):
        closed = replace(answer, tested=opened)
        assert "test patients" not in " ".join(headline(closed))
    assert answer.tested
    others = {"depth=1 epochs=25": next(iter(answer.tested.settings.values()))}
    earlier = replace(answer, tested=replace(answer.tested, settings=others))
    assert "test patients" not in " ".join(headline(earlier))
    assert "on the 20 test patients" in headline(answer)[0]


@pytest.mark.parametrize(
    ("difference", "words"),
    [
        (Estimate(0.2, 0.05, 0.31), "It beats uptake alone by 0.20 (0.05 to 0.31), "),
        (
            Estimate(-0.2, -0.31, -0.05),
            "It is behind uptake alone by 0.20 (0.05 to 0.31), ",
        ),
        (
            Estimate(0.2, -0.01, 0.31),
            "It can't be told apart from uptake alone (difference 0.20, 95 % interval -0.01 to "
            "0.31), ",
        ),
        (
            Estimate(0.2),
            "It can't be told apart from uptake alone (difference 0.20), ",
        ),
    ],
)
def test_uptake_is_told_beside_its_own_kappa(
    answer: Answer, difference: Estimate, words: str
) -> None:
    findings = findings_of(answer)
    baselines = {"uptake": with_kappa(findings.baselines["uptake"], 0.4, 0.2, 0.6)}
    changed = replace(findings, baselines=baselines, beyond={"uptake": difference})
    assert headline(replace(answer, findings=changed))[1] == (
        f"{words}whose kappa is 0.40 (0.20 to 0.60)."
    )


def test_without_uptake_nothing_is_said_of_it(answer: Answer) -> None:
    findings = findings_of(answer)
    majority = {"majority": findings.baselines["uptake"]}
    for baselines in ({}, majority):
        changed = replace(answer, findings=replace(findings, baselines=baselines, beyond={}))
        assert "uptake" not in " ".join(headline(changed))


@pytest.mark.parametrize(
    ("kappa", "guesses"),
    [
        ((0.2, -0.1, 0.4), True),
        ((0.2, 0.0, 0.4), True),
        ((0.2, 0.01, 0.4), False),
        ((1.0, math.nan, math.nan), False),
    ],
)
def test_a_kappa_whose_interval_holds_nought_is_called_guessing(
    answer: Answer, kappa: tuple[float, float, float], guesses: bool
) -> None:
    sentence = "It can't be told apart from guessing: the interval of its kappa holds 0."
    assert (sentence in told_of(answer, ties=0, others=3, kappa=kappa)) == guesses


def test_an_undefined_kappa_is_never_written_as_nan(answer: Answer) -> None:
    undefined = (math.nan, math.nan, math.nan)
    said = " ".join(told_of(answer, ties=0, others=0, kappa=undefined))
    assert "nan" not in said


def test_few_patients_decide_where_not_all_folds_were_held_out(answer: Answer) -> None:
    findings = findings_of(answer)
    assert who_decided(findings) == []
    best = findings.settings[0]
    cells = [cell for cell in best.setting.cells if cell.config.data.fold in (0, 2)]
    few = replace(best, setting=replace(best.setting, cells=tuple(cells)))
    evidence = replace(findings.evidence, patients=findings.evidence.patients[:33])
    changed = replace(findings, settings=(few,), evidence=evidence)
    assert headline(replace(answer, findings=changed))[-1] == (
        "Only 33 patients decided, 2 of 3 folds: data.fold=0,1,2 in the command lets all "
        "development patients decide."
    )


def test_repeats_of_the_same_fold_are_one_fold(answer: Answer) -> None:
    findings = findings_of(answer)
    best = findings.settings[0]
    cells = (*[best.setting.cells[0]] * 3,)
    changed = replace(
        findings, settings=(replace(best, setting=replace(best.setting, cells=cells)),)
    )
    assert "1 of 3 folds" in who_decided(changed)[0]


def test_nothing_finished_is_the_whole_headline(answer: Answer) -> None:
    assert headline(replace(answer, findings=None, tested=None)) == [
        "Nothing finished: no setting has graded the held-out knees of all its folds."
    ]


def test_where_nothing_was_held_out_the_test_patients_speak_alone(answer: Answer) -> None:
    unheld = replace(answer, findings=None, notes=(NOTHING_HELD_OUT,))
    said = " ".join(headline(unheld))
    assert answer.tested
    name, figures = next(iter(answer.tested.settings.items()))
    kappa, low, high = figures.scores["kappa"]
    assert said.startswith("Nothing was held out")
    assert name in said
    assert f"kappa {kappa:.2f} ({low:.2f} to {high:.2f}) on the 20 test patients" in said
    assert "out of fold" not in said
    assert "best" not in said
    assert "finished" not in said
    assert headline(replace(unheld, tested=None)) == [f"{NOTHING_HELD_OUT}."]


def test_an_earlier_winner_of_an_unfinished_sweep_is_not_told_as_nothing_held_out(
    answer: Answer,
) -> None:
    first, second = headline(replace(answer, findings=None))
    assert first.startswith("Nothing finished: ")
    assert "data.fold=null" not in first
    assert second.endswith(" on the 20 test patients.")


def test_a_headline_has_four_sentences_at_most(answer: Answer) -> None:
    findings = findings_of(answer)
    best = findings.settings[0]
    few = replace(best, setting=replace(best.setting, cells=best.setting.cells[:1]))
    guessing = with_kappa(few, 0.1, -0.1, 0.3)
    changed = replace(findings, settings=(guessing, *findings.settings[1:]))
    assert len(headline(replace(answer, findings=changed))) == 4


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("adam", "Adam"),
        ("sgd", "SGD"),
        ("momentum", "SGD with momentum"),
        ("adagrad", "Adagrad"),
        ("lion", "lion"),
    ],
)
def test_a_setting_is_said_as_one_says_it(answer: Answer, name: str, called: str) -> None:
    setting = findings_of(answer).settings[0].setting
    first = setting.cells[0]
    config = first.config
    optim = config.optim.model_copy(update={"name": name, "lr": 0.001, "lr_times": 10})
    data = config.data.model_copy(update={"batch_size": 16})
    config = config.model_copy(update={"optim": optim, "data": data})
    cells = (replace(first, config=config),)
    axes: dict[str, AxisValue] = {"model.depth": 2, "optim": name, "optim.lr_times": 10}
    told = replace(setting, cells=cells, axes=axes, epochs=1)
    assert in_words(told) == f"Depth 2 with {called} at 0.01 for 1 epoch"
    more = {**axes, "data.batch_size": 16, "model.width": 8, "data.mirror_left": True}
    assert in_words(replace(told, axes=more)) == (
        f"Depth 2 with {called} at 0.01 for 1 epoch, batch size 16, width 8, mirror_left true"
    )


def without_depth(setting: Setting) -> Setting:
    """The same of a network that somebody brought, and that has no depth."""
    cell = setting.cells[0]
    values = cell.config.plain()
    values["model"], values["choices"]["model"] = {"_target_": "mine.Network"}, "mine"
    axes = {key: value for key, value in setting.axes.items() if key != "model.depth"}
    return replace(setting, axes=axes, cells=(replace(cell, config=read_config(values)),))


def test_a_network_without_a_depth_goes_by_its_name(answer: Answer) -> None:
    findings = findings_of(answer)
    best = findings.settings[0]
    mine = without_depth(best.setting)
    assert re.match(r"Network mine with \w+ at 0\.01 for 100 epochs", in_words(mine))
    alone = replace(findings, settings=(replace(best, setting=mine),), effects=())
    assert question_sentences("depth", alone, {}) == [
        "Not compared: every setting has network mine."
    ]
    assert headline(replace(answer, findings=alone))[0].startswith("Network mine with ")


def test_networks_that_were_compared_are_said_by_name_and_usual_options_are_not(
    answer: Answer,
) -> None:
    setting = findings_of(answer).settings[0].setting
    axes: dict[str, AxisValue] = {"model": "cnn", "model.depth": 2, "loss": "cross_entropy"}
    best, mine = replace(setting, axes=axes), replace(setting, axes={**axes, "model": "mine"})
    other_loss = replace(setting, axes={**axes, "loss": "mine"})
    assert in_words(best).startswith("Depth 2 with ")
    assert in_words(best, [best, mine]).startswith("Network cnn (depth 2) with ")
    assert "loss" not in in_words(best, [best, mine])
    assert in_words(best, [best, other_loss]).endswith(", loss cross_entropy")


def test_one_fold_of_invented_patients_says_how_few_they_are(tmp_path: Path) -> None:
    leave_comparison(tmp_path, {"model.depth": (1, 2), "data.fold": (1,)})
    _, answer = tell(tmp_path)
    assert headline(answer)[-1].startswith("Only 12 patients decided, 1 of 3 folds: ")
