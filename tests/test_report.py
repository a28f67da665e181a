"""The answer at a sweep's end, and `djd report`: tables that can be recomputed, broken folders."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    precision_score,
    recall_score,
    roc_auc_score,
)

from djd.errors import InputError
from djd.plots.style import figure_png
from djd.report import tables
from djd.report.tables import cell_rows
from djd.sweeps.sweep import read_folder
from tests.ordinary_user import as_ordinary_user, open_to_all, posix
from tests.sweeping import Sweep, rows_of
from tests.test_cli import run_djd

Rows = list[dict[str, str]]


@pytest.fixture
def copy(sweep: Sweep, tmp_path: Path) -> Path:
    """The finished comparison, to be broken."""
    folder = tmp_path / "sweep, (한글)"
    shutil.copytree(sweep.folder, folder)
    return folder


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures of few pixels: these tests are of tables and sentences."""
    monkeypatch.setattr(
        "djd.report.page.page.figure_png", lambda figure, width=None: figure_png(figure, width=60)
    )


def scores_by_hand(rows: Rows) -> dict[str, float]:
    truth, guess = ([int(row[column]) for row in rows] for column in ("grade", "predicted"))
    chances = np.array([[float(row[f"p{grade}"]) for grade in range(5)] for row in rows])
    sick = np.array(truth) > 0
    at_most = chances.cumsum(axis=1)[:, :4]
    return {
        "kappa": cohen_kappa_score(truth, guess, weights="quadratic", labels=range(5)),
        "accuracy": accuracy_score(truth, guess),
        "balanced_accuracy": balanced_accuracy_score(truth, guess),
        "recall_minimal": recall_score(truth, guess, labels=[1], average="macro"),
        "precision_normal": precision_score(
            truth, guess, labels=[0], average="macro", zero_division=np.nan
        ),
        "any_sensitivity": recall_score(sick, np.array(guess) > 0),
        "auroc_any": roc_auc_score(sick, 1 - chances[:, 0]),
        "brier": float(((chances - np.eye(5)[truth]) ** 2).sum(axis=1).mean()),
        "rps": float(((at_most - (np.arange(4) >= np.array(truth)[:, None])) ** 2).mean()),
    }


def require_scores(row: dict[str, str], expected: dict[str, float], before: str = "") -> None:
    for name, value in expected.items():
        told = row[f"{before}{name}"]
        if np.isnan(value):
            assert told == "", name
            continue
        assert float(told) == pytest.approx(value, abs=1e-5), name
        low, high = (row[f"{before}{name}_{end}"] for end in ("low", "high"))
        if low:
            assert float(low) - 1e-5 <= float(told) <= float(high) + 1e-5, name


def held_out(folder: Path, depth: str, epochs: str) -> Rows:
    return [
        row
        for fold in range(3)
        for row in rows_of(folder / f"depth={depth} fold={fold}" / "predictions.csv")
        if row["epoch"] == epochs
    ]


def test_every_setting_is_in_the_table_with_scores_that_can_be_recomputed(sweep: Sweep) -> None:
    *settings, majority, uptake, features = rows_of(sweep.folder / "settings.csv")
    assert [row["rank"] for row in settings] == ["1", "2", "3", "4"]
    assert {(row["depth"], row["epochs"]) for row in settings} == {
        (depth, epochs) for depth in "12" for epochs in "12"
    }
    for row in settings:
        rows = held_out(sweep.folder, row["depth"], row["epochs"])
        require_scores(row, scores_by_hand(rows))
        assert (row["knees"], row["stamp"]) == (
            str(len(rows)),
            "PHANTOM: invented scans, not patients",
        )
    for row, name in ((majority, "majority"), (uptake, "uptake"), (features, "features")):
        assert row["setting"].split(" ")[0] == name
        rows = rows_of(sweep.folder / "baselines" / name / "predictions.csv")
        require_scores(row, scores_by_hand(rows))


def test_baselines_are_held_against_the_very_knees_of_the_settings(sweep: Sweep) -> None:
    def knees(rows: Rows) -> set[tuple[str, ...]]:
        return {(row["scan"], row["side"], row["grade"], row["fold"]) for row in rows}

    for name in ("majority", "uptake", "features"):
        rows = rows_of(sweep.folder / "baselines" / name / "predictions.csv")
        assert knees(rows) == knees(held_out(sweep.folder, "1", "1"))
        assert len(rows) == len(knees(rows))


