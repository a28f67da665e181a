"""Sweeps for tests: small ones, in this process or in one of their own."""

import csv
import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import train
from tests.conftest import tiny_beside

ROOT = Path(__file__).parent.parent

HIDE_FORK_SERVER = "import multiprocessing.context as c; c._concrete_contexts.pop('forkserver', 0);"
"""Python that makes a process spawn cells, as Windows and macOS do."""

AXES = ("model.depth=1,2", "data.fold=0,1,2")
"""What the fixture `sweep` compares."""


@dataclass(frozen=True)
class Sweep:
    """A finished comparison that nobody changes."""

    folder: Path
    cache: Path


def run_train(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """`python train.py` in this process."""
    monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
    monkeypatch.setattr(train, "failures", [])
    monkeypatch.setattr(train, "started", [])
    level = logging.root.level
    try:
        return train.main()
    finally:  # what later tests say would go to Hydra's handler, and this test's standard output
        logging.root.setLevel(level)
        handlers = logging.root.handlers
        handlers[:] = [each for each in handlers if type(each) is not logging.StreamHandler]


def sweep_arguments(cache: Path, sweep: Path, *axes: str) -> list[str]:
    """A sweep of tiny cells; what the axes say counts more than `TINY`."""
    return ["-m", *axes, *tiny_beside(axes), f"paths.cache={cache}", f"hydra.sweep.dir={sweep}"]


def start_train(log: Path, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    """`python train.py` in a process of its own."""
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, str(ROOT / "train.py"), *arguments],
            stdout=file,
            stderr=file,
            cwd=log.parent,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )


def failing_config(folder: Path) -> str:
    """A folder for `--config-dir` with an optimizer for each way to fail."""
    (folder / "optim").mkdir(parents=True)
    names = ("Raises", "RaisesUntilHealed", "Exits", "Crashes", "IsKilled", "Diverges")
    for name in names:
        values = {
            "_target_": f"tests.failing_optimizers.{name}",
            "lr": 0.01,
            "lr_times": 1,
            "schedule": "constant",
        }
        (folder / "optim" / f"{name.lower()}.yaml").write_text(yaml.safe_dump(values))
    return str(folder)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def predictions(sweep: Path) -> dict[str, str]:
    """All predictions of a sweep by place."""
    return {
        str(path.relative_to(sweep)): path.read_text(encoding="utf-8")
        for path in sorted(sweep.rglob("predictions.csv"))
    }
