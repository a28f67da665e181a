"""What a choice is worth on phantoms, for choosing defaults.

    python bench/choices.py optim=sgd optim.lr=0.001,0.01,0.1
    python bench/choices.py data.views=anterior,posterior,both data.mirror_left=false,true

Trains every combination of the values given, on the first fold of invented cohorts whose seeds
nothing else uses, one thread a cell, and prints the validation kappa of each. What came out, and
what was chosen, is in docs/defaults.md.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # train.py and bench are no parts of the package

from bench.cells import train_cell  # noqa: E402

COHORT_SEEDS = (101, 102)


def kappas(overrides: Sequence[str], cohort_seed: int) -> list[float]:
    """Validation kappa at the score epochs of one cell."""
    logging.disable(logging.CRITICAL)
    cell = [*overrides, f"data.phantom_seed={cohort_seed}"]
    with TemporaryDirectory() as place:
        result = train_cell(Path(place) / "cell", cell)
    return [scores.scores["kappa"] or 0.0 for scores in result.validation]


def combinations(axes: Sequence[str]) -> list[tuple[str, ...]]:
    """Overrides of each cell, from axes such as `optim.lr=0.1,1`."""
    values = [
        [f"{key}={value}" for value in listed.split(",")]
        for key, _, listed in (axis.partition("=") for axis in axes)
    ]
    return list(product(*values))


def main() -> None:
    """Train every combination and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("axes", nargs="+", metavar="KEY=VALUE,VALUE")
    arguments = parser.parse_args()
    cells = combinations(arguments.axes)
    with ProcessPoolExecutor(arguments.processes, get_context("spawn")) as pool:
        futures = {
            (cell, seed): pool.submit(kappas, cell, seed)
            for cell, seed in product(cells, COHORT_SEEDS)
        }
        print("kappa at the score epochs, cohort by cohort; mean", flush=True)
        for cell in cells:
            rows = np.array([futures[cell, seed].result() for seed in COHORT_SEEDS])
            shown = "   ".join(" ".join(f"{kappa:.2f}" for kappa in row) for row in rows)
            print(f"{' '.join(cell)}   {shown}   {rows.mean():.3f}", flush=True)


if __name__ == "__main__":
    main()
