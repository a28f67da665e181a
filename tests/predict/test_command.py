"""`djd predict`: the table, exit statuses, what is kept, and what is refused."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from djd import Scan, load_model, read_scan
from djd.data.scan import ScanFiles
from djd.predict import grading
from djd.predict.grading import Grader
from djd.predict.table import COLUMNS
from tests.finished_run import FinishedRun
from tests.sweeping import rows_of
from tests.test_cli import run_djd


@pytest.fixture
def scans(phantom_folder: Path) -> list[Path]:
    return sorted(phantom_folder.glob("*.mat"))[:4]


@pytest.fixture
def graded_files(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read while a test runs."""
    names: list[str] = []

    def counted(files: ScanFiles, **options: Any) -> Scan:
        names.append(files.name)
        return read_scan(files, **options)

    monkeypatch.setattr(grading, "read_scan", counted)
    return names


def table(folder: Path) -> list[dict[str, str]]:
    return rows_of(folder / "predictions.csv")


def names(scans: Sequence[Path]) -> list[str]:
    return [path.stem for path in scans for _ in range(2)]


def test_a_row_a_knee_that_pandas_reads(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    finished: FinishedRun,
    scans: list[Path],
    tmp_path: Path,
) -> None:
    assert (
        run_djd(monkeypatch, "predict", "--no-pictures", finished.folder, *scans, "--out", tmp_path)
        == 0
    )
    said = capsys.readouterr().out
    assert "PHANTOM" in said
    assert "4 scans graded, 0 not" in said
    assert "Research use only" in said
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(tmp_path / "predictions.csv", dtype={"scan": str})
    assert tuple(frame.columns) == COLUMNS
    assert frame["scan"].tolist() == names(scans)
    assert frame["side"].tolist() == ["right", "left"] * 4
    assert set(frame["use"]) == {"research use only"}
    assert set(frame["stamp"]) == {"PHANTOM: invented scans, not patients"}
    grader = load_model(finished.folder)
    assert set(frame["model"]) == {grader.models[0].digest}
    expected = grader.grade(scans)
    chances = frame[[f"p{grade}" for grade in range(5)]].to_numpy()
    np.testing.assert_allclose(chances, expected.probabilities, atol=1e-6)
    np.testing.assert_allclose(frame["expected"], expected.expected, atol=1e-6)
    np.testing.assert_allclose(frame["entropy"], expected.entropy, atol=1e-6)
    assert frame["predicted"].tolist() == expected.predicted.tolist()
    assert frame["column"].tolist() == [0, 128] * 4
    assert frame["row"].between(446, 643).all()
    assert frame["flags"].str.endswith("trained on").all()  # development patients
    assert frame["error"].isna().all()


def test_a_bad_file_is_a_row_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    finished: FinishedRun,
    scans: list[Path],
    tmp_path: Path,
) -> None:
    bad = tmp_path / "bad.mat"
    bad.write_bytes(b"hello")
    out = tmp_path / "out"
    sources = (scans[0], bad, tmp_path / "none.mat", scans[1])
    assert (
        run_djd(monkeypatch, "predict", "--no-pictures", finished.folder, *sources, "--out", out)
        == 1
    )
    assert "2 scans graded, 2 not" in capsys.readouterr().out
    rows = table(out)
    assert [row["scan"] for row in rows] == [*names(scans[:1]), "bad", "none", *names(scans[1:2])]
    assert str(bad) in rows[2]["error"]
    assert rows[2]["predicted"] == rows[2]["p0"] == ""
    assert "nothing there" in rows[3]["error"]
    assert (
        run_djd(
            monkeypatch,
            "predict",
            "--no-pictures",
            finished.folder,
            bad,
            "--out",
            tmp_path / "none",
        )
        == 2
    )
    assert [row["scan"] for row in table(tmp_path / "none")] == ["bad"]


def test_a_folder_of_scans_is_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
    finished: FinishedRun,
    scans: list[Path],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "스캔 (1)"
    folder.mkdir()
    for path in scans[:2]:
        shutil.copy(path, folder)
    assert (
        run_djd(
            monkeypatch,
            "predict",
            "--no-pictures",
            finished.winner,
            folder,
            "--out",
            tmp_path / "out",
        )
        == 0
    )
    assert [row["scan"] for row in table(tmp_path / "out")] == names(scans[:2])


