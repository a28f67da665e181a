"""What a real sweep costs, the unit being the matrix: cells an hour, and what holds them up.

    python bench/matrix.py
    python bench/matrix.py --processors here --epochs 100 --rounds 1
    python bench/matrix.py --one-by-one                      # with a fourth way
    python bench/matrix.py --engines                         # Slurm's and Ray's launchers, too
    python bench/matrix.py recipe=study model.depth=3 optim=sgd,adam,adagrad

Three things, each the median of rounds:

1. One and the same sweep on the default phantom, from the first command to the end of the last, by
   three ways in turn: our launcher; Hydra's basic launcher, all cells in one process; each cell as
   a `python train.py` of its own, as many at a time as there are cores, as with xargs. With
   `--one-by-one` these come one at a time as well. Every cell trains on one thread, test patients
   stay closed, and no report is written. What is made once a machine, cohort, compiled blocks and
   paces of trainings, is made before. The fewer epochs, the more starting counts; 25 are the
   fewest of `experiment=matrix`. "avx2" takes this processor for one without AVX-512
   (`bench/processors.py`); what follows is measured once.
2. What a cell out of the fork server costs beyond its steps and figures (`bench/overhead.py`).
3. What a second core adds: the same network trained on noise, 32 knees a step, in two processes of
   one thread each at once, against one alone; beside it copies of 64 MB and products of two
   1024x1024 matrices (`bench/together.py`).

2026-11-30, two-core x86-64, quiet, one round; "here" has AVX-512:

                                           here               avx2
    ours: hydra/launcher=processes         14.5 s  1988/h     16.7 s  1720/h
    hydra/launcher=basic, one process      20.0    1443       23.2    1244
    python train.py a cell, a core each    28.1    1026       27.5    1047

    beyond steps and figures: 0.35 s a cell and 4 ms an epoch (figures 0.30 s)

    one thread a process                     one     two           two/one
    training, default                      333.3   648.2 steps/s      1.95
    training, depth 1                      152.2   281.0 steps/s      1.85
    training, depth 2                       33.7    63.8 steps/s      1.89
    training, depth 3                       21.6    39.7 steps/s      1.84
    copying memory                          47.2    49.7 GB/s         1.05
    matrix products                        113.1   224.0 GFLOP/s      1.98
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # train.py and bench are no parts of the package

from bench import overhead, together  # noqa: E402
from bench.processors import HERE, PROCESSORS, taken_for  # noqa: E402
from bench.sweeps import (  # noqa: E402
    AT_ONCE,
    BASIC,
    ONE_BY_ONE,
    OURS,
    RAY,
    SUBMITIT,
    Sweep,
    make_ready,
    seconds_of,
)
from djd.machine import Stopped, stop_on_signals, usable_cores  # noqa: E402

AXES = ("model.depth=1,2", "optim=sgd,adam", "data.fold=0,1")
FIXED = ("test=never", "report=false", "trainer.accelerator=cpu")
GOAL_SECONDS = 0.5
"""Of a cell beyond its steps and figures."""


def main() -> None:
    """Measure and print; Ctrl-C ends what was started and leaves nothing."""
    arguments = read_arguments()
    try:
        with stop_on_signals(), tempfile.TemporaryDirectory() as place:
            print_all(arguments, Path(place))
    except Stopped as stop:
        print(stop, file=sys.stderr)
        sys.exit(stop.exit_status)


def read_arguments() -> argparse.Namespace:
    """What is measured, and how long."""
    parser = argparse.ArgumentParser(description="What a real sweep costs.")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="commas make an axis")
    parser.add_argument("--processors", choices=PROCESSORS, nargs="+", default=[HERE, "avx2"])
    parser.add_argument("--epochs", type=int, default=25, help="of a cell of the sweep")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--one-by-one", action="store_true", help="separate commands so, too")
    parser.add_argument("--engines", action="store_true", help="the launchers of clusters, too")
    parser.add_argument("--cells", type=int, default=4, help="of each length, for their own cost")
    parser.add_argument("--seconds", type=float, default=1.0, help="of work on one core or two")
    parser.add_argument("--cache", type=Path, help="a cache folder to keep and to take from")
    parser.add_argument("--quick", action="store_true", help="a look: one round, 2 epochs")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.epochs, arguments.rounds, arguments.cells, arguments.seconds = 2, 1, 2, 0.3
    if arguments.cache:
        arguments.cache = arguments.cache.resolve()
    return arguments


def print_all(arguments: argparse.Namespace, place: Path) -> None:
    """Print one table after another."""
    fixed = (*FIXED, *(each for each in arguments.settings if "," not in each))
    axes = tuple(each for each in arguments.settings if "," in each) or AXES
    sweep = Sweep(axes, (*fixed, f"trainer.max_epochs={arguments.epochs}"))
    ways = [OURS, BASIC, AT_ONCE, *([ONE_BY_ONE] if arguments.one_by_one else [])]
    ways += [SUBMITIT, RAY] if arguments.engines else []
    caches = arguments.cache or place / "cache"
    for processor in arguments.processors:
        # The cache of all that is started; systems that don't know the name take the user's. Each
        # kind of processor has paces of its own.
        os.environ["XDG_CACHE_HOME"] = str(caches / processor)
        print(f"\n{processor}")
        with taken_for(processor):
            print_sweeps(sweep, ways, place, arguments.rounds)
    costs = overhead.measure(arguments.cells, fixed)
    print(f"\none cell of the base setting; goal: {GOAL_SECONDS} s beyond steps and figures")
    print(*overhead.told(costs), sep="\n", flush=True)
    gains = together.measure(rounds=arguments.rounds, seconds=arguments.seconds)
    print("", *together.told(gains), sep="\n")


def print_sweeps(sweep: Sweep, ways: Sequence[str], place: Path, rounds: int) -> None:
    """Cells an hour by each way."""
    cores, cells = usable_cores(), len(sweep.cells())
    began = time.perf_counter()
    make_ready(sweep, place)
    made = time.perf_counter() - began
    print(f"{cells} cells on {cores} cores: {' '.join((*sweep.axes, *sweep.fixed))}")
    print(f"made before: {made:.0f} s\n", flush=True)
    seconds = time_sweeps(sweep, ways, place, rounds, cores)
    print(*table(seconds, cells), sep="\n", flush=True)


def table(seconds: dict[str, list[float]], cells: int) -> Iterable[str]:
    """Lines of a table as docs/speed.md has it: medians."""
    yield "| | seconds | cells an hour | times djd |"
    yield "| --- | --- | --- | --- |"
    for way, found in seconds.items():
        ratios = [each / ours for each, ours in zip(found, seconds[OURS], strict=True)]
        middle, ratio = statistics.median(found), statistics.median(ratios)
        yield f"| {way} | {middle:.1f} | {3600 * cells / middle:,.0f} | {ratio:.1f} |"


def time_sweeps(
    sweep: Sweep, ways: Sequence[str], place: Path, rounds: int, cores: int
) -> dict[str, list[float]]:
    """Seconds of each way in each round, all ways in turn; each round begins with another."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for round_ in range(rounds):
        first = round_ % len(ways)
        for way in (*ways[first:], *ways[:first]):
            with tempfile.TemporaryDirectory(dir=place) as folder:
                seconds[way].append(seconds_of(sweep, way, Path(folder), cores))
    return seconds


if __name__ == "__main__":
    main()