def test_the_test_patients_are_scored_for_winner_and_baselines_alone(sweep: Sweep) -> None:
    table = rows_of(sweep.folder / "settings.csv")
    (winner,) = (sweep.folder / "winner").iterdir()
    scored = {row["setting"]: row for row in table if row["test_kappa"]}
    assert next(iter(scored)) == winner.name
    assert [name.split(" ")[0] for name in scored][1:] == ["majority", "uptake", "features"]
    rows = rows_of(winner / "predictions.csv")
    require_scores(scored[winner.name], scores_by_hand(rows), before="test_")
    tested = rows_of(sweep.folder / "baselines" / "uptake" / "test_predictions.csv")
    require_scores(list(scored.values())[2], scores_by_hand(tested), before="test_")
    assert {row["scan"] for row in tested} == {row["scan"] for row in rows}


def test_every_cell_is_in_the_table_at_every_score_epoch(sweep: Sweep) -> None:
    table = rows_of(sweep.folder / "cells.csv")
    assert len(table) == 2 * 3 * 2
    for row in table:
        rows = [
            each
            for each in rows_of(sweep.folder / row["cell"] / "predictions.csv")
            if each["epoch"] == row["epoch"]
        ]
        assert row["state"] == "finished"
        require_scores(row, {name: scores_by_hand(rows)[name] for name in ("kappa", "accuracy")})


def test_of_very_many_cells_the_table_has_the_same_scores_without_intervals(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = read_folder(sweep.folder)
    whole = cell_rows(contents)
    monkeypatch.setattr(tables, "MOST_WITH_INTERVALS", len(whole) - 1)
    alone = cell_rows(contents)
    assert [list(row) for row in alone] == [list(row) for row in whole]
    for one, other in zip(whole, alone, strict=True):
        for column, value in one.items():
            assert other[column] == ("" if column.endswith(("_low", "_high")) else value)


def test_effects_are_the_means_and_the_bests_of_the_settings(sweep: Sweep) -> None:
    settings = rows_of(sweep.folder / "settings.csv")[:4]
    for row in rows_of(sweep.folder / "effects.csv"):
        column = row["axis"].rpartition(".")[2]
        values = [float(each[row["score"]]) for each in settings if each[column] == row["level"]]
        best = min(values) if row["score"] == "rps" else max(values)
        expected = np.mean(values) if row["judged_by"] == "mean" else best
        assert not row["value_low"] or float(row["value_low"]) <= float(row["value_high"])
        assert float(row["value"]) == pytest.approx(expected, abs=1e-5)
        assert row["matched_settings"] == "4"


@pytest.mark.slow
def test_report_writes_the_same_tables_again_and_says_the_same(
    sweep: Sweep,
    copy: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("settings.csv", "effects.csv", "cells.csv"):
        (copy / name).unlink()
    assert run_djd(monkeypatch, "report", copy) == 0
    shown = capsys.readouterr().out
    for name in ("settings.csv", "effects.csv", "cells.csv"):
        assert (copy / name).read_bytes() == (sweep.folder / name).read_bytes()
    (winner,) = (copy / "winner").iterdir()
    for words in ("uptake alone", f"Winner: {winner.name}", "PHANTOM", "Research use only"):
        assert words in shown


def drop_cell(folder: Path) -> None:
    shutil.rmtree(folder / "depth=2 fold=1")


def fail_cell(folder: Path) -> None:
    (folder / "depth=2 fold=1" / "result.json").unlink()
    (folder / "depth=2 fold=1" / "error.txt").write_text("ValueError: no\n", encoding="utf-8")


def cut_predictions(folder: Path) -> None:
    path = folder / "depth=2 fold=1" / "predictions.csv"
    path.write_bytes(path.read_bytes()[:300])


def swap_predictions(folder: Path) -> None:
    shutil.copy(
        folder / "depth=2 fold=0" / "predictions.csv", folder / "depth=2 fold=1" / "predictions.csv"
    )


def damage_result(folder: Path) -> None:
    (folder / "depth=2 fold=1" / "result.json").write_bytes(b"\xff")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "state"),
    [
        (drop_cell, "not trained"),
        (fail_cell, "failed"),
        (cut_predictions, "unusable"),
        (swap_predictions, "unusable"),
        (damage_result, "unusable"),
    ],
)
def test_a_broken_cell_costs_its_settings_alone(
    copy: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    state: str,
) -> None:
    damage(copy)
    assert run_djd(monkeypatch, "report", copy) == 0
    settings = [row for row in rows_of(copy / "settings.csv") if row["rank"]]
    assert {row["depth"] for row in settings} == {"1"}
    states = {row["cell"]: row["state"] for row in rows_of(copy / "cells.csv")}
    assert states.pop("depth=2 fold=1") == state
    assert set(states.values()) == {"finished"}
    assert "left out:" in capsys.readouterr().out


