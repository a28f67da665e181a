import sys
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
    folder, out = tmp_path / "스캔 (1)", tmp_path / "out"
    assert run_djd(monkeypatch, "phantom", folder, "--patients", "9", "--seed", "1") == 0
    assert "PHANTOM" in capsys.readouterr().out
    assert run_djd(monkeypatch, "check", folder, "--out", out, "--test-count", "1") == 0
    shown = capsys.readouterr().out
    assert "PHANTOM" in shown
    assert "9 scans of 9 patients: 18 graded knees, 0 unspecified" in shown
    assert "Training would go on" in shown
    assert (out / "check.html").is_file()


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


def test_phantom_leaves_a_folder_of_scans_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_scan(tmp_path, "0000001")
    sentence = run_djd(monkeypatch, "phantom", tmp_path, "--patients", "1")
    assert isinstance(sentence, str)
    assert "without .mat files" in sentence
    assert [path.name for path in tmp_path.iterdir()] == ["0000001.mat"]
