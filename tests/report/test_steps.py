"""Recipes step by step, on invented cells."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from djd.report.answer import Answer
from djd.report.page.plots import plots
from djd.report.page.rows import steps_page_table
from djd.report.ranking import terminal_tables
from djd.report.sentences import sentences
from djd.report.tables import write_tables
from djd.runs.config import RunConfig
from djd.runs.keys import AxisValue
from djd.statistics.metrics import quadratic_kappa, ranked_probability_score
from tests.plots.drawn import texts
from tests.sweeps.invented_answers import tell
from tests.sweeps.invented_cells import leave_comparison

SKILLS = {"study": 0.2, "pooled": 0.8, "augmented": 0.8, "best": 0.7}

OTHERS: tuple[dict[str, tuple[AxisValue, ...]], ...] = (
    {"model.depth": (1, 2)},
    {"recipe": ("study",)},
)


def skill(config: RunConfig, epoch: int) -> float:
    return SKILLS[str(config.choices["recipe"])] if epoch > 50 else 0.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ladder")
    leave_comparison(folder, {"recipe": tuple(SKILLS)}, skill=skill)
    return folder


@pytest.fixture(scope="module")
def answer(folder: Path) -> Answer:
    return tell(folder, uptake=0.4)[1]


def test_steps_stand_in_the_order_of_the_command_line_at_their_last_epochs(answer: Answer) -> None:
    findings = answer.findings
    assert findings
    assert [each.name for each in findings.steps] == list(SKILLS)
    for step in findings.steps:
        (place,) = (
            place
            for place, each in enumerate(findings.settings)
            if (each.setting.axes["recipe"], each.setting.epochs) == (step.name, 100)
        )
        held_out = findings.evidence.held_out[place]
        assert step.kappa.value == pytest.approx(float(quadratic_kappa(held_out.confusion())))
        losses = ranked_probability_score(held_out.grades, held_out.probabilities)
        assert step.rps.value == pytest.approx(losses.mean())
        assert step.kappa.low < step.kappa.value < step.kappa.high
        assert step.rps.low < step.rps.value < step.rps.high
        assert step.seconds == 1.0  # of every invented cell


def test_a_gain_is_over_the_step_before_and_only_a_real_one_is_found(answer: Answer) -> None:
    assert answer.findings
    first, *others = answer.findings.steps
    assert (first.gain, first.gain_in_rps) == (None, None)
    for before, step in zip([first, *others], others, strict=False):
        assert step.gain
        assert step.gain_in_rps
        assert step.gain.value == pytest.approx(step.kappa.value - before.kappa.value)
        assert step.gain_in_rps.value == pytest.approx(before.rps.value - step.rps.value)
    assert [each.helped for each in answer.findings.steps] == [False, True, False, False]
    assert not any(each.hurt for each in answer.findings.steps)


def test_the_interval_of_a_gain_is_that_of_patients_drawn_by_hand(answer: Answer) -> None:
    findings = answer.findings
    assert findings
    of_name = {
        (each.setting.axes["recipe"], each.setting.epochs): held_out
        for each, held_out in zip(findings.settings, findings.evidence.held_out, strict=True)
    }
    before, after = of_name["study", 100], of_name["pooled", 100]
    generator = np.random.default_rng(3)
    gains = []
    for _ in range(1500):
        times = np.bincount(generator.integers(0, before.patients, before.patients), minlength=36)
        knees = np.repeat(np.arange(len(before.grades)), times[before.patient])
        means = [
            ranked_probability_score(each.grades[knees], each.probabilities[knees]).mean()
            for each in (before, after)
        ]
        gains.append(means[0] - means[1])
    low, high = np.quantile(gains, [0.02, 0.98])  # the tail that 36 patients need
    gain = findings.steps[1].gain_in_rps
    assert gain
    assert gain.low == pytest.approx(low, abs=0.01)
    assert gain.high == pytest.approx(high, abs=0.01)


def test_terminal_page_plot_and_table_say_what_helped(folder: Path, answer: Answer) -> None:
    contents, _ = tell(folder)
    assert answer.findings
    gain = f"{answer.findings.steps[1].gain.value:.2f}" if answer.findings.steps[1].gain else ""
    said = " ".join(sentences(answer))
    assert f"Step by step, by kappa: pooled by {gain} (" in said
    assert "; augmented and best can't be told apart from no gain" in said
    table = steps_page_table(answer)
    assert table
    assert [row.cells[0] for row in table.rows] == list(SKILLS)
    assert any("seconds a training" in each for each in terminal_tables(answer))
    plot = plots(answer, stamp="PHANTOM")["steps"]
    assert {"PHANTOM", *SKILLS} <= set(texts(plot.figure))
    assert any(text.startswith(f"+{gain} (") for text in texts(plot.figure))
    write_tables(contents, answer)
    with (folder / "steps.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == list(SKILLS)
    assert rows[0]["gain"] == ""
    assert float(rows[1]["gain"]) == pytest.approx(float(gain), abs=0.005)
    write_tables(contents, replace(answer, findings=replace(answer.findings, steps=())))
    assert not (folder / "steps.csv").exists()


def test_steps_are_means_over_what_all_recipes_have(tmp_path: Path) -> None:
    axes: dict[str, tuple[AxisValue, ...]] = {
        "recipe": ("study", "pooled"),
        "model.depth": (1, 2),
    }
    leave_comparison(tmp_path, axes, skill=skill, untrained={"recipe=pooled depth=2 fold=1"})
    findings = tell(tmp_path)[1].findings
    assert findings
    kept = {
        each.setting.axes["recipe"]: each.scores["kappa"].value
        for each in findings.settings
        if (each.setting.axes["model.depth"], each.setting.epochs) == (1, 100)
    }
    for step in findings.steps:
        assert step.kappa.value == pytest.approx(kept[step.name])


def test_without_recipes_or_with_one_there_are_no_steps(tmp_path: Path) -> None:
    for number, axes in enumerate(OTHERS):
        folder = tmp_path / str(number)
        leave_comparison(folder, axes)
        findings = tell(folder)[1].findings
        assert findings
        assert findings.steps == ()
