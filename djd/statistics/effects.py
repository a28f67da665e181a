"""What one compared axis does, over the grid of all others.

A level is one value of the axis, such as depth 2. It is judged twice: by the mean over the grid of
the other axes, and by the best in that grid, chosen again in every draw; the mean alone would
punish an optimizer for a narrow range of good rates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from djd.statistics.intervals import Estimate, Interval, percentile_interval
from djd.statistics.selection import Draws, distance_to_tell, interval_of_best, near_best


@dataclass(frozen=True, eq=False)
class LevelScores:
    """One score for every level of an axis.

    Attributes:
        estimates: One a level; each interval holds by itself.
        distance: How far two levels have to be apart to be told apart; it holds for all pairs at
            once, so that difference plus and minus it is an interval of the difference. NaN where
            there are too few patients to say.
    """

    estimates: tuple[Estimate, ...]
    distance: float

    @property
    def scores(self) -> NDArray[np.float64]:
        """Score of each level, float64 (level,)."""
        return np.array([each.value for each in self.estimates])

    @property
    def among_best(self) -> NDArray[np.bool_]:
        """Levels that can't be told apart from the best, bool (level,)."""
        return near_best(self.scores, self.distance)


def mean_over_grid(
    scores: NDArray[np.float64], draws: Draws, levels: NDArray[np.int64], patients: int
) -> LevelScores:
    """Mean of each level's settings.

    Args:
        scores: float64 (setting,).
        draws: See `Draws`.
        levels: int64 (setting,), the level of each, 0 to one less than there are levels; the grid
            of the other axes has to be the same in all (see `matched_settings`).
        patients: How many a draw has.
    """
    grids = _settings_of(levels)
    means = [scores[each].mean() for each in grids]
    drawn = [draws[each].mean(axis=0) for each in grids]
    intervals = [percentile_interval(row, patients) for row in drawn]
    return _level_scores(means, drawn, intervals, patients)


def best_in_grid(
    scores: NDArray[np.float64],
    draws: Draws,
    levels: NDArray[np.int64],
    patients: int,
    *,
    lowest: float = -1.0,
) -> LevelScores:
    """The best of each level's settings; its interval is that of a best of many.

    The arguments are those of `mean_over_grid`, and `lowest` of `interval_of_best`.
    """
    grids = _settings_of(levels)
    best = [scores[each].max() for each in grids]
    drawn = [draws[each].max(axis=0) for each in grids]
    intervals = [
        interval_of_best(scores[each], draws[each], patients, lowest=lowest) for each in grids
    ]
    return _level_scores(best, drawn, intervals, patients)


def _level_scores(
    scores: Sequence[float],
    draws: Sequence[NDArray[np.float64]],
    intervals: Sequence[Interval],
    patients: int,
) -> LevelScores:
    pairs = zip(scores, intervals, strict=True)
    return LevelScores(
        tuple(Estimate(float(score), *ends) for score, ends in pairs),
        distance_to_tell(np.array(scores), np.stack(draws), patients),
    )


def matched_settings(
    levels: NDArray[np.int64], others: NDArray[np.int64], *, count: int
) -> NDArray[np.int64]:
    """Settings whose place in the other axes' grid every level has, int64 (setting,), indices.

    Where some settings are missing, as their cells failed, a level must neither gain nor lose by
    what the others don't have.

    Args:
        levels: int64 (setting,), 0 to `count` - 1.
        others: int64 (setting,), the place of each in the grid of the other axes.
        count: Levels of the axis.
    """
    pairs = np.unique(np.stack([others, levels], axis=1), axis=0)
    places, found = np.unique(pairs[:, 0], return_counts=True)
    return np.flatnonzero(np.isin(others, places[found == count]))


def _settings_of(levels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [np.flatnonzero(levels == level) for level in range(int(levels.max()) + 1)]