def change(name: str, old: str, new: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = next(iter(sorted(folder.glob(name))))
        text = path.read_text(encoding="utf-8")
        assert re.search(old, text)
        path.write_text(re.sub(old, new, text, count=1), encoding="utf-8")

    return damage


def make_folder(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (path,) = list(folder.glob(name))[:1]
        path.unlink()
        path.mkdir()

    return damage


CELL = "left out: depth=1 fold=0: its result.json is damaged, or of another training"
REFIT = "left out: winner/WINNER: not finished, or its result.json is damaged"
NOBODY = "None of the 3 other settings can be told apart from the best"
"""Said where all four settings can be compared."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (change("depth=1 fold=0/result.json", '"config": {', '"config": {"x": 1, "y": {'), CELL),
        (change("depth=1 fold=0/result.json", r'"depth": 1', '"depth": "x"'), CELL),
        (change("depth=1 fold=0/result.json", r'"epoch": 2', '"epoch": 3'), CELL),
        (change("depth=1 fold=0/result.json", r"\[\s*\d+,", "["), CELL),
        (
            change("depth=1 fold=0/result.json", r'"results_version": \d+', '"results_version": 9'),
            CELL,
        ),
        (make_folder("depth=1 fold=0/result.json"), CELL),
        (change("winner/*/result.json", r'"test": \[', '"test": [], "more": ['), REFIT),
        (make_folder("winner/*/result.json"), REFIT),
        (change("winner/*/config.yaml", "data:", "[data:"), NOBODY),
        (make_folder("depth=1 fold=0/config.yaml"), NOBODY),
        (change("depth=1 fold=0/split.json", "{", "\x00{"), NOBODY),
        (change("baselines/uptake/baseline.json", "{", "["), NOBODY),
        (change("baselines/uptake/candidates.csv", "right", "left"), NOBODY),
        (change("comparison.json", '"fixed": {', '"fixed": {"seed.x": 1, '), NOBODY),
    ],
    ids=[str(number) for number in range(14)],
)
def test_damage_of_any_kind_is_named_and_no_traceback(
    copy: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
    named: str,
) -> None:
    damage(copy)
    assert run_djd(monkeypatch, "report", copy) == 0
    shown = capsys.readouterr().out
    assert "PHANTOM" in shown
    (winner,) = (copy / "winner").iterdir()
    assert named.replace("WINNER", winner.name) in shown
    assert "uptake alone" in shown


@pytest.mark.parametrize("part", ["depth=1 fold=0", "winner/*"])
def test_a_part_of_a_sweep_is_sent_to_the_whole(
    copy: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    (folder,) = copy.glob(part)
    said = run_djd(monkeypatch, "report", folder)
    assert "received a part of one; say djd report '" in str(said)
    assert not (folder / "settings.csv").exists()


def test_a_sweep_of_which_nothing_is_finished_still_says_phantom(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in [*copy.glob("*/result.json"), *copy.glob("winner/*/result.json")]:
        path.unlink()
    assert run_djd(monkeypatch, "report", copy) == 0
    assert "PHANTOM" in capsys.readouterr().out
    assert {row["stamp"] for row in rows_of(copy / "cells.csv")} == {
        "PHANTOM: invented scans, not patients"
    }


@pytest.mark.slow
def test_a_folder_without_its_scans_keeps_its_baselines(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_scans(config: object) -> None:
        raise AssertionError("the scans were read")

    monkeypatch.setattr("djd.report.report.read_data", no_scans)
    assert run_djd(monkeypatch, "report", copy) == 0
    assert "uptake alone" in capsys.readouterr().out


@pytest.mark.slow
def test_baselines_that_are_gone_are_fitted_again(
    sweep: Sweep, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(copy / "baselines")
    assert run_djd(monkeypatch, "report", copy) == 0
    for path in (sweep.folder / "baselines").rglob("*.csv"):
        again = copy / path.relative_to(sweep.folder)
        assert again.read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_test_patients_that_were_not_opened_stay_closed_to_baselines(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither does an answer open them, nor does one of an earlier choice stay in place."""
    shutil.rmtree(copy / "winner")
    for kept in ("majority", "uptake", "features"):
        assert (copy / "baselines" / kept / "test_predictions.csv").exists()
        (copy / "baselines" / kept / "baseline.json").unlink()
    assert run_djd(monkeypatch, "report", copy) == 0
    for kept in ("majority", "uptake", "features"):
        assert (copy / "baselines" / kept / "baseline.json").exists()
        assert not (copy / "baselines" / kept / "test_predictions.csv").exists()


@pytest.mark.slow
def test_a_folder_of_before_features_still_reports_without_its_scans(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone(config: object) -> None:
        raise InputError("data.root: no such folder")

    shutil.rmtree(copy / "baselines" / "features")
    monkeypatch.setattr("djd.report.report.read_data", gone)
    assert run_djd(monkeypatch, "report", copy) == 0
    shown = capsys.readouterr().out
    assert "uptake alone" in shown
    assert "no baselines fitted (features): the scans can't be read again" in shown
    assert [row["setting"].split(" ")[0] for row in rows_of(copy / "settings.csv")][4:] == [
        "majority",
        "uptake",
    ]


@pytest.mark.slow
def test_baselines_of_other_views_are_fitted_again(
    sweep: Sweep, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copy / "baselines" / "uptake" / "baseline.json"
    change("baselines/uptake/baseline.json", '"anterior"', '"posterior"')(copy)
    change("baselines/uptake/predictions.csv", r"0\.\d{3}", "0.000")(copy)
    assert run_djd(monkeypatch, "report", copy) == 0
    for each in ("baseline.json", "predictions.csv", "candidates.csv"):
        original = sweep.folder / "baselines" / "uptake" / each
        assert path.with_name(each).read_bytes() == original.read_bytes()


@pytest.mark.slow
def test_baselines_of_other_knees_are_left_out(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copy / "baselines" / "uptake" / "predictions.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:-1]), encoding="utf-8")

    def no_scans(config: object) -> None:
        raise InputError("no such folder")

    with monkeypatch.context() as patch:
        patch.setattr("djd.report.report.read_data", no_scans)
        assert run_djd(monkeypatch, "report", copy) == 0
    shown = capsys.readouterr().out
    assert "left out: the uptake baseline, which is of other knees, folds, views or rules" in shown
    assert "no baselines fitted: the scans can't be read again (no such folder)" in shown
    assert run_djd(monkeypatch, "report", copy) == 0
    assert path.read_text(encoding="utf-8").splitlines(keepends=True) == lines


def test_nothing_finished_is_said_and_the_cells_are_listed(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in copy.glob("*/result.json"):
        path.unlink()
    assert run_djd(monkeypatch, "report", copy) == 0
    assert "there is nothing to compare" in capsys.readouterr().out
    assert {row["state"] for row in rows_of(copy / "cells.csv")} == {"not trained"}


@pytest.mark.slow
@posix
def test_a_folder_that_takes_no_files_is_told_after_the_answer(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    open_to_all(copy)
    copy.chmod(0o555)

    def report() -> str:
        status = run_djd(monkeypatch, "report", copy)
        return json.dumps([status, capsys.readouterr().out])

    status, shown = json.loads(as_ordinary_user(report))
    assert "uptake alone" in shown
    assert "settings.csv" in str(status)
    assert "Permission denied" in str(status)
