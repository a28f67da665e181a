"""Spelling of counts, scores, durations and sizes."""

import math
from collections.abc import Sequence

MOST_NAMES = 5
"""Names that a warning repeats."""

_HALF = 1e-9
"""Added before rounding: Python rounds halves to even, and 0.125 is written as 0.12."""


def count_of(number: int, noun: str) -> str:
    """A number of things, such as `1 cell` and `2 cells`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def first_of(names: Sequence[str]) -> str:
    """The first names and the number of the others: `a, b, c, d, e and 3 more`."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def share(value: float | None) -> str:
    """A share as a percentage; a dash where it is undefined."""
    # Halves go up, as people round: 3 of 24 is 13 %.
    return "-" if value is None else f"{100 * value + _HALF:.0f} %"


def number(value: float | None) -> str:
    """A score with two decimals; a dash where it is undefined."""
    # There is no -0.00.
    return "-" if value is None else f"{round(value + math.copysign(_HALF, value), 2) + 0.0:.2f}"


def capital(words: str) -> str:
    """The same with a large first letter."""
    return words[:1].upper() + words[1:]


def in_words(seconds: float) -> str:
    """About how long, in words."""
    if seconds < 1.5:
        return "a second"
    if seconds < 90:
        return f"{round(seconds)} seconds"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:.1f} hours"


def in_bytes(size: float) -> str:
    """A size on disk in megabytes or gigabytes."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(1, round(size / 1e6))} MB"
