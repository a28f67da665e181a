"""What each compared axis does, and where the best setting is at the edge of its grid."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from djd.runs.keys import AxisValue, short_names
from djd.statistics.effects import (
    LevelScores,
    best_in_grid,
    matched_settings,
    mean_over_grid,
)
from djd.statistics.selection import Draws
from djd.sweeps.setting_scores import Setting

EPOCHS = "epochs"
"""The axis that every comparison has: epochs trained."""

LOWEST: Mapping[str, float] = {
    EPOCHS: 1,
    "model.depth": 1,
    "model.width": 1,
    "data.batch_size": 1,
}
"""Axes that are counted from 1; all others are above 0."""

HIGHEST: Mapping[str, float] = {"model.depth": 5}
"""Axes that can't go on for ever."""


@dataclass(frozen=True, eq=False)
class AxisEffect:
    """What one axis does to one score.

    Attributes:
        axis: Its key, or `EPOCHS`.
        name: What it is called for short.
        score: `kappa` or `accuracy`.
        levels: Its values; numbers ascending, names by alphabet.
        mean: Of each level, over the grid of the other axes; None where no place in the grid has
            all levels.
        best: Of each level, the best in that grid; None likewise.
        matched: Settings behind it, whose place in the grid every level has.
        settings: Settings that there are.
    """

    axis: str
    name: str
    score: str
    levels: tuple[AxisValue, ...]
    mean: LevelScores | None
    best: LevelScores | None
    matched: int
    settings: int


@dataclass(frozen=True)
class Edge:
    """An axis on which the best setting has the smallest or the largest value tried.

    Attributes:
        axis: Its key, or `EPOCHS`.
        name: What it is called for short.
        value: The best setting's.
        largest: Whether it is the largest; else the smallest.
        inside: Values between the smallest and the largest.
    """

    axis: str
    name: str
    value: float
    largest: bool
    inside: frozenset[float]

    def spares(self, setting: Setting) -> bool:
        """Whether a setting stands inside the grid of this axis."""
        return place_of(setting)[self.axis] in self.inside


def axis_effects(
    settings: Sequence[Setting],
    score: str,
    scores: NDArray[np.float64],
    draws: Draws,
    patients: int,
) -> Iterable[AxisEffect]:
    """The effect of every axis that has more than one level.

    Args:
        settings: The settings.
        score: `kappa` or `accuracy`.
        scores: float64 (setting,).
        draws: float64 (setting, draw).
        patients: How many a draw has.
    """
    places = [place_of(setting) for setting in settings]
    for axis, name in short_names(places[0]).items():
        levels = _levels(place[axis] for place in places)
        if len(levels) < 2:
            continue
        level_of = np.array([levels.index(place[axis]) for place in places])
        others = _numbered(
            tuple(value for key, value in place.items() if key != axis) for place in places
        )
        kept = matched_settings(level_of, others, count=len(levels))
        mean = best = None
        if len(kept):
            chosen = scores[kept], draws[kept], level_of[kept], patients
            mean = mean_over_grid(*chosen)
            best = best_in_grid(*chosen, lowest=-1.0 if score == "kappa" else 0.0)
        yield AxisEffect(axis, name, score, tuple(levels), mean, best, len(kept), len(settings))


def _levels(values: Iterable[AxisValue]) -> list[AxisValue]:
    def key(value: AxisValue) -> tuple[bool, float, str]:
        return (False, float(value), "") if _is_number(value) else (True, 0.0, str(value))

    return sorted(dict.fromkeys(values), key=key)


def _is_number(value: AxisValue) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbered(values: Iterable[tuple[AxisValue, ...]]) -> NDArray[np.int64]:
    """Equal values by equal numbers."""
    numbers: dict[tuple[AxisValue, ...], int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values])


def edges(settings: Sequence[Setting]) -> list[Edge]:
    """Axes on which the best setting stands at the edge of what was tried, and could go on.

    Args:
        settings: The best first.
    """
    places = [place_of(setting) for setting in settings]
    names = short_names(places[0]) if places else {}
    found = []
    for axis, best in places[0].items() if places else ():
        values = [value for place in places if _is_number(value := place[axis])]
        if not _is_number(best) or len(set(values)) < 2:
            continue
        lowest, highest = LOWEST.get(axis, 0), HIGHEST.get(axis, np.inf)
        inside = frozenset(values) - {min(values), max(values)}
        if best == max(values) and best < highest:
            found.append(Edge(axis, names[axis], best, largest=True, inside=inside))
        elif best == min(values) and best > lowest:
            found.append(Edge(axis, names[axis], best, largest=False, inside=inside))
    return found


def place_of(setting: Setting) -> dict[str, AxisValue]:
    """Where a setting stands on every axis, epochs among them."""
    return {**setting.axes, EPOCHS: setting.epochs}
