"""Which base rate each optimizer should have: `python bench/base_rates.py`, about half an hour.

Trains the base setting at a ladder of rates on the first fold of invented cohorts whose seeds
nothing else uses, one thread a cell, and prints the validation kappa of each. What came out, and
what was chosen, is in docs/defaults.md.
"""

import argparse
import contextlib
import io
import logging
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hydra import compose, initialize_config_dir
from platformdirs import user_cache_path

import train
from djd.training.run import run

COHORT_SEEDS = (101, 102)
RATES = {
    "sgd": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
    "momentum": (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "adagrad": (3e-4, 1e-3, 3e-3, 1e-2),
    "adam": (3e-5, 1e-4, 3e-4, 1e-3, 3e-3),
}


def kappas(optim: str, rate: float, cohort_seed: int, overrides: tuple[str, ...]) -> list[float]:
    """Validation kappa at the score epochs of one cell."""
    logging.disable(logging.CRITICAL)
    with initialize_config_dir(train.CONF, version_base="1.3"):
        cell = (f"optim={optim}", f"optim.lr={rate}", f"data.phantom_seed={cohort_seed}")
        values = train.plain_values(compose("config", overrides=[*cell, *overrides]))
    values["paths"]["cache"] = str(user_cache_path("djd"))
    with TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        result = run(values, Path(folder), in_sweep=True)
    return [scores.scores["kappa"] or 0.0 for scores in result.validation]


def main() -> None:
    """Train every rate and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--optim", nargs="+", default=list(RATES), choices=RATES)
    parser.add_argument("overrides", nargs="*", help="such as model.depth=3")
    arguments = parser.parse_args()
    overrides = tuple(arguments.overrides)
    cells = [(optim, rate) for optim in arguments.optim for rate in RATES[optim]]
    with ProcessPoolExecutor(arguments.processes, get_context("spawn")) as pool:
        futures = {
            ((optim, rate), seed): pool.submit(kappas, optim, rate, seed, overrides)
            for (optim, rate), seed in product(cells, COHORT_SEEDS)
        }
        print(" ".join(overrides) or "as the defaults are")
        print("optim     rate      kappa at the score epochs, a row a cohort; mean")
        for cell in cells:
            rows = np.array([futures[cell, seed].result() for seed in COHORT_SEEDS])
            shown = "   ".join(" ".join(f"{kappa:.2f}" for kappa in row) for row in rows)
            print(f"{cell[0]:9} {cell[1]:<9g} {shown}   {rows.mean():.3f}", flush=True)


if __name__ == "__main__":
    main()
