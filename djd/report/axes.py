"""The compared axes: names, limits, questions and effects."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeGuard, get_args

import numpy as np
from numpy.typing import NDArray

from djd.report.scores import SMALLER_IS_BETTER
from djd.runs.keys import AxisValue, short_names
from djd.statistics.effects import LevelScores, best_in_grid, matched_settings, mean_over_grid
from djd.statistics.intervals import Estimate
from djd.statistics.selection import Draws
from djd.sweeps.setting_scores import Setting

COMPARED: Mapping[str, float] = {"kappa": -1.0, "accuracy": 0.0, "rps": -1.0}
"""Scores by which settings are compared, and the least value of each; `rps` is negated."""

EPOCHS = "epochs"
"""The axis that every comparison has."""

WORDS: Mapping[str, str] = {
    "model": "network",
    "model.depth": "depth",
    "optim": "optimizer",
    "optim.lr": "learning rate",
    "optim.lr_times": "learning rate factor",
    "data.batch_size": "batch size",
    "data.share": "share of the patients",
    EPOCHS: "epochs",
}
"""Names of axes on the page; other axes go by their keys."""

LIMITS: Mapping[str, tuple[float, float]] = {
    EPOCHS: (1, np.inf),
    "model.depth": (1, 5),
    "model.width": (1, np.inf),
    "data.batch_size": (1, np.inf),
    "members": (1, np.inf),
    "data.pixels": (32, 128),
    "data.share": (0, 1),
}
"""The least and the largest value of an axis; values of other axes are above 0."""

Question = Literal["hyperparameters", "depth", "optimizer"]
QUESTIONS: tuple[Question, ...] = get_args(Question)


@dataclass(frozen=True, eq=False)
class AxisEffect:
    """The effect of one axis on one score.

    Attributes:
        axis: Its key, or `EPOCHS`.
        score: `kappa`, `accuracy` or `rps`.
        levels: Numbers ascending, then names by alphabet.
        mean: Over the grid of the other axes; None, as `best`, where no place has all levels. Of
            `rps` negated, as `best`, since the smallest is the best.
        best: The best in that grid.
        matched: Number of settings whose place in the grid every level has.
        settings: Number of all settings.
    """

    axis: str
    name: str
    score: str
    levels: tuple[AxisValue, ...]
    mean: LevelScores | None
    best: LevelScores | None
    matched: int
    settings: int

    def estimate(self, judged: LevelScores, place: int) -> Estimate:
        """The score of a level as it is, not negated."""
        value, low, high = judged.estimates[place]
        negated = self.score in SMALLER_IS_BETTER
        return Estimate(-value, -high, -low) if negated else Estimate(value, low, high)


def axis_effects(
    settings: Sequence[Setting],
    score: str,
    scores: NDArray[np.float64],
    draws: Draws,
    patients: int,
) -> Iterable[AxisEffect]:
    """Effects on a score of all axes with more than one level; `scores` is float64 (setting,)."""
    places = [place_of(setting) for setting in settings]
    for axis, name in short_names(places[0]).items():
        levels = sorted(dict.fromkeys(place[axis] for place in places), key=_numbers_first)
        if len(levels) < 2:
            continue
        level_of = np.array([levels.index(place[axis]) for place in places])
        others = [tuple(place[key] for key in place if key != axis) for place in places]
        numbers = {other: number for number, other in enumerate(dict.fromkeys(others))}
        grid = np.array([numbers[other] for other in others])
        kept = matched_settings(level_of, grid, count=len(levels))
        mean = best = None
        if len(kept):
            chosen = scores[kept], draws[kept], level_of[kept], patients
            mean = mean_over_grid(*chosen)
            best = best_in_grid(*chosen, lowest=COMPARED[score])
        yield AxisEffect(axis, name, score, tuple(levels), mean, best, len(kept), len(settings))


def place_of(setting: Setting) -> dict[str, AxisValue]:
    """The value of a setting on every axis and epochs."""
    return {**setting.axes, EPOCHS: setting.epochs}


def is_number(value: AxisValue) -> TypeGuard[int | float]:
    """Whether a value is a number, and not a name or a switch."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers_first(value: AxisValue) -> tuple[bool, float, str]:
    return (False, float(value), "") if is_number(value) else (True, 0.0, str(value))


def axis_words(keys: Iterable[str]) -> dict[str, str]:
    """Names of axes on the page, by key."""
    return {key: WORDS.get(key, name) for key, name in short_names(list(keys)).items()}
