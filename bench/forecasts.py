"""Forecast against truth: the duration that `train.py` prints at its start, and its own.

    python bench/forecasts.py
    python bench/forecasts.py --trainings run --processors avx2 --beside quiet --rounds 3
    python bench/forecasts.py --trainings sweep -- trainer.max_epochs=20

The trainings are `python train.py`, README's six-cell sweep, and eight cells of the matrix. Each is
a command of its own; the truth is from the line with the forecast to the end of the command.
"beside busy" lets another process multiply matrices on one thread from before the start. The cohort
and compiled blocks are made before. A "first" sweep has its paces to measure, and the next rounds
take them from the cache, whatever ran beside when they were measured.

2026-11-30, two-core x86-64 (AVX-512), nothing else beside:

                                          said    true  said/true
    here, sweep, quiet, first               33    34.2       0.96
    here, sweep, quiet                      33    37.9       0.87
    here, sweep, busy, first                59    48.2       1.22
    here, sweep, busy                       59    51.4       1.15
    here, run, quiet, first                 23    27.0       0.85
    here, run, quiet                        26    23.1       1.12
    here, run, busy, first                  22    22.2       0.99
    here, run, busy                         22    23.4       0.94
    here, matrix, quiet, first              18    19.2       0.94
    here, matrix, quiet                     18    21.8       0.83
    avx2, run, quiet, first                 30    30.0       1.00
    avx2, sweep, quiet, first               40    44.7       0.89
    avx2, matrix, quiet, first              21    22.4       0.94
"""

import argparse
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # train.py and bench are no parts of the package

from bench.processors import HERE, PROCESSORS, taken_for  # noqa: E402
from bench.sweeps import TRAIN  # noqa: E402
from djd.sweeps.forecast import PACES_NAME  # noqa: E402

TRAININGS: dict[str, tuple[str, ...]] = {
    "run": (),
    "sweep": ("-m", "model.depth=1,2,3", "optim=sgd,adam"),
    "matrix": (
        "experiment=matrix",
        "model.depth=1,2",
        "optim=sgd,adam",
        "optim.lr_times=1",
        "data.batch_size=32",
        "trainer.max_epochs=50",
        "data.fold=0,1",
    ),
}

FORECAST = re.compile(r"about (an?|[\d.]+) (second|minute|hour|day)s?\b")
UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}

BUSY = "import numpy as np; a = np.ones((500, 500)); [a @ a for _ in iter(int, 1)]"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Duration(NamedTuple):
    """Seconds that were said, and that passed from then on."""

    said: float
    true: float


@contextlib.contextmanager
def beside(what: str) -> Iterator[None]:
    """Nothing, or a process that keeps one core busy."""
    if what == "quiet":
        yield
        return
    busy = subprocess.Popen([sys.executable, "-c", BUSY], env=os.environ | ONE_THREAD)
    try:
        yield
    finally:
        busy.kill()
        busy.wait()


def time_command(arguments: Sequence[str], folder: Path) -> Duration:
    """Run `train.py` with these arguments in a folder.

    Raises:
        SystemExit: It failed, or printed no forecast; its lines.
    """
    command = [sys.executable, "-u", TRAIN, *arguments]
    said, began, lines = 0.0, time.perf_counter(), []
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        assert child.stdout
        for line in child.stdout:
            lines.append(line)
            found = FORECAST.search(line)
            if found and not said:
                said = seconds_of(*found.groups())
                began = time.perf_counter()
    ended = time.perf_counter()
    if child.returncode or not said:
        raise SystemExit("".join([f"{command} ended with status {child.returncode}\n", *lines]))
    return Duration(said, ended - began)


def seconds_of(number: str, unit: str) -> float:
    """Of words such as `2 minutes` or `a second`."""
    return (1.0 if number in ("a", "an") else float(number)) * UNITS[unit]


def main() -> None:
    """Print a line for each training."""
    parser = argparse.ArgumentParser(description="Forecasts against the truth.")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="for all trainings")
    parser.add_argument("--trainings", choices=TRAININGS, nargs="+", default=list(TRAININGS))
    parser.add_argument("--processors", choices=PROCESSORS, nargs="+", default=[HERE, "avx2"])
    parser.add_argument("--beside", choices=["quiet", "busy"], nargs="+", default=["quiet", "busy"])
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    print(f"{'':34}{'said':>8}{'true':>8}{'said/true':>11}")
    with tempfile.TemporaryDirectory() as place:
        for processor in asked.processors:
            with taken_for(processor):
                measure(asked, processor, Path(place))


def measure(asked: argparse.Namespace, processor: str, place: Path) -> None:
    """All trainings on one processor, with a cache of its own."""
    os.environ["XDG_CACHE_HOME"] = str(place / processor)
    time_command(["trainer.max_epochs=1", "test=never", *asked.settings], place)
    for name in asked.trainings:
        for other in asked.beside:
            (place / processor / "djd" / PACES_NAME).unlink(missing_ok=True)
            for round_ in range(asked.rounds):
                with beside(other):
                    said, true = time_command([*TRAININGS[name], *asked.settings], place)
                what = f"{processor}, {name}, {other}" + ("" if round_ else ", first")
                print(f"{what:34}{said:8.0f}{true:8.1f}{said / true:11.2f}", flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
