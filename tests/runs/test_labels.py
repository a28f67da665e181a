"""Grades of a table in place of those in the files of scans: cohort, keys and commands."""

from pathlib import Path

import numpy as np
import pytest

from djd.data.cohort import Cohort, read_cohort
from djd.data.labels import read_labels
from djd.data.problems import obstacles, warnings_of
from djd.data.scan_files import find_scans
from djd.errors import InputError
from djd.runs.command_line import PATH_KEYS
from djd.runs.config import read_config
from djd.runs.keys import COHORT_KEYS, differences, flat
from djd.runs.reading import read_data
from tests.conftest import compose_values
from tests.data.mat_files import counts_image, diaginfo, write_v5
from tests.data.test_cohort import write_scan
from tests.finished_run import FinishedRun
from tests.sweeping import rows_of
from tests.test_cli import run_djd


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Three scans, of which one has ids that its names contradict, one none, one bad ones."""
    folder = tmp_path / "scans"
    folder.mkdir()
    write_scan(folder, "0000001", (2, 3), ("sevDJD", "sevDJD"))
    without = {key: each for key, each in diaginfo().items() if key != "kneejointid"}
    for name, fields in (("0000002", without), ("0000003", diaginfo([[9, 9]], None))):
        write_v5(folder / f"{name}.mat", {"Y": counts_image(int(name)), "diaginfo": fields})
    return folder


def table(folder: Path, text: str) -> Path:
    path = folder / "등급, 표.csv"
    path.write_text(text, encoding="utf-8")
    return path


def labelled(folder: Path, path: Path) -> Cohort:
    found = find_scans(folder)
    labels = read_labels(path, known=set(found.names), kind="grades")
    return read_cohort(found, labels=labels)


def test_labels_replace_the_grades_of_files_and_serve_where_files_have_none(
    scans: Path, tmp_path: Path
) -> None:
    assert len(read_cohort(find_scans(scans)).unreadable) == 2
    cohort = labelled(scans, table(tmp_path, "scan,right,left\n0000001,0,4\n0000003,,2\n"))
    assert cohort.unreadable == {}
    assert cohort.grades.tolist() == [0, 4, 2]
    assert cohort.scan_index.tolist() == [0, 0, 2]
    assert cohort.side_index.tolist() == [0, 1, 1]
    assert cohort.unspecified == 3
    assert cohort.relabelled == (("0000001", "left"),)
    assert cohort.unlabelled == ("0000002",)
    assert (cohort.disagreements, cohort.named_knees, cohort.unknown_names) == ((), 0, 0)
    assert obstacles(cohort, labels_from="auto", on_error="stop") == []
    for sentence in (
        "data.labels gives 1 knee another grade than the id in the file: 0000001 left",
        "data.labels has no line for 1 scan, left out: 0000002",
    ):
        assert sentence in warnings_of(cohort)


def test_labels_equal_to_the_files_grades_make_the_same_cohort(tmp_path: Path) -> None:
    write_scan(tmp_path, "0000001", (2, 3), None)
    (table_folder := tmp_path / "tables").mkdir()
    plain = read_cohort(find_scans(tmp_path))
    same, other = (
        labelled(tmp_path, table(table_folder, f"scan,right,left\n0000001,{grades}\n"))
        for grades in ("0,1", "0,2")
    )
    assert same.fingerprint() == plain.fingerprint() != other.fingerprint()
    assert (same.relabelled, warnings_of(same)) == ((), warnings_of(plain))


def test_a_training_reads_the_table_and_reads_it_again_when_it_changes(
    scans: Path, tmp_path: Path
) -> None:
    write_scan(scans, "0000004", (2, 3), None)
    path = table(tmp_path, "scan,side,grade\n0000001,right,mild\n0000002,left,3\n0000003,left,3\n")
    paths = (f"data.root='{scans}'", f"data.labels='{path}'", f"paths.cache='{tmp_path / 'cache'}'")
    values = compose_values("data=mat", *paths, "data.test_count=1", "data.exclude=[0000004]")
    with pytest.raises(InputError, match=r"data\.labels_kind=ids .*data\.labels_kind=grades"):
        read_data(read_config(values))
    values["data"]["labels_kind"] = "grades"
    grades = read_data(read_config(values))[0]
    again = read_data(read_config(values))[0]
    values["data"]["labels_kind"] = "ids"
    ids = read_data(read_config(values))[0]
    assert grades.grades.tolist() == again.grades.tolist() == [2, 3, 3]
    assert again.relabelled == grades.relabelled == (("0000001", "right"),)
    assert again.unlabelled == grades.unlabelled == ()
    assert ids.grades.tolist() == [2, 1, 1]
    np.testing.assert_array_equal(ids.crops, grades.crops)


def test_labels_change_no_setting_and_folders_older_than_their_keys_are_read_back() -> None:
    before, now = (
        read_config(compose_values(f"data.labels={value}", "data.labels_kind=ids"))
        for value in ("null", "'~/a.csv'")
    )
    assert now.data.labels == Path.home() / "a.csv"
    assert now.setting_name == before.setting_name
    assert {"data.labels", "data.labels_kind"} <= COHORT_KEYS
    assert "data.labels" in PATH_KEYS
    older = read_config(compose_values()).plain()
    for key in ("labels", "labels_kind"):
        assert older["data"].pop(key) is None
    assert differences(flat(older), flat(read_config(older).plain()), free=()) is None
    with pytest.raises(InputError, match=r"^data\.labels_kind: expected 'ids', 'grades' or 'names"):
        read_config(compose_values("data.labels_kind=numbers"))


def test_the_check_command_takes_labels(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    scans: Path,
    tmp_path: Path,
) -> None:
    path = table(tmp_path, "scan,right,left\n0000001,2,3\n0000002,4,\n0000003,6,6\n")
    check = ("check", scans, "--out", tmp_path / "out", "--test-count", "1")

    def said(*options: str | Path) -> str:
        run_djd(monkeypatch, *check, *options)
        return capsys.readouterr().out

    assert "data.labels_kind=ids" in said("--labels", path)
    wrong = said("--labels", path, "--labels-kind", "grades")
    assert "training would stop: table: data.labels: " in wrong
    assert "1 wrong line: line 4: expected a grade of 0 to 4" in wrong
    right = said("--labels", path, "--labels-kind", "ids")
    assert "5 graded knees, 1 unspecified" in right
    assert "disagree" not in right
    assert f"'data.labels={path}' data.labels_kind=ids" in right
    alone = said("--labels-kind", "ids")
    assert "table: data.labels: expected a table with data.labels_kind, received" in alone


def test_the_score_command_takes_labels(
    monkeypatch: pytest.MonkeyPatch, finished: FinishedRun, scans: Path, tmp_path: Path
) -> None:
    path = table(tmp_path, "scan,right,left\n0000001,normal,mild\n0000002,1,4\n")
    score = ("score", finished.folder, scans, "--out", tmp_path / "out", "--labels", path)
    assert run_djd(monkeypatch, *score) == 2
    assert run_djd(monkeypatch, *score, "--labels-kind", "grades") == 0
    rows = rows_of(tmp_path / "out" / "predictions.csv")
    assert [(row["scan"], row["grade"]) for row in rows] == [
        *(("0000001", "0"), ("0000001", "2"), ("0000002", "1"), ("0000002", "4")),
    ]
    page = (tmp_path / "out" / "score.html").read_text(encoding="utf-8")
    assert "data.labels gives 1 knee another grade than the id in the file" in page
