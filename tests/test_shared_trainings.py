"""Settings that differ in their decision, from the command line to the winner's files."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from djd import load_model
from djd.runs.predictions import read_predictions
from djd.statistics.deciding import decided
from tests.conftest import Compose
from tests.sweeping import rows_of, run_train, sweep_arguments

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_timing")]

REPEATS = ("seed=0,1", "data.fold=0,1,2", "score_epochs=[]")


def trained(folder: Path) -> dict[str, float]:
    return {each.parent.name: each.stat().st_mtime for each in folder.glob("*/result.json")}


def test_rules_and_members_as_axes_train_nothing_again(
    tiny: Compose,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    cache, folder = Path(tiny()["paths"]["cache"]), tmp_path / "sweep"
    first = sweep_arguments(cache, folder, "decide=likeliest", *REPEATS)
    assert run_train(monkeypatch, *first) == 0
    cells = trained(folder)
    assert len(cells) == 6
    axes = ("decide=likeliest,median,shares", "members=1,2")
    more = sweep_arguments(cache, folder, *axes, *REPEATS, "report=true", "calibrate=temperature")
    assert run_train(monkeypatch, *more) == 0
    assert trained(folder) == cells
    said = capfd.readouterr().out
    assert "6 settings in 6 cells" in said
    assert "6 cells done, 0 to do" in said
    settings = [row for row in rows_of(folder / "settings.csv") if row["rank"]]
    assert {(row["decide"], row["members"], row["repeats"]) for row in settings} == {
        (rule, members, repeats)
        for rule in ("likeliest", "median", "shares")
        for members, repeats in (("1", "2"), ("2", "1"))
    }
    assert len(rows_of(folder / "cells.csv")) == 6
    assert (folder / "figures" / "reliability-before.png").exists()
    assert "A temperature, fitted on the other folds" in (folder / "report.html").read_text()


def test_the_folds_networks_grade_the_test_patients_together(
    tiny: Compose,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    cache, folder = Path(tiny()["paths"]["cache"]), tmp_path / "sweep"
    axes = ("data.fold=0,1,2", "score_epochs=[]", "winner=folds", "decide=shares")
    assert run_train(monkeypatch, *sweep_arguments(cache, folder, *axes)) == 0
    (winner,) = folder.glob("winner/*")
    result = json.loads((winner / "result.json").read_text())
    assert result["fit_seconds"] == 0
    networks = load_model(folder).models[0].content.weights
    assert len(networks) == 3
    for fold, weights in enumerate(networks):
        kept = folder / f"fold={fold}" / "checkpoints" / "epoch=002.ckpt"
        before = torch.load(kept, weights_only=True)["state_dict"]
        assert all(torch.equal(value, weights[key]) for key, value in before.items())
    knees = read_predictions(winner / "predictions.csv")["2"]
    cuts = result["config"]["fitted"]["cuts"]["2"]
    assert knees.predicted.tolist() == decided(knees.probabilities, "shares", cuts).tolist()
    np.testing.assert_allclose(knees.probabilities.sum(axis=1), 1, atol=1e-7)
    assert len((folder / "test_openings.jsonl").read_text().splitlines()) == 1
    for path in folder.glob("*/checkpoints/*.ckpt"):
        path.unlink()
    again = sweep_arguments(cache, folder, *axes[:-1], "decide=median")
    capfd.readouterr()
    assert run_train(monkeypatch, *again) == 1
    assert "expected the weights of a fold's network" in capfd.readouterr().out
    assert len((folder / "test_openings.jsonl").read_text().splitlines()) == 1
