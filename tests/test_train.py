import re
import signal
import subprocess
import sys
from argparse import Action, ArgumentParser
from pathlib import Path
from typing import Any

import pytest
from scipy.io import savemat

from djd.models.classifier import GradeClassifier
from djd.runs.result import RunResult
from tests.conftest import TINY, Compose, tiny_values
from tests.sweeping import rows_of, run_train, sweep_arguments
from tests.test_cli import run_djd
from tests.training import is_rehearsing


def one_sentence(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
    lines = (captured.out + captured.err).strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_the_command_line_is_read_where_argparse_looks_into_each_help(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As that of Python 3.14 does; one of Hydra's helps is no text."""
    add = ArgumentParser.add_argument

    def add_and_check(parser: ArgumentParser, *names: Any, **keywords: Any) -> Action:
        action = add(parser, *names, **keywords)
        parser._check_help(action)  # type: ignore[attr-defined]
        return action

    def check(parser: ArgumentParser, action: Action) -> None:
        assert "%" not in (action.help or "")

    monkeypatch.setattr(ArgumentParser, "_check_help", check, raising=False)
    monkeypatch.setattr(ArgumentParser, "add_argument", add_and_check)
    assert run_train(monkeypatch, "optim.lr=-1") == 1
    assert "optim.lr" in one_sentence(capsys)


def test_torch_is_not_imported_before_training_starts() -> None:
    slow = "{'torch', 'lightning', 'matplotlib', 'sklearn'}"
    code = f"import sys, train, djd.cli; print(*{slow} & {{*sys.modules}})"
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == ""


@pytest.mark.usefixtures("no_timing")
def test_the_sweep_line_trains_every_combination_and_scores_the_best_on_the_test_patients(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tiny: Compose,
    tmp_path: Path,
) -> None:
    cache, sweep = Path(tiny()["paths"]["cache"]), tmp_path / "sweep"
    axes = ("model.depth=1,2,3", "optim=sgd,adam", "trainer.max_epochs=1")
    assert run_train(monkeypatch, *sweep_arguments(cache, sweep, *axes)) == 0
    cells = {path.parent.name for path in sweep.glob("*/result.json")}
    assert cells == {
        f"depth={depth} optim={name}" for depth in (1, 2, 3) for name in ("sgd", "adam")
    }
    assert len(list(sweep.rglob("model.ckpt"))) == 1
    assert len((cache / "test_openings.jsonl").read_text().splitlines()) == 1
    shown = capsys.readouterr().out
    assert shown.count(": validation kappa ") == 6
    assert re.search(r"\[1 of 1\] winner/depth=.*: test kappa ", shown)


def test_a_single_run_says_what_its_scores_are_worth_and_writes_its_tables(
    phantom_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    cache = tiny_values(phantom_folder, tmp_path)["paths"]["cache"]
    folder = tmp_path / "run"
    where = (f"paths.cache={cache}", f"hydra.run.dir={folder}")
    assert run_train(monkeypatch, *TINY, *where) == 0
    shown = capsys.readouterr().out
    assert re.search(r"validation: kappa -?\d\.\d\d \(-?\d\.\d\d to \d\.\d\d\)", shown)
    assert "out of fold: uptake has kappa" in shown
    assert "on the test patients: uptake has kappa" in shown
    setting, majority, uptake, _ = rows_of(folder / "settings.csv")
    assert setting["setting"] == (
        "model=cnn optim=adam depth=1 width=2 lr=0.01 batch_size=32 epochs=2"
    )
    result = RunResult.load(folder / "result.json")
    for part, scores in (("", result.validation[-1]), ("test_", result.test[-1])):
        for name in ("kappa", "accuracy", "mae", "auroc_any"):
            assert float(setting[part + name]) == pytest.approx(scores.scores[name], abs=1e-5)
    assert float(majority["kappa"]) == 0
    assert uptake["test_kappa"]
    assert [row["epoch"] for row in rows_of(folder / "cells.csv")] == ["1", "2"]
    tables = {path.name: path.read_bytes() for path in folder.glob("*.csv")}
    assert run_djd(monkeypatch, "report", folder) == 0
    assert {path.name: path.read_bytes() for path in folder.glob("*.csv")} == tables


def test_a_misspelt_key_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run_train(monkeypatch, "model.dept=2", f"hydra.run.dir={tmp_path / 'run'}") == 1
    assert "model.dept: expected a key of the configuration" in one_sentence(capsys)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "nothing there"),
        ({}, "received none"),
        ({"notes.txt": b"hello"}, "received none"),
        ({"0000001.mat": b"hello"}, "0000001.mat"),
        ({"0000001.mat": b""}, "0000001.mat"),
    ],
    ids=["missing", "empty", "no scans", "text", "0 bytes"],
)
def test_a_folder_without_scans_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    content: dict[str, bytes] | None,
    sentence: str,
) -> None:
    root = tmp_path / "a path/with spaces, (한글)"
    if content is not None:
        root.mkdir(parents=True)
        for name, data in content.items():
            (root / name).write_bytes(data)
    run_folder = tmp_path / "run"
    status = run_train(monkeypatch, "data=mat", f"data.root={root}", f"hydra.run.dir={run_folder}")
    assert status == 1
    received = one_sentence(capsys)
    assert sentence in received
    assert "한글" in received
    left = {path.name for path in run_folder.iterdir()}
    assert left == {".hydra", "run.log"}


