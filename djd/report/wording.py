"""How a figure is written: the score, its interval in brackets, percent where it is a share."""

import math

from djd.report.scoreboard import Figures
from djd.statistics.intervals import Estimate
from djd.wording import count_of, number, share

DASH = "-"
"""Where there is no figure."""


def scored(score: Estimate, *, percent: bool = False) -> str:
    """A score with its interval, as `0.62 (0.45 to 0.74)` or `46 % (34 to 58)`."""
    value, low, high = score
    if math.isnan(value):
        return DASH
    if percent:
        ends = "" if math.isnan(low) else f" ({share(low)[:-2]} to {share(high)[:-2]})"
        return f"{share(value)}{ends}"
    return f"{number(value)}{between(low, high)}"


def between(low: float, high: float) -> str:
    """An interval in brackets after a space; nothing where there is none, or it has no width."""
    # Without any width it is no interval: the kappa of a constant guess is 0 for anybody.
    return "" if math.isnan(low) or low == high else f" ({number(low)} to {number(high)})"


def in_one_line(figures: Figures) -> str:
    """The main scores with their intervals."""
    scores = figures.scores
    return (
        f"kappa {scored(scores['kappa'])}, accuracy {scored(scores['accuracy'], percent=True)}, "
        f"balanced accuracy {scored(scores['balanced_accuracy'], percent=True)}, minimal recall "
        f"{scored(scores['recall_minimal'], percent=True)}, off by one at most "
        f"{scored(scores['off_by_one'], percent=True)} ({figures.knees} knees of "
        f"{count_of(figures.patients, 'patient')}; 95 % intervals)"
    )


def capital(words: str) -> str:
    """The same with a large first letter."""
    return words[:1].upper() + words[1:]
