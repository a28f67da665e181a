"""What launchers of clusters say before anything is trained."""

import shutil
import sys

import pytest

from tests.sweeping import run_train


def sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> str:
    assert run_train(monkeypatch, "-m", "seed=0,1", "dry_run=true", *arguments) == 1
    return capsys.readouterr().err.strip()


def test_a_machine_without_slurm_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert sentence(monkeypatch, capsys, "hydra/launcher=slurm") == (
        "hydra/launcher=slurm: expected Slurm's commands (sbatch, squeue) on this machine, "
        "received none; hydra.launcher.executor=local tries all of it without Slurm"
    )


def test_another_executor_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("hydra/launcher=slurm", "hydra.launcher.executor=pbs")
    assert sentence(monkeypatch, capsys, *arguments) == (
        "hydra.launcher.executor: expected slurm or local, received pbs"
    )


@pytest.mark.parametrize(
    ("launcher", "module"), [("slurm hydra.launcher.executor=local", "submitit"), ("ray", "ray")]
)
def test_a_library_that_is_not_installed_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], launcher: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not there
    said = sentence(monkeypatch, capsys, *f"hydra/launcher={launcher}".split())
    name = launcher.partition(" ")[0]
    assert said == (
        f"hydra/launcher={name}: expected an installed {module}, received none; say pip install "
        f'"djd[{name}]"'
    )


@pytest.mark.parametrize("key", ["max_jobs", "cells_at_once", "array_size"])
def test_a_count_below_one_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    arguments = ("hydra/launcher=slurm", f"hydra.launcher.{key}=0")
    assert sentence(monkeypatch, capsys, *arguments) == (
        f"hydra.launcher.{key}: expected 1 or more, received 0"
    )