def test_a_scan_of_another_kind_is_named_with_key_expected_and_received(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    savemat(tmp_path / "0000001.mat", {"X": [1]})
    run_train(monkeypatch, "data=mat", f"data.root={tmp_path}", f"hydra.run.dir={tmp_path / 'r'}")
    sentence = one_sentence(capsys)
    assert "0000001.mat" in sentence
    assert "expected" in sentence
    assert "received" in sentence


@pytest.mark.parametrize(
    ("argument", "named"),
    [("hydra.run.dir=${nope}", "nope"), ("model=5", "group"), ("=3", "group"), ("a", "'a'")],
)
def test_what_hydra_cannot_compose_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], argument: str, named: str
) -> None:
    assert run_train(monkeypatch, argument) == 1
    shown = capsys.readouterr()
    assert named in shown.out + shown.err
    assert "Traceback" not in shown.out + shown.err


def test_no_run_by_itself_is_a_refit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run_train(monkeypatch, "kind=refit", "test=never", f"hydra.run.dir={tmp_path}") == 1
    shown = capsys.readouterr().out
    assert "kind: expected run, which only a sweep changes, received refit" in shown


@pytest.mark.slow
def test_a_stopped_run_says_how_to_go_on_and_resume_latest_does(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tiny: Compose,
    tmp_path: Path,
) -> None:
    def stop(self: GradeClassifier, *arguments: object) -> None:
        if not is_rehearsing(self):
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.chdir(tmp_path)
    overrides = (*TINY, f"paths.cache={tiny()['paths']['cache']}", "test=never")
    with monkeypatch.context() as patch:
        patch.setattr(GradeClassifier, "on_train_batch_end", stop)
        assert run_train(monkeypatch, *overrides) == 143
    said = capsys.readouterr().err
    assert "to go on: python train.py resume=latest" in said
    assert run_train(monkeypatch, "resume=latest") == 0
    (folder,) = Path("outputs").iterdir()
    assert (folder / "result.json").exists()
    assert run_train(monkeypatch, "resume=latest") == 1
    assert "received none" in capsys.readouterr().err


@pytest.mark.parametrize("logging", ["stdout", "none"])
def test_paths_are_those_of_where_the_command_was_typed_without_a_log_too(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    phantom_folder: Path,
    tmp_path: Path,
    logging: str,
) -> None:
    (tmp_path / "scans").symlink_to(phantom_folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    where = ("data=mat", "data.root=scans", "paths.cache=cache", "hydra.run.dir=~/run, 1")
    options = ("hydra.job.chdir=true", f"hydra/job_logging={logging}", "dry_run=true")
    assert run_train(monkeypatch, *TINY[1:], *where, *options) == 0
    assert f"40 scans of 40 patients in {tmp_path / 'scans'}" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "run, 1").iterdir()} == {".hydra"}
    assert {path.name for path in tmp_path.glob("[!.]*")} == {"cache", "run, 1", "scans"}


def test_an_excluded_name_that_no_scan_has_is_a_warning(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tiny: Compose,
    tmp_path: Path,
) -> None:
    cache = f"paths.cache={tiny()['paths']['cache']}"
    run_folder = f"hydra.run.dir={tmp_path / 'run'}"
    excluded = "data.exclude=[0000001,nope]"
    assert run_train(monkeypatch, *TINY, cache, run_folder, excluded, "dry_run=true") == 0
    shown = capsys.readouterr().out
    assert "data.exclude names no scan of" in shown
    assert ": nope" in shown
