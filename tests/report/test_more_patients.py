"""Would more patients help? The curve over `data.share`, and what is said of it."""

import json
import re
from pathlib import Path

import pytest

from djd.report.findings import Findings
from djd.report.more_patients import learning_curve, more_patients_sentences
from djd.report.page.plots import plots
from djd.report.sentences import sentences
from djd.runs.config import RunConfig
from tests.plots.drawn import texts
from tests.report.test_findings import answer_of
from tests.sweeps.invented_cells import leave_comparison

SHARES = (0.25, 0.5, 1.0)


def leave(folder: Path, *skills: float, shares: tuple[float, ...] = SHARES) -> None:
    """A comparison of shares, each with its skill, and 80 training patients at the most."""

    def skill(config: RunConfig, epoch: int) -> float:
        return skills[shares.index(config.data.share)]

    for cell in leave_comparison(folder, {"data.share": shares}, skill=skill):
        names = [f"p{number}" for number in range(round(80 * cell.config.data.share))]
        split = {"parts": {"train": {"patients": names, "knees_per_grade": [1] * 5}}}
        (cell.folder / "split.json").write_text(json.dumps(split), encoding="utf-8")


def findings_of(folder: Path) -> Findings:
    findings = answer_of(folder).findings
    assert findings
    return findings


@pytest.mark.parametrize(
    ("skills", "said"),
    [
        ((0.1, 0.1, 0.95), r"rose by 0\.\d\d \(0\.\d\d to .*\): more patients would probably help"),
        ((0.5, 0.5, 0.5), r": it isn't clear that more patients would help"),
        ((0.9, 0.9, 0.1), r"fell by .*: more patients are not what is lacking"),
    ],
)
def test_the_last_patients_are_judged_with_their_interval(
    tmp_path: Path, skills: tuple[float, ...], said: str
) -> None:
    leave(tmp_path, *skills)
    answer = answer_of(tmp_path)
    assert answer.findings
    (sentence,) = more_patients_sentences(answer.findings)
    assert sentence.startswith("From 40 to 80 training patients kappa ")
    assert re.search(said, sentence), sentence
    assert sentence in sentences(answer)
    curve = learning_curve(answer.findings)
    assert curve
    assert curve.patients == (20, 40, 80)
    best = {
        share: max(
            each.scores["kappa"].value
            for each in answer.findings.settings
            if each.setting.axes["data.share"] == share
        )
        for share in SHARES
    }
    assert curve.kappas.scores.tolist() == pytest.approx(list(best.values()))
    figure, alt, *_ = plots(answer, stamp=None)["training-patients"]
    assert f"80: {best[1.0]:.2f}" in alt
    assert {f"{kappa:.2f}" for kappa in best.values()} <= set(texts(figure))


@pytest.mark.slow
def test_two_shares_or_unknown_patients_make_no_curve(tmp_path: Path) -> None:
    two, unknown = tmp_path / "two", tmp_path / "unknown"
    leave(two, 0.3, 0.6, shares=(0.5, 1.0))
    leave(unknown, 0.3, 0.4, 0.5)
    for path in unknown.rglob("split.json"):
        path.write_text("{}", encoding="utf-8")
    for folder in (two, unknown):
        assert learning_curve(findings_of(folder)) is None
        assert more_patients_sentences(findings_of(folder)) == []
        assert "training-patients" not in plots(answer_of(folder), stamp=None)
