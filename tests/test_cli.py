import sys
import unicodedata
from pathlib import Path

import pytest

from djd import cli
from tests.data.test_cohort import write_scan


def run_djd(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int | str | None:
    """Exit status, or the sentence that stands for status 1."""
    monkeypatch.setattr(sys, "argv", ["djd", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code


def test_phantom_writes_scans_that_check_finds_fit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder, sheet = tmp_path / "스캔 (1)", tmp_path / "sheet.png"
    assert run_djd(monkeypatch, "phantom", folder, "--patients", "9", "--seed", "1") == 0
    assert "PHANTOM" in capsys.readouterr().out
    assert run_djd(monkeypatch, "check", folder, "--sheet", sheet, "--test-count", "1") == 0
    shown = capsys.readouterr().out
    assert "PHANTOM" in shown
    assert "9 scans of 9 patients: 18 graded knees, 0 unspecified" in shown
    assert "training would go on" in shown
    assert sheet.read_bytes().startswith(b"\x89PNG")


def test_phantom_draws_in_the_style_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "scans"
    assert run_djd(monkeypatch, "phantom", folder, "--patients", "2", "--style", "odd") == 0
    lines = (folder / "manifest.csv").read_text().splitlines()
    assert [line.rpartition("PHANTOM,")[2] for line in lines[1:]] == ["odd,"] * 2 + [
        "odd,upside down"
    ] * 2
    assert run_djd(monkeypatch, "phantom", tmp_path / "none", "--style", "hard") == 2
    assert not (tmp_path / "none").exists()


def test_check_names_every_problem_and_says_that_training_would_stop(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    write_scan(scans, "0000001", (2, 2), ("SevDJD", "normal"))
    write_scan(scans, "0000002", (-1, 5), ("unspect", "modDJD"), seed=1)
    (scans / "0000003.mat").write_bytes(b"[hello]")
    sheet = tmp_path / "sheet.png"
    assert run_djd(monkeypatch, "check", scans, "--sheet", sheet, "--test-count", "1") == 1
    shown = capsys.readouterr().out
    assert "3 scans of 3 patients: 3 graded knees, 1 unspecified" in shown
    assert "unreadable: " in shown
    assert "0000003.mat" in shown
    assert "copies: 0000002 left of 0000001 left (name" in shown
    assert "id and name disagree: 0000001 right" in shown
    assert "training would stop: " in shown
    assert "PHANTOM" not in shown
    assert sheet.exists()


def test_check_takes_the_names_and_paths_that_training_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    scans = tmp_path / unicodedata.normalize("NFD", "뼈")
    scans.mkdir()
    for number in range(1, 5):
        write_scan(scans, f"{number:07d}")
    groups, sheet = tmp_path / "groups.csv", tmp_path / "sheet.png"
    groups.write_bytes("scan;patient\n0000001;나\n0000002;나\n0000004;3\n".encode("cp949"))
    options = ("--sheet", sheet, "--test-count", "1", "--groups", groups, "--exclude", "5")
    run_djd(monkeypatch, "check", tmp_path / "뼈", *options, "--exclude", "4")
    shown = capsys.readouterr().out
    assert "--exclude names no scan: 4 (without the zeros of 0000004?), 5" in shown
    assert "4 scans of 3 patients: 8 graded knees" in shown
    assert "data.groups gives 3 scans a patient's name" in shown
    assert "'0000003' and '3'; if they are one" in shown


def test_check_counts_knees_by_grade_and_side(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for number in range(1, 4):
        write_scan(tmp_path, f"{number:07d}", (2, 6), ("normal", "sevDJD"))
    sheet = tmp_path / "sheet.png"
    run_djd(monkeypatch, "check", tmp_path, "--sheet", sheet, "--test-count", "1")
    rows = {
        cells[0]: cells[1:]
        for line in capsys.readouterr().out.splitlines()
        if (cells := line.replace("│", " ").split()) and cells[0] in {"right", "left", "both"}
    }
    assert rows == {
        "right": ["3", "0", "0", "0", "0", "3"],
        "left": ["0", "0", "0", "0", "3", "3"],
        "both": ["3", "0", "0", "0", "3", "6"],
    }


def test_check_of_fewer_patients_than_test_patients_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_scan(tmp_path, "0000001")
    assert run_djd(monkeypatch, "check", tmp_path, "--sheet", tmp_path / "sheet.png") == 1
    assert (
        "data.test_count: expected fewer test patients than the 1 patients"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_check_of_no_scans_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    (tmp_path / "empty").mkdir()
    sentence = run_djd(monkeypatch, "check", tmp_path / name)
    assert isinstance(sentence, str)
    assert "expected" in sentence
    assert "received" in sentence
    assert "\n" not in sentence


def test_phantom_leaves_a_folder_of_scans_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_scan(tmp_path, "0000001")
    sentence = run_djd(monkeypatch, "phantom", tmp_path, "--patients", "1")
    assert isinstance(sentence, str)
    assert "without .mat files" in sentence
    assert [path.name for path in tmp_path.iterdir()] == ["0000001.mat"]


def test_check_foresees_a_leak_between_the_sides_of_the_split(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for number in range(1, 13):
        write_scan(tmp_path, f"{number:07d}", seed=1 if number == 12 else number)
    sheet = tmp_path / "sheet.png"
    assert run_djd(monkeypatch, "check", tmp_path, "--sheet", sheet, "--test-count", "3") == 1
    shown = capsys.readouterr().out
    assert "training would stop: split: expected no copy of a knee on another part" in shown


def test_check_counts_unknown_names_and_shows_them_only_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    scans, names = tmp_path / "scans", tmp_path / "names.csv"
    scans.mkdir()
    for number in range(1, 13):
        write_scan(scans, f"{number:07d}", names=("NormalKnee", "[b]Kim\x1b"))
    arguments = ("check", scans, "--sheet", tmp_path / "sheet.png", "--test-count", "3")
    assert run_djd(monkeypatch, *arguments) == 0
    shown = "".join(capsys.readouterr())
    assert "severity names whose grade is not known: 24 " in shown
    assert "training would go on" in shown
    assert "NormalKnee" not in shown
    assert "Kim" not in shown
    names.write_text("spelling,grade\nnormalknee,0\n")
    asked = (*arguments, "--grade-names", names, "--show-names")
    assert run_djd(monkeypatch, *asked) == 0
    shown = capsys.readouterr().out
    assert "severity names whose grade is not known: 12 " in shown
    assert "unknown name: 12 x [b]Kim?" in shown.splitlines()
    assert "NormalKnee" not in shown
    assert run_djd(monkeypatch, *asked, "--labels-from", "names") == 1
    assert "received 12 unknown ones" in capsys.readouterr().out
