"""Where grades have nothing to do with the images, nothing may be found in them."""

from pathlib import Path

import pytest

from tests.ordinary_user import link
from tests.sweeping import rows_of, run_train


def compare(
    null_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str
) -> Path:
    """The folder of a sweep on three folds of 80 patients whose grades say nothing."""
    scans, sweep = tmp_path / "scans", tmp_path / "sweep"
    scans.mkdir()
    for path in sorted(null_folder.glob("*.mat"))[:80]:
        link(scans / path.name, path)
    fixed = (
        "data=mat",
        f"data.root={scans}",
        "data.test_count=20",
        "data.folds=3",
        "data.fold=0,1,2",
        f"paths.cache={tmp_path / 'cache'}",
        f"hydra.sweep.dir={sweep}",
    )
    assert run_train(monkeypatch, "-m", *overrides, *fixed) == 0
    return sweep


@pytest.mark.slow
def test_a_comparison_trained_on_a_null_cohort_finds_no_winner(
    null_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    axes = ("model.depth=1,2", "optim=sgd,adam")
    fixed = ("recipe=none", "model.width=4", "trainer.max_epochs=20", "score_epochs=[10]")
    sweep = compare(null_folder, tmp_path, monkeypatch, *axes, *fixed)
    *settings, majority, uptake, features = rows_of(sweep / "settings.csv")
    assert len(settings) == 8
    assert {row["in_best_set"] for row in settings} == {"yes"}
    for best in (settings[0], uptake, features):
        assert float(best["kappa_low"]) < 0
    assert float(majority["kappa"]) == 0
    shown = capsys.readouterr().out
    assert "None of the 7 other settings can be told apart from the best" in shown
    for axis in ("depth", "optim", "epochs"):
        assert f"{axis}: no difference was found" in shown
    assert "beats uptake alone" not in shown


@pytest.mark.slow
def test_no_recipe_finds_anything_on_a_null_cohort(
    null_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    axes = ("recipe=coarse,pooled,augmented,views,best", "members=1,2", "seed=0,1")
    fixed = ("calibrate=temperature", "trainer.max_epochs=15", "score_epochs=[]", "plots=false")
    sweep = compare(null_folder, tmp_path, monkeypatch, *axes, *fixed)
    settings = [row for row in rows_of(sweep / "settings.csv") if row["rank"]]
    assert len(settings) == 10
    assert float(settings[0]["kappa_low"]) <= 0  # 0 where all guesses are the same
    assert "beats uptake alone" not in capsys.readouterr().out
