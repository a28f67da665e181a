"""A second reader in sweeps and runs: told at their end, and again when the file is gone."""

import re
import shutil
from pathlib import Path

import pytest
from sklearn.metrics import cohen_kappa_score

from djd.data.cohort_flow import Flow
from djd.errors import InputError
from djd.runs.config import read_config
from djd.runs.train import print_duration
from tests.conftest import Compose
from tests.sweeping import AXES, Sweep, rows_of, run_train, sweep_arguments
from tests.test_cli import run_djd
from tests.training import run

pytestmark = pytest.mark.usefixtures("no_timing")

TOLD = r"A second reader agrees with the grades at kappa (\S+) .* on (\d+) of the (\d+) (\S+) knees"


@pytest.fixture
def copy(sweep: Sweep, tmp_path: Path) -> Path:
    folder = tmp_path / "sweep"
    shutil.copytree(sweep.folder, folder)
    return folder


def read_again(rows: list[dict[str, str]]) -> dict[tuple[str, str], int]:
    """Every knee but one, and every third a grade off."""
    knees = {(row["scan"], row["side"]): int(row["grade"]) for row in rows}
    knees.popitem()
    return {
        knee: abs(grade - 1) if place % 3 == 0 else grade
        for place, (knee, grade) in enumerate(knees.items())
    }


def write_readings(path: Path, readings: dict[tuple[str, str], int]) -> None:
    lines = [f"{scan};{side};{grade}" for (scan, side), grade in readings.items()]
    path.write_text("\n".join(["scan;side;grade", *lines]), encoding="utf-8-sig")


def held_out_rows(folder: Path) -> list[dict[str, str]]:
    paths = sorted(folder.glob("depth=1 fold=*/predictions.csv"))
    return [row for path in paths for row in rows_of(path) if row["epoch"] == "1"]


@pytest.mark.slow
def test_a_finished_sweep_is_given_a_reader_whom_reports_remember(
    sweep: Sweep,
    copy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not (copy / "second_reader.csv").exists()
    rows = held_out_rows(copy)
    readings = read_again(rows)
    path = tmp_path / "읽기 표, (2).csv"
    write_readings(path, readings)
    command = sweep_arguments(sweep.cache, copy, *AXES)
    assert run_train(monkeypatch, *command, f"data.second_reader={path}") == 0
    said = capsys.readouterr()
    found = re.search(TOLD, said.out + said.err)
    assert found
    both = [row for row in rows if (row["scan"], row["side"]) in readings]
    expected = cohen_kappa_score(
        [int(row["grade"]) for row in both],
        [readings[row["scan"], row["side"]] for row in both],
        weights="quadratic",
    )
    assert found[1] == f"{expected:.2f}"
    assert (found[2], found[3], found[4]) == (str(len(rows) - 1), str(len(rows)), "held-out")
    kept = rows_of(copy / "second_reader.csv")
    assert {(row["scan"], row["side"]): int(row["grade"]) for row in kept} == readings
    assert {row["stamp"] for row in kept} == {"PHANTOM: invented scans, not patients"}

    path.unlink()
    assert run_djd(monkeypatch, "report", copy) == 0
    assert found[0] in capsys.readouterr().out
    # Without the key the folder goes on and keeps its reader.
    assert run_train(monkeypatch, *command) == 0
    said = capsys.readouterr()
    assert found[0] in said.out + said.err
    for name in ("settings.csv", "cells.csv", "depth=1 fold=0/result.json"):
        assert (copy / name).read_bytes() == (sweep.folder / name).read_bytes()
    assert sorted(each.name for each in copy.iterdir()) == sorted(
        [*(each.name for each in sweep.folder.iterdir()), "second_reader.csv"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("content", ["", "scan,side,grade\nx,right,9\n", "\x00"])
def test_a_kept_reader_that_is_damaged_costs_itself_alone(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (copy / "second_reader.csv").write_text(content)
    assert run_djd(monkeypatch, "report", copy) == 0
    shown = capsys.readouterr().out
    (line,) = [line for line in shown.splitlines() if "no second reader: second reader: " in line]
    assert str(copy / "second_reader.csv") in line
    assert "uptake alone" in shown
    assert "A second reader agrees" not in shown


@pytest.mark.slow
def test_test_knees_are_told_where_they_were_opened(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (winner,) = (copy / "winner").iterdir()
    readings = read_again(rows_of(winner / "predictions.csv"))
    write_readings(copy / "second_reader.csv", readings)
    assert run_djd(monkeypatch, "report", copy) == 0
    found = re.search(TOLD, capsys.readouterr().out)
    assert found
    assert (found[2], found[4]) == (str(len(readings)), "test")


def test_a_sweep_leaves_the_flow_of_its_cohort(sweep: Sweep) -> None:
    flow = Flow.load(sweep.folder)
    assert flow
    assert (flow.scans_found, flow.patients) == (40, 40)
    assert flow.development.knees == len(held_out_rows(sweep.folder))


def test_a_bad_file_is_found_before_anything_is_trained_or_written(
    sweep: Sweep,
    tiny: Compose,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "readings.csv"
    path.write_text("scan,side,grade\n0000000,right,1\n")
    sentence = r"data\.second_reader: .*readings\.csv, line 2: expected a scan of the cohort"
    values = tiny()
    values["data"]["second_reader"] = str(path)
    monkeypatch.setattr("djd.runs.graders.fit_network", None)
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(InputError, match=sentence):
        run(values, folder)
    with pytest.raises(InputError, match=sentence):
        print_duration(read_config(values), folder)
    assert list(folder.iterdir()) == []
    arguments = sweep_arguments(sweep.cache, tmp_path / "new", *AXES)
    assert run_train(monkeypatch, *arguments, f"data.second_reader={path}") == 1
    assert re.search(sentence, capsys.readouterr().err)
    assert not (tmp_path / "new").exists()


def test_a_reader_changes_no_setting_and_no_run_that_goes_on(tiny: Compose) -> None:
    from djd.runs.keys import FREE_KEYS

    values = tiny()
    before = read_config(values)
    values["data"]["second_reader"] = "~/readings.csv"
    now = read_config(values)
    assert now.data.second_reader == Path.home() / "readings.csv"
    assert now.setting_name == before.setting_name
    assert "data.second_reader" in FREE_KEYS
    del values["data"]["second_reader"]
    assert read_config(values) == before, "folders older than the key are read back"
