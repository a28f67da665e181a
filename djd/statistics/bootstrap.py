"""Patients drawn again and again: what a score might have been with others of their kind.

The confusion counts of a setting are kept for each patient. A draw of patients is a row of whole
weights, and all draws of all settings are one product of matrices; every score of the counts then
has its draws (Field and Welsh, Journal of the Royal Statistical Society B 69:369, 2007). All
settings share the same draws, so differences between them are paired.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from djd.grades import GRADE_COUNT
from djd.machine import on_all_cores
from djd.statistics.metrics import Counts, Scores

DRAWS = 10_000
"""Draws of patients for scores of confusion counts."""

FEW_DRAWS = 2_000
"""Draws for scores of probabilities, which take a product a setting."""

Weights = NDArray[np.float32]
"""float32 (draw, patient): how often each draw holds each patient; rows sum to the patients."""

_MOST_COUNTS = 4_000_000
"""Drawn counts held at a time and core, 32 MB; twice as many are no faster."""


def draw_patients(patients: int, *, draws: int = DRAWS, seed: int = 0) -> Weights:
    """Draws of as many patients as there are, with replacement.

    Args:
        patients: One or more.
        draws: How many.
        seed: The same seed gives the same draws.
    """
    return draw_some_patients(patients, patients, draws=draws, seed=seed)


def draw_some_patients(patients: int, drawn: int, *, draws: int = DRAWS, seed: int = 0) -> Weights:
    """Draws of another number of patients, such as the 40 of a test.

    Args:
        patients: How many there are to draw from.
        drawn: How many a draw has.
        draws: How many draws.
        seed: The same seed gives the same draws.
    """
    generator = np.random.default_rng(seed)
    chances = np.full(patients, 1 / patients)
    return generator.multinomial(drawn, chances, size=draws).astype(np.float32)


def score_draws(
    weights: Weights,
    counts: Counts,
    scores: Mapping[str, Callable[[Counts], Scores]],
) -> dict[str, NDArray[np.float64]]:
    """Every score in every draw, by name: float64 (training, draw), NaN where it is undefined.

    Args:
        weights: See `Weights`.
        counts: (training, patient, true grade 5, predicted grade 5), int64 or means of such; a
            training here is a setting with one seed, all of its folds together.
        scores: Functions of confusion counts with leading axes, as in `djd.statistics.metrics`.
    """
    drawn = {name: np.empty((len(counts), len(weights))) for name in scores}
    at_once = max(1, _MOST_COUNTS // (len(weights) * GRADE_COUNT**2))

    def score_some(first: int) -> None:
        some = slice(first, first + at_once)
        counts_of_some = _drawn_counts(weights, counts[some])
        for name, score in scores.items():
            drawn[name][some] = score(counts_of_some).T

    on_all_cores(score_some, range(0, len(counts), at_once))
    return drawn


def _drawn_counts(weights: Weights, counts: Counts) -> NDArray[np.float64]:
    """Counts of every draw, float64 (draw, training, true grade 5, predicted grade 5)."""
    draws, patients = weights.shape
    by_patient = counts.astype(np.float32).transpose(1, 0, 2, 3).reshape(patients, -1)
    # Whole numbers below 2**24: exact in float32, at twice the speed.
    product = (weights @ by_patient).astype(np.float64)
    return product.reshape(draws, -1, GRADE_COUNT, GRADE_COUNT)


def mean_of_repeats(values: NDArray[np.float64], repeats: Sequence[int]) -> NDArray[np.float64]:
    """Means over the trainings of each setting, float64 (setting, ...).

    Args:
        values: float64 (training, ...), the trainings of a setting side by side.
        repeats: How many trainings each setting has, one or more.
    """
    firsts = np.cumsum([0, *repeats[:-1]])
    sums = np.add.reduceat(values, firsts, axis=0)
    means: NDArray[np.float64] = sums / np.reshape(repeats, (-1, *[1] * (values.ndim - 1)))
    return means
