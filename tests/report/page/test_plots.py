"""Which figures a page has, what they are called, and what they say to who can't see them."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from djd.report.answer import Answer
from djd.report.page.plots import plots, read_metrics
from tests.plots.drawn import texts
from tests.report.page.conftest import DrawnPage
from tests.sweeps.invented_answers import leave_run, tell


def names(answer: Answer) -> set[str]:
    return set(plots(answer, stamp=None))


ALL = {
    "effects-hyperparameters",
    "effects-depth",
    "effects-optimizer",
    "ranking",
    "glance",
    "grades",
    "confusion-out-of-fold",
    "confusion-test",
    "confusion-settings",
    "reliability",
    "risk-coverage",
}


def test_everything_that_can_be_drawn_is_drawn_stamped_and_told(large: DrawnPage) -> None:
    drawn = large.drawn
    assert set(drawn) == ALL
    for each in drawn.values():
        assert large.contents.stamp in texts(each.figure)
        assert each.alt.endswith(".")
        assert len(each.alt) > 30
        assert "nan" not in each.alt
    assert len({each.alt for each in drawn.values()}) == len(drawn)


def test_alternative_texts_have_the_figures_that_are_drawn(large: DrawnPage) -> None:
    drawn = large.drawn
    findings = large.answer.findings
    assert findings
    for part, name in (("out of fold", "confusion-out-of-fold"), ("test", "confusion-test")):
        counts = large.answer.parts[part].confusion
        right, knees = float(np.trace(counts)), float(counts.sum())
        assert drawn[name].alt == (
            f"Confusion matrix, {part}: {100 * right / knees:.0f} % of {knees:.0f} knees graded "
            "right."
        )
    (depth,) = [
        each for each in findings.effects if (each.axis, each.score) == ("model.depth", "kappa")
    ]
    assert depth.mean
    assert depth.best
    for level, mean, best in zip((1, 2), depth.mean.scores, depth.best.scores, strict=True):
        told = f"depth {level}: mean {mean:.2f}, best {best:.2f}"
        assert told in drawn["effects-depth"].alt
    half = large.answer.risks["rps"]["uptake"].half.value
    assert f"score of the uptake {half:.3f} on the surest half" in drawn["risk-coverage"].alt
    assert "the best 30 of 108 settings" in drawn["ranking"].alt
    assert "the best 36 of 108 settings" in drawn["confusion-settings"].alt


def test_the_ranking_shows_the_best_and_whom_they_are_held_against(large: DrawnPage) -> None:
    ranking = large.drawn["ranking"]
    words = " ".join(texts(ranking.figure))
    for label in ("1. depth=2", "30. depth=", "uptake", "second reader"):
        assert label in words, label
    assert "31. depth=" not in words


def test_what_is_not_known_is_not_drawn(answer: Answer) -> None:
    assert answer.findings
    closed = replace(answer, tested=None)
    assert closed.parts.keys() == {"out of fold"}
    nothing = replace(answer, findings=None, tested=None, risks={})
    assert plots(nothing, stamp=None) == {}
    unheld = replace(answer, findings=None, risks={})
    assert names(unheld) == {"glance", "grades", "confusion-test"}


def test_effects_that_no_grid_supports_are_left_out(answer: Answer) -> None:
    assert answer.findings
    effects = [
        replace(each, mean=None, best=None) if each.axis == "optim" else each
        for each in answer.findings.effects
        if each.axis != "model.depth"
    ]
    few = replace(answer.findings, effects=tuple(effects))
    expected = ALL - {"effects-depth", "effects-optimizer", "confusion-test"}
    assert names(replace(answer, findings=few, tested=None)) == expected


ALONE = {"glance", "grades", "confusion-out-of-fold", "reliability", "risk-coverage"}
METRICS = "epoch,train_loss,validation_loss,validation_kappa,stamp\n"


def run_answer(folder: Path, **skills: float) -> Answer:
    leave_run(folder, score_epochs=(), **skills)
    return tell(folder)[1]


def test_a_single_setting_is_held_against_nobody(tmp_path: Path) -> None:
    answer = run_answer(tmp_path)
    assert names(answer) == ALONE
    assert "ranking" in names(tell(tmp_path, uptake=0.4)[1])


def test_learning_curves_are_drawn_where_they_were_kept(tmp_path: Path) -> None:
    answer = run_answer(tmp_path)
    rows = [f"{epoch},1.5,,0.{epoch},PHANTOM" for epoch in (1, 2, 3)]
    (tmp_path / "metrics.csv").write_text(METRICS + "\n".join(rows), encoding="utf-8")
    (curves,) = [
        each for name, each in plots(answer, stamp="PHANTOM").items() if name.startswith("learning")
    ]
    assert re.search(r"of the 1 trainings? of the best setting", curves.alt)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"epoch\n",
        METRICS.encode(),
        b"loss\n1\n",
        METRICS.encode() + b"1,a,b,c,d\n",
        METRICS.encode() + b"1,2,3,4,5,6,7\n",
        METRICS.encode() + b"1,2,\x00,4,5\n",
        METRICS.encode() + b"900,1,1,1,\n",
        None,
    ],
)
def test_damaged_metrics_cost_the_curves_alone(tmp_path: Path, content: bytes | None) -> None:
    answer = run_answer(tmp_path)
    if content is None:
        (tmp_path / "metrics.csv").mkdir()
    else:
        (tmp_path / "metrics.csv").write_bytes(content)
    assert read_metrics(tmp_path / "metrics.csv", last=100) == {}
    assert names(answer) == ALONE


def test_a_line_that_was_cut_costs_its_missing_figures_alone(tmp_path: Path) -> None:
    answer = run_answer(tmp_path)
    (tmp_path / "metrics.csv").write_text(METRICS + "1,2,2,0.5,P\n2,1", encoding="utf-8")
    read = read_metrics(tmp_path / "metrics.csv", last=100)
    assert read["train_loss"] == [2, 1]
    assert np.isnan(read["validation_kappa"][1])
    assert "learning-curves" in names(answer)


def test_metrics_are_read_up_to_the_epoch_that_is_scored(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(METRICS + "1,2,,0.5,P\n2,1,3,0.25,P\n3,0,0,0,P\n", encoding="utf-8")
    read = read_metrics(path, last=2)
    assert set(read) == {"epoch", "train_loss", "validation_loss", "validation_kappa"}
    assert read["epoch"] == [1, 2]
    assert read["validation_kappa"] == [0.5, 0.25]
    assert np.isnan(read["validation_loss"][0])
