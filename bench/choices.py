"""What a choice is worth on phantoms, for choosing defaults.

    python bench/choices.py optim=sgd optim.lr=0.001,0.01,0.1
    python bench/choices.py data.views=anterior,posterior,both data.mirror_left=false,true

Trains every combination of the values given, on the first fold of invented cohorts whose seeds
nothing else uses, one thread a cell, and prints the validation kappa of each. What came out, and
what was chosen, is in docs/defaults.md.
"""

import argparse
import contextlib
import io
import logging
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from djd.runs.jobs import run_cell
from platformdirs import user_cache_path

from hydra_plugins.djd._composing import compose_values

COHORT_SEEDS = (101, 102)

sys.path.insert(0, str(Path(__file__).parents[1]))  # train.py is no part of the package


def kappas(overrides: Sequence[str], cohort_seed: int) -> list[float]:
    """Validation kappa at the score epochs of one cell."""
    import train

    logging.disable(logging.CRITICAL)
    cell = [*overrides, f"data.phantom_seed={cohort_seed}"]
    values = compose_values(train.CONF, cell)
    values["paths"]["cache"] = str(user_cache_path("djd"))
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        result = run_cell(values, Path(folder))
        assert result is not None, "nobody else works in a folder of our own"
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
