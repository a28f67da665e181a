"""What each idea of docs/recipes.md is worth on phantoms, for choosing recipes.

    python bench/ideas.py                          # all of them: hours
    python bench/ideas.py base residual            # some, by name
    python bench/ideas.py mine optim.lr=0.02       # an idea of one's own

Trains `recipe=best`, with what each idea changes, on the five folds of invented cohorts that
nothing else uses, one sweep a cohort. Prints a line of Markdown an idea: quadratic kappa by the
median and ranked probability score, out of fold, means over the cohorts; both are worked out here
from `predictions.csv`. The base took 252 s (two-core x86-64 with AVX-512, 2026-11-29). The tables
of docs/recipes.md are older than this script and say how they were made.
"""

import argparse
import csv
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.metrics import cohen_kappa_score

sys.path.insert(0, str(Path(__file__).parents[1]))  # bench is no part of the package

from bench.sweeps import run_all

COHORT_SEEDS = (101, 102, 103, 104, 105)
"""Of the cohorts that recipes are tuned on; docs/recipes.md reports on others."""

IDEAS = {
    "base": (),
    "no augmentation": ("augment=none",),
    "views as channels": ("data.views=both", "data.batch_size=32"),
    "anterior alone": ("data.views=anterior", "data.batch_size=32"),
    "depth 2": ("model.depth=2",),
    "depth 4": ("model.depth=4",),
    "width 32": ("model.width=32",),
    "64 pixels, depth 4": ("data.pixels=64", "model.depth=4"),
    "residual": ("model=residual",),
    "cross entropy": ("loss=cross_entropy",),
    "corn": ("loss=corn",),
    "soft labels": ("loss=soft",),
    "grade as a number": ("loss=expected",),
    "other knee": ("model.both_knees=true",),
    "uptake as input": ("model.uptake=true",),
    "dropout 0.5": ("model.dropout=0.5",),
    "weight decay 0.1": ("optim.weight_decay=0.1",),
    "class weights": ("loss.class_weights=balanced",),
    "mean of weights": ("trainer.weight_average=exponential",),
    "constant rate": ("optim.schedule=constant", "optim.lr=0.001"),
    "not mirrored": ("augment.mirror=0",),
    "not thinned": ("augment.thin=0",),
    "not turned": ("augment.turn=0", "augment.zoom=0"),
    "8 knees a step": ("data.batch_size=8",),
    "32 knees a step": ("data.batch_size=32",),
    "100 epochs": ("trainer.max_epochs=100",),
}
"""What each idea changes of the recipe."""


def scores(overrides: Sequence[str], cohort_seed: int, folder: Path) -> list[tuple[float, float]]:
    """Kappa by the median and ranked probability score of each training seed, out of fold."""
    fixed = ("data.fold=0,1,2,3,4", "test=never", "keep=none", "report=false", "plots=false")
    command = ["-m", *fixed, "logger=[]", f"data.phantom_seed={cohort_seed}", *overrides]
    run_all([[*command, f"hydra.sweep.dir={folder / 'sweep'}"]], at_once=1, place=folder)
    lines = []
    for file in folder.glob("sweep/*fold=*/predictions.csv"):
        with file.open(encoding="utf-8-sig") as rows:
            lines += list(csv.DictReader(rows))
    last = max(int(line["epoch"]) for line in lines)
    lines = [line for line in lines if int(line["epoch"]) == last]
    seeds = sorted({line["seed"] for line in lines})
    return [_scores([line for line in lines if line["seed"] == seed]) for seed in seeds]


def _scores(lines: Sequence[dict[str, str]]) -> tuple[float, float]:
    grades = np.array([int(line["grade"]) for line in lines])
    shares = np.array([[float(line[f"p{grade}"]) for grade in range(5)] for line in lines])
    below = shares.cumsum(axis=1)
    median = (below.round(7) >= 0.5).argmax(axis=1)
    steps = below[:, :-1] - (grades[:, None] <= np.arange(4))
    kappa = cohen_kappa_score(grades, median, weights="quadratic")
    return float(kappa), float((steps**2).sum(axis=1).mean() / 4)


def main() -> None:
    """Train what was asked for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="ideas, or a name and KEY=VALUE of one's own")
    parser.add_argument("--cohorts", type=int, nargs="+", default=COHORT_SEEDS, metavar="SEED")
    parser.add_argument("--every", default=(), nargs="+", metavar="KEY=VALUE", help="of all ideas")
    arguments = parser.parse_args()
    own = tuple(name for name in arguments.names if "=" in name)
    names = [name for name in arguments.names if "=" not in name] or list(IDEAS)
    if not own and (unknown := set(names) - set(IDEAS)):
        parser.error(f"expected an idea or its KEY=VALUE, received {', '.join(sorted(unknown))}")
    print("| idea | kappa | of each cohort | RPS | seconds |\n| --- | --- | --- | --- | --- |")
    for name in names:
        started, rows = time.perf_counter(), []
        for seed in arguments.cohorts:
            with TemporaryDirectory() as place:
                changed = [*arguments.every, *IDEAS.get(name, own)]
                rows.append(np.mean(scores(changed, seed, Path(place)), axis=0))
        kappa, rps = np.mean(rows, axis=0)
        each = ", ".join(f"{row[0]:.2f}" for row in rows)
        seconds = time.perf_counter() - started
        print(f"| {name} | {kappa:.3f} | {each} | {rps:.4f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
