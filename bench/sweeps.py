"""One and the same sweep by several ways, each as a person would type it."""

import shlex
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

TRAIN = str(Path(__file__).parents[1] / "train.py")

OURS, BASIC = "ours: hydra/launcher=processes", "hydra/launcher=basic, one process"
SUBMITIT, RAY = "hydra/launcher=slurm, jobs of this machine", "hydra/launcher=ray, of this machine"
AT_ONCE, ONE_BY_ONE = "python train.py a cell, a core each", "python train.py a cell, one by one"
"""Ways to train a sweep."""

LAUNCHERS: dict[str, list[str]] = {
    OURS: [],
    BASIC: ["hydra/launcher=basic"],
    SUBMITIT: ["hydra/launcher=slurm", "hydra.launcher.executor=local"],
    RAY: ["hydra/launcher=ray"],
}
"""What makes a sweep one command by each of these ways."""

SECONDS_TO_STOP = 40
"""How long a command may take to end its own processes."""

LAST_LINES = 15
"""Of what a failed command has printed."""


@dataclass(frozen=True)
class Sweep:
    """What is trained.

    Attributes:
        axes: Such as `optim=sgd,adam`.
        fixed: The settings that all cells share.
    """

    axes: tuple[str, ...]
    fixed: tuple[str, ...]

    def cells(self) -> list[tuple[str, ...]]:
        """The settings of each cell that differ."""
        split = [axis.partition("=") for axis in self.axes]
        return list(product(*([f"{key}={value}" for value in s.split(",")] for key, _, s in split)))

    def commands(self, way: str, folder: Path) -> list[list[str]]:
        """Arguments of `train.py` that train every cell into this folder."""
        if way in LAUNCHERS:
            sweep = ["-m", *self.axes, *self.fixed, *LAUNCHERS[way]]
            return [[*sweep, f"hydra.sweep.dir={folder}"]]
        return [
            [*cell, *self.fixed, "trainer.threads=1", f"hydra.run.dir={folder / str(index)}"]
            for index, cell in enumerate(self.cells())
        ]


def make_ready(sweep: Sweep, place: Path) -> None:
    """Let be made what is made once a machine: cohort, compiled blocks, times of a step."""
    for way in (OURS, BASIC):
        (command,) = sweep.commands(way, place / "dry")
        run_all([[*command, "dry_run=true"]], at_once=1, place=place)


def seconds_of(sweep: Sweep, way: str, folder: Path, cores: int) -> float:
    """Of the whole sweep, from the first command to the end of the last.

    Args:
        sweep: What is trained.
        way: How.
        folder: Where it goes; it exists and is empty.
        cores: How many commands run at a time, where they do.
    """
    commands = sweep.commands(way, folder / "sweep")
    began = time.perf_counter()
    run_all(commands, at_once=cores if way == AT_ONCE else 1, place=folder)
    return time.perf_counter() - began


def run_all(commands: Sequence[list[str]], *, at_once: int, place: Path) -> None:
    """Run `train.py` with each of these arguments; none is left running, however this ends.

    Raises:
        SystemExit: One of them failed; its last lines.
    """
    waiting = deque(enumerate(commands))
    running: list[_Running] = []
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                index, command = waiting.popleft()
                running.append(_start(command, place / f"{index}.log"))
            for ended in [each for each in running if each.child.poll() is not None]:
                running.remove(ended)
                ended.require_success()
            time.sleep(0.01)
    finally:
        _stop([each.child for each in running])


class _Running(NamedTuple):
    child: subprocess.Popen[bytes]
    command: list[str]
    log: Path

    def require_success(self) -> None:
        if self.child.returncode:
            printed = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
            sentence = f"{shlex.join(self.command)}\nended with status {self.child.returncode}:"
            raise SystemExit("\n".join([sentence, *printed[-LAST_LINES:]]))


def _start(arguments: list[str], log: Path) -> _Running:
    """In a session of its own: Ctrl-C reaches us alone, and we tell it."""
    command = [sys.executable, TRAIN, *arguments]
    with log.open("wb") as printed:
        child = subprocess.Popen(
            command,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return _Running(child, command, log)


def _stop(children: Sequence[subprocess.Popen[bytes]]) -> None:
    for child in children:
        child.terminate()
    for child in children:
        try:
            child.wait(SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
