"""`djd check` as a person types it: what it prints, writes and returns."""

import csv
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
from pathlib import Path
from typing import NamedTuple

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from djd.runs.command_line import quote_paths
from tests.data.test_cohort import write_scan
from tests.ordinary_user import as_ordinary_user, open_to_all, posix
from tests.test_cli import run_djd

ROOT = Path(__file__).parents[2]


class Said(NamedTuple):
    status: int | str | None
    shown: str
    rows: list[dict[str, str]]
    page: str


class Check:
    """Runs the command, with its files in a folder of their own."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        out: Path,
    ) -> None:
        self.monkeypatch, self.capsys, self.out = monkeypatch, capsys, out

    def __call__(self, folder: Path, *options: str | Path, test_count: int = 1) -> Said:
        arguments = ("check", folder, "--out", self.out, "--test-count", str(test_count))
        status = run_djd(self.monkeypatch, *arguments, *options)
        table, page = self.out / "check.csv", self.out / "check.html"
        lines = table.read_text(encoding="utf-8-sig").splitlines() if table.exists() else []
        text = page.read_text(encoding="utf-8") if page.exists() else ""
        shown = "".join(self.capsys.readouterr())
        return Said(status, shown, list(csv.DictReader(lines)), text)


@pytest.fixture
def check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Check:
    return Check(monkeypatch, capsys, tmp_path / "결과 (1)")


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Six ordinary scans of noise."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(1, 7):
        write_scan(folder, f"{number:07d}")
    return folder


def kinds(said: Said) -> set[str]:
    return {row["kind"] for row in said.rows}


def pictures(page: str) -> list[str]:
    return re.findall(r'<img src="([^"]+)"', page)


def test_invented_scans_are_fit_and_say_phantom_on_page_and_table(
    check: Check, phantom_folder: Path
) -> None:
    said = check(phantom_folder, test_count=8)
    assert said.status == 0
    assert said.shown.startswith("PHANTOM")
    assert "Training would go on" in said.shown
    assert "40 scans of 40 patients" in said.shown
    assert "PHANTOM: invented scans" in said.page
    assert all("PHANTOM" in row["stamp"] for row in said.rows)
    assert len(pictures(said.page)) == 40
    assert all((check.out / name).is_file() for name in pictures(said.page))
    assert f"python train.py data=mat data.root={phantom_folder}" in said.shown


def test_every_problem_is_a_row_and_what_stops_training_ends_with_1(
    check: Check, tmp_path: Path
) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    write_scan(scans, "0000001", (2, 2), ("SevDJD", "normal"))
    write_scan(scans, "0000002", (-1, 5), ("unspect", "modDJD"), seed=1)
    write_scan(scans, "0000003", (2, 2), ("Kim", ""))
    write_scan(scans, "3", (2, 2), None)
    (scans / "0000004.mat").write_bytes(b"[hello]")
    said = check(scans)
    assert said.status == 1
    assert "5 scans of 5 patients: 7 graded knees, 1 unspecified" in said.shown
    found = {(row["kind"], row["scan"], row["side"]): row for row in said.rows}
    unreadable = found["unreadable", "0000004", ""]
    assert unreadable["effect"] == "stops"
    assert unreadable["file"] == "0000004.mat"
    assert "0000004.mat: file: expected a MATLAB file" in unreadable["what"]
    assert "data.on_error=skip" in unreadable["to_do"]
    assert found["id against name", "0000001", "right"]["effect"] == "warns"
    assert found["copy", "0000002", ""]["what"] == "0000001: the same pixels, with other grades"
    assert ("unknown severity name", "0000003", "left") in found
    assert ("names nearly the same", "3", "") in found
    assert "ids and names disagree too often" in kinds(said)
    assert all(row["why"] and row["to_do"] for row in said.rows)
    assert "Kim" not in said.shown + said.page + str(said.rows)
    assert "000101-2000000" not in said.shown + said.page + str(said.rows), "the comment"
    assert "PHANTOM" not in said.shown + said.page
    order = [row["effect"] for row in said.rows]
    assert order == sorted(order), "what stops comes first"
    skipped = check(scans, "--on-error", "skip", "--labels-from", "ids")
    assert {row["effect"] for row in skipped.rows if row["kind"] == "unreadable"} == {"warns"}


def test_wrong_tables_and_unknown_names_stop_nothing_of_the_check(
    check: Check, scans: Path, tmp_path: Path
) -> None:
    groups, names = tmp_path / "groups.csv", tmp_path / "names.csv"
    groups.write_text("scan,patient\n0000009,a\n")
    names.write_text("spelling,grade\nodd,9\n")
    options = ("--groups", groups, "--grade-names", names, "--exclude", "77")
    said = check(scans, *options)
    assert said.status == 1
    tables = [row for row in said.rows if row["kind"] == "table"]
    assert len(tables) == 2
    assert any("0000009" in row["what"] for row in tables)
    assert any("names.csv" in row["what"] for row in tables)
    assert [row["what"] for row in said.rows if row["kind"] == "data.exclude"] == [
        "no scan is named 77"
    ]
    assert len(pictures(said.page)) == 6


def test_the_names_and_paths_that_training_takes_are_taken(check: Check, tmp_path: Path) -> None:
    scans = tmp_path / unicodedata.normalize("NFD", "뼈")
    scans.mkdir()
    for number in range(1, 5):
        write_scan(scans, f"{number:07d}")
    groups = tmp_path / "groups.csv"
    groups.write_bytes("scan;patient\n0000001;나\n0000002;나\n0000004;3\n".encode("cp949"))
    said = check(tmp_path / "뼈", "--groups", groups, "--exclude", "5", "--exclude", "4")
    whats = [row["what"] for row in said.rows if row["kind"] == "data.exclude"]
    assert whats == ["no scan is named 4 (without the zeros of 0000004?)", "no scan is named 5"]
    assert "4 scans of 3 patients: 8 graded knees" in said.shown
    several = [row["scan"] for row in said.rows if row["kind"] == "patient with several scans"]
    assert several == ["0000001", "0000002"]
    assert f"data.groups={groups}" in said.shown
    assert "data.exclude=[5,4]" in said.shown


def test_names_with_signs_of_a_list_are_excluded_by_the_line_to_train_with(
    check: Check, scans: Path
) -> None:
    odd = ["a,b[1]", "it's", "{x}=1", "0000001"]
    for name in odd[:-1]:
        shutil.copy(scans / "0000001.mat", scans / f"{name}.mat")
    said = check(scans, *(word for name in odd for word in ("--exclude", name)))
    assert "5 scans of 5 patients" in said.shown
    (line,) = re.findall("^To train: (.*)$", said.shown, re.MULTILINE)
    typed = quote_paths(shlex.split(line)[2:])
    (exclude,) = [word for word in typed if word.startswith("data.exclude=")]
    assert OverridesParser.create().parse_override(exclude).value() == odd


def test_knees_are_counted_by_grade_and_side(check: Check, tmp_path: Path) -> None:
    for number in range(1, 4):
        write_scan(tmp_path, f"{number:07d}", (2, 6), ("normal", "sevDJD"))
    rows = {
        cells[0]: cells[1:]
        for line in check(tmp_path).shown.splitlines()
        if (cells := line.replace("│", " ").split()) and cells[0] in {"right", "left", "both"}
    }
    assert rows == {
        "right": ["3", "0", "0", "0", "0", "3"],
        "left": ["0", "0", "0", "0", "3", "3"],
        "both": ["3", "0", "0", "0", "3", "6"],
    }


def test_one_patient_is_a_page_that_says_why_training_would_stop(
    check: Check, tmp_path: Path
) -> None:
    write_scan(tmp_path, "0000001", (-1, 3), None)
    said = check(tmp_path, test_count=40)
    assert said.status == 1
    sentence = "data.test_count: expected fewer test patients than the 1 patients"
    assert sentence in said.shown
    assert sentence in said.page
    assert "right: no grade" in said.page
    assert len(pictures(said.page)) == 1


def test_no_readable_scan_is_a_page_too(check: Check, tmp_path: Path) -> None:
    (tmp_path / "0000001.mat").write_bytes(b"x")
    for on_error in ("stop", "skip"):
        said = check(tmp_path, "--on-error", on_error)
        assert said.status == 1
        assert kinds(said) == {"unreadable", "nothing to train on"}
        assert "no picture: the scan can" in said.page


@posix
def test_two_files_of_one_name_are_a_problem_and_the_first_is_shown(
    check: Check, scans: Path
) -> None:
    shutil.copy(scans / "0000001.mat", scans / "0000002.MAT")
    said = check(scans)
    assert said.status == 1
    (row,) = [row for row in said.rows if row["kind"] == "two files of one name"]
    assert row["scan"] == "0000002"
    assert "expected one file a scan, received 0000002.MAT, 0000002.mat" in row["what"]
    assert row["what"] in said.shown
    assert len(pictures(said.page)) == 6


@pytest.mark.skipif(sys.platform != "linux", reason="others have no names of arbitrary bytes")
def test_a_name_that_is_no_text_is_a_row_and_the_other_scans_are_shown(
    check: Check, scans: Path
) -> None:
    shutil.copy(scans / "0000001.mat", Path(os.fsdecode(os.fsencode(scans) + b"/\xb0\xa1.mat")))
    said = check(scans)
    assert said.status == 1
    (row,) = [row for row in said.rows if row["kind"] == "folder"]
    assert row["effect"] == "stops"
    assert "received \\xb0\\xa1.mat; rename it" in row["what"]
    assert len(pictures(said.page)) == 6


@posix
def test_a_subfolder_that_cannot_be_listed_is_a_row(
    scans: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir(mode=0o777)
    out.chmod(0o777)
    (scans / "closed").mkdir(mode=0o700)
    (scans / "named" / "below").mkdir(parents=True)
    (scans / "named").chmod(0o744)
    open_to_all(tmp_path)

    def work() -> str:
        with pytest.MonkeyPatch.context() as patch:
            return f"status {run_djd(patch, 'check', scans, '--out', out, '--test-count', '1')}"

    # Modules are loaded before: an ordinary user may not read all of root's Python.
    with pytest.MonkeyPatch.context() as patch:
        run_djd(patch, "check", scans, "--out", tmp_path / "before", "--test-count", "1")
    capfd.readouterr()
    assert as_ordinary_user(work) == "status 1"
    shown = "".join(capfd.readouterr())
    assert "closed can't be listed (Permission denied)" in shown
    assert "below can't be listed (Permission denied)" in shown
    assert "6 scans of 6 patients" in shown


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_no_scans_are_one_sentence_and_status_2(check: Check, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    said = check(tmp_path / name)
    assert said.status == 2
    assert "expected" in said.shown
    assert "received" in said.shown
    assert said.shown.count("\n") == 1
    assert not check.out.exists()


def test_a_leak_between_the_sides_of_the_split_is_foreseen(check: Check, tmp_path: Path) -> None:
    for number in range(1, 8):
        write_scan(tmp_path, f"{number:07d}", seed=1 if number == 7 else number)
    said = check(tmp_path, test_count=2)
    assert said.status == 1
    assert {row["kind"] for row in said.rows if row["effect"] == "stops"} == {"split"}
    assert "split: expected no copy of a knee on another part" in said.shown


def test_unknown_names_are_counted_and_shown_only_when_asked(check: Check, tmp_path: Path) -> None:
    scans, names = tmp_path / "scans", tmp_path / "names.csv"
    scans.mkdir()
    for number in range(1, 7):
        write_scan(scans, f"{number:07d}", names=("NormalKnee", "[b]Kim\x1b"))
    said = check(scans, test_count=1)
    assert said.status == 0
    assert "unknown severity name, 12 problems" in said.shown
    assert "NormalKnee" not in said.shown
    names.write_text("spelling,grade\nnormalknee,0\n")
    asked = ("--grade-names", names, "--show-names")
    said = check(scans, *asked, test_count=1)
    assert said.status == 0
    assert "unknown severity name, 6 problems" in said.shown
    assert "unknown name: 6 x [b]Kim?" in said.shown.splitlines()
    assert "NormalKnee" not in said.shown
    assert "Kim" not in said.page + str(said.rows), "files hold no name"
    by_name = check(scans, *asked, "--labels-from", "names", test_count=1)
    assert by_name.status == 1
    assert "no grades" in kinds(by_name)
    assert "unreadable" not in kinds(by_name)
    assert len(pictures(by_name.page)) == 6, "a scan without a grade can be looked at"


def test_a_second_check_replaces_the_first_and_its_pictures(check: Check, scans: Path) -> None:
    first = pictures(check(scans).page)
    (scans / "0000006.mat").unlink()
    second = pictures(check(scans).page)
    assert len(second) == 5
    assert not any((check.out / name).exists() for name in first)
    assert all((check.out / name).exists() for name in second)
    assert sorted(path.name for path in check.out.iterdir()) == [
        "check.csv",
        "check.html",
        "check_pictures",
    ]


def test_a_stopped_check_leaves_the_earlier_page_whole(
    check: Check, scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = check(scans).page

    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("djd.check.cohort_problems.copy_problems", stopped)
    said = check(scans)
    assert said.status == 130
    assert "Stopped" in said.shown
    assert said.page == before
    assert all((check.out / name).exists() for name in pictures(before))
    assert len(list((check.out / "check_pictures").iterdir())) == 1
    shutil.rmtree(check.out)
    check(scans)
    assert list(check.out.iterdir()) == [], "nothing half is left"


@posix
def test_a_folder_that_cannot_be_written_is_one_sentence(
    scans: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "read only"
    out.mkdir(mode=0o555)
    open_to_all(tmp_path)

    def work() -> str:
        with pytest.MonkeyPatch.context() as patch:
            return f"status {run_djd(patch, 'check', scans, '--out', out)}"

    assert as_ordinary_user(work) == "status 2"
    shown = "".join(capfd.readouterr())
    assert "read only" in shown
    assert "Permission denied" in shown
    assert "Traceback" not in shown
    assert list(out.iterdir()) == []


@posix
@pytest.mark.slow
def test_ctrl_c_while_scans_are_read_leaves_no_half_page(tmp_path: Path, scans: Path) -> None:
    out = tmp_path / "out"
    for number in range(8, 700):
        shutil.copy(scans / "0000001.mat", scans / f"{number:07d}.mat")
    command = [sys.executable, "-c", "from djd.cli import main; main()", "check", str(scans)]
    process = subprocess.Popen(
        [*command, "--out", str(out)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    for _ in range(600):
        if len(list(out.glob("check_pictures/*/*.png"))) > 5:
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    shown = process.communicate(timeout=60)[0]
    assert process.returncode == 130, shown
    assert "Traceback" not in shown
    assert list(out.iterdir()) == []