def test_a_stopped_command_goes_on_and_grades_nothing_twice(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    finished: FinishedRun,
    scans: list[Path],
    tmp_path: Path,
    graded_files: list[str],
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert (
        run_djd(monkeypatch, "predict", "--no-pictures", finished.folder, *scans, "--out", whole)
        == 0
    )
    expected = (whole / "predictions.csv").read_text()
    grade_each = Grader.grade_each

    def stopped(self: Grader, sources: Any, **_: Any) -> Any:
        for number, each in enumerate(grade_each(self, sources, at_once=1)):
            if number == 2:
                raise KeyboardInterrupt
            yield each

    monkeypatch.setattr(Grader, "grade_each", stopped)
    assert (
        run_djd(monkeypatch, "predict", "--no-pictures", finished.folder, *scans, "--out", out)
        == 130
    )
    monkeypatch.setattr(Grader, "grade_each", grade_each)
    kept = (out / "predictions.csv").read_text()
    assert expected.startswith(kept)
    assert len(table(out)) == 4
    # A kill may leave a part of the next scan's rows.
    half = expected[len(kept) :].splitlines(keepends=True)
    (out / "predictions.csv").write_text(kept + half[0] + half[1][:50])
    graded_files.clear()
    capsys.readouterr()
    assert (
        run_djd(monkeypatch, "predict", "--no-pictures", finished.folder, *scans, "--out", out) == 0
    )
    assert graded_files == [path.stem for path in scans[2:]]
    assert "4 scans graded (2 of them before), 0 not" in capsys.readouterr().out
    assert (out / "predictions.csv").read_text() == expected


def test_changed_and_failed_files_are_graded_again_and_others_stay(
    monkeypatch: pytest.MonkeyPatch,
    finished: FinishedRun,
    scans: list[Path],
    tmp_path: Path,
    graded_files: list[str],
) -> None:
    one, two = tmp_path / "one.mat", tmp_path / "two.mat"
    shutil.copy(scans[0], one)
    out = tmp_path / "out"
    assert (
        run_djd(monkeypatch, "predict", "--no-pictures", finished.folder, scans[1], "--out", out)
        == 0
    )
    assert (
        run_djd(monkeypatch, "predict", "--no-pictures", finished.folder, one, two, "--out", out)
        == 1
    )
    before = table(out)
    shutil.copy(scans[2], one)
    os.utime(one, ns=(1, 1))
    shutil.copy(scans[3], two)
    graded_files.clear()
    assert (
        run_djd(monkeypatch, "predict", "--no-pictures", finished.folder, one, two, "--out", out)
        == 0
    )
    assert graded_files == ["one", "two"]
    after = table(out)
    assert [row["scan"] for row in after] == [scans[1].stem] * 2 + ["one"] * 2 + ["two"] * 2
    assert after[:2] == before[:2]
    assert after[2]["p0"] != before[2]["p0"]


def test_rows_of_other_models_or_another_table_are_never_overwritten(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    finished: FinishedRun,
    scans: list[Path],
    tmp_path: Path,
) -> None:
    winner = finished.winner
    assert (
        run_djd(monkeypatch, "predict", "--no-pictures", winner, scans[0], "--out", tmp_path) == 0
    )
    before = (tmp_path / "predictions.csv").read_bytes()
    both = ("--with", winner, "--out", tmp_path)
    assert run_djd(monkeypatch, "predict", "--no-pictures", winner, scans[0], *both) == 2
    assert "expected predictions of the same models" in capsys.readouterr().err
    assert (tmp_path / "predictions.csv").read_bytes() == before
    assert run_djd(monkeypatch, "predict", "--no-pictures", winner, scans[0], "--out", winner) == 2
    assert "choose another --out" in capsys.readouterr().err


def test_json_is_one_object_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    finished: FinishedRun,
    scans: list[Path],
    tmp_path: Path,
) -> None:
    arguments = ("--out", tmp_path, "--json", "--with", finished.winner)
    sources = (scans[0], tmp_path / "none.mat")
    assert (
        run_djd(monkeypatch, "predict", "--no-pictures", finished.folder, *sources, *arguments) == 1
    )
    answer = json.loads(capsys.readouterr().out)
    assert answer["use"] == "research use only"
    assert answer["stamp"] == "PHANTOM: invented scans, not patients"
    assert (answer["graded"], answer["failed"]) == (1, 1)
    assert len(answer["models"]) == 2
    first, second = answer["scans"]
    assert [knee["side"] for knee in first["knees"]] == ["right", "left"]
    assert sum(first["knees"][0]["probabilities"]) == pytest.approx(1)
    rows = table(tmp_path)
    assert [knee["predicted"] for knee in first["knees"]] == [
        int(row["predicted"]) for row in rows[:2]
    ]
    assert "nothing there" in second["error"]


@pytest.mark.parametrize("model", ["none", "scan"])
def test_a_model_that_cannot_be_read_is_one_sentence_and_status_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    scans: list[Path],
    tmp_path: Path,
    model: str,
) -> None:
    place = scans[0] if model == "scan" else tmp_path / "none"
    assert (
        run_djd(monkeypatch, "predict", "--no-pictures", place, scans[1], "--out", tmp_path / "out")
        == 2
    )
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert f"{place}: expected a model file" in said.err
    assert not (tmp_path / "out").exists()
