"""Effects of one axis on a score, over the grid of all other axes.

A level is one value of the axis, such as depth 2. It is judged twice: by the mean over the grid of
the other axes, and by the best in that grid, chosen again in every draw; the mean alone would
punish an optimizer for a narrow range of good rates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from djd.statistics.intervals import Estimate, Interval, percentile_interval
from djd.statistics.metrics import Array
from djd.statistics.selection import Draws, distance_to_tell, interval_of_best, near_best


@dataclass(frozen=True, eq=False)
class LevelScores:
    """One score for every level of an axis.

    Attributes:
        estimates: One a level; each interval holds by itself.
        distance: Least difference that distinguishes two levels; difference plus and minus it is
            an interval of the difference, for all pairs at once. NaN with too few patients.
    """

    estimates: tuple[Estimate, ...]
    distance: float

    @property
    def scores(self) -> Array:
        """Score of each level, float64 (level,)."""
        return np.array([each.value for each in self.estimates])

    @property
    def among_best(self) -> NDArray[np.bool_]:
        """Levels that can't be distinguished from the best, bool (level,)."""
        return near_best(self.scores, self.distance)


def mean_over_grid(
    scores: Array, draws: Draws, levels: NDArray[np.int64], patients: int
) -> LevelScores:
    """Mean of each level's settings, of scores float64 (setting,).

    `levels` are int64 (setting,), from 0; the grid of the other axes has to be the same in all
    levels (see `matched_settings`). A draw has `patients` patients.
    """
    grids = [levels == level for level in range(levels.max() + 1)]
    means = [scores[each].mean() for each in grids]
    drawn = [draws[each].mean(axis=0) for each in grids]
    intervals = [percentile_interval(row, patients) for row in drawn]
    return _level_scores(means, drawn, intervals, patients)


def best_in_grid(
    scores: Array, draws: Draws, levels: NDArray[np.int64], patients: int, *, lowest: float = -1.0
) -> LevelScores:
    """The best of each level's settings, with the interval of a best of many.

    Args as in `mean_over_grid`, and `lowest` as in `interval_of_best`.
    """
    of_best = partial(interval_of_best, patients=patients, lowest=lowest)
    grids = [levels == level for level in range(levels.max() + 1)]
    best = [scores[each].max() for each in grids]
    drawn = [draws[each].max(axis=0) for each in grids]
    intervals = [of_best(scores[each], draws[each]) for each in grids]
    return _level_scores(best, drawn, intervals, patients)


def _level_scores(
    scores: Sequence[float], draws: Sequence[Array], intervals: Sequence[Interval], patients: int
) -> LevelScores:
    pairs = zip(scores, intervals, strict=True)
    estimates = tuple(Estimate(float(score), *ends) for score, ends in pairs)
    return LevelScores(estimates, distance_to_tell(np.array(scores), np.stack(draws), patients))


def matched_settings(
    levels: NDArray[np.int64], others: NDArray[np.int64], *, count: int
) -> NDArray[np.int64]:
    """Settings whose place in the other axes' grid every level has, int64 (setting,), indices.

    Where cells failed, a level must neither gain nor lose by settings that other levels lack.
    `levels`, below `count`, and `others`, the place in the other axes' grid, are int64 (setting,).
    """
    pairs = np.unique(np.stack([others, levels], axis=1), axis=0)
    places, found = np.unique(pairs[:, 0], return_counts=True)
    return np.flatnonzero(np.isin(others, places[found == count]))
