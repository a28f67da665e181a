"""How long it takes to work out the figures of a whole comparison.

    python bench/figures.py

500 invented settings of 165 patients with two knees each: 10,000 draws of patients, every score
with its interval, the best set, the winner's interval, the out-of-bag estimate and the effect of an
axis. Held against the plain way to do one part of that: kappa of one setting in each draw by
scikit-learn, timed for 200 draws and multiplied.

2026-11-25, two-core x86-64:

    500 settings, 10000 draws, every score and choice: 4.9 s (7.7 s beside other work)
    kappa alone, draw by draw with scikit-learn: 70 min
"""

import time

import numpy as np
from sklearn.metrics import cohen_kappa_score

from djd.report.scores import Scoreboard
from djd.statistics.bootstrap import DRAWS
from djd.statistics.effects import best_in_grid, mean_over_grid
from djd.statistics.held_out import HeldOut
from djd.statistics.selection import best_set, interval_of_best, out_of_bag

SETTINGS = 500
PATIENTS = 165
TIMED_DRAWS = 200


def invent(seed: int) -> HeldOut:
    """One setting's held-out knees; grades are the same in all."""
    grades = np.random.default_rng(0).integers(0, 5, 2 * PATIENTS)
    generator = np.random.default_rng([1, seed])
    logits = generator.normal(size=(2 * PATIENTS, 5)) + 1.5 * np.eye(5)[grades]
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return HeldOut(
        patient=np.repeat(np.arange(PATIENTS), 2),
        repeat=np.zeros(2 * PATIENTS, dtype=np.int64),
        grades=grades,
        predicted=chances.argmax(axis=1),
        probabilities=chances,
        patients=PATIENTS,
    )


def time_ours(settings: list[HeldOut]) -> float:
    """Seconds for everything."""
    began = time.perf_counter()
    board = Scoreboard.of(settings)
    kappas, draws = board.values("kappa"), board.draws["kappa"]
    best_set(kappas, draws, PATIENTS)
    interval_of_best(kappas, draws, PATIENTS)
    out_of_bag(board.counts(), draws, board.weights)
    levels = np.arange(SETTINGS) % 4
    mean_over_grid(kappas, draws, levels, PATIENTS)
    best_in_grid(kappas, draws, levels, PATIENTS)
    return time.perf_counter() - began


def time_plain(setting: HeldOut) -> float:
    """Seconds for the kappa of all settings in all draws, one by one."""
    generator = np.random.default_rng(2)
    grades, predicted = setting.grades.reshape(-1, 2), setting.predicted.reshape(-1, 2)
    began = time.perf_counter()
    for _ in range(TIMED_DRAWS):
        drawn = generator.integers(0, PATIENTS, PATIENTS)
        cohen_kappa_score(
            grades[drawn].ravel(), predicted[drawn].ravel(), weights="quadratic", labels=range(5)
        )
    return (time.perf_counter() - began) / TIMED_DRAWS * SETTINGS * DRAWS


def main() -> None:
    """Time both and print the ratio."""
    settings = [invent(seed) for seed in range(SETTINGS)]
    ours, plain = time_ours(settings), time_plain(settings[0])
    print(f"{SETTINGS} settings, {DRAWS} draws, every score and choice: {ours:.1f} s")
    print(
        f"kappa alone, draw by draw with scikit-learn: {plain / 60:.0f} min ({plain / ours:.0f}x)"
    )


if __name__ == "__main__":
    main()
