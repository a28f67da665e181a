"""Spelling of counts, scores, durations, sizes and commands."""

import math
import os
import re
import shlex
from collections.abc import Sequence

FOR_WINDOWS = os.name == "nt"
"""Commands are spelt for cmd.exe and PowerShell, not for POSIX shells."""

MOST_NAMES = 5
"""Names that a warning repeats."""

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of writing."""

_HALF = 1e-9
"""Added before rounding: Python rounds halves to even, and 0.125 is written as 0.12."""


def count_of(number: int, noun: str) -> str:
    """A number of things, such as `1 cell` and `2 cells`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(words: Sequence[str]) -> str:
    """Words, one or more, in a sentence: `a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def first_of(names: Sequence[str]) -> str:
    """The first names and the number of the others: `a, b, c, d, e and 3 more`."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def share(value: float | None) -> str:
    """A share as a percentage; a dash where it is undefined."""
    # Halves go up, as people round: 3 of 24 is 13 %.
    return "-" if value is None else f"{100 * value + _HALF:.0f} %"


def number(value: float | None, *, decimals: int = 2) -> str:
    """A score with so many decimals; a dash where it is undefined."""
    if value is None:
        return "-"
    # There is no -0.00.
    rounded = round(value + math.copysign(_HALF, value), decimals) + 0.0
    return f"{rounded:.{decimals}f}"


def capital(words: str) -> str:
    """The same with a large first letter."""
    return words[:1].upper() + words[1:]


def on_terminal(text: str) -> str:
    """Text with a ? for each sign that would steer a terminal; line breaks and tabs stay."""
    return _STEERING.sub("?", text)


def printable(text: str) -> str:
    """Text out of a file for one line of a terminal: a ? for each other sign."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def in_words(seconds: float) -> str:
    """About how long, in words."""
    if seconds < 1.5:
        return "a second"
    if seconds < 90:
        return f"{round(seconds)} seconds"
    if seconds < 90 * 60:
        minutes = seconds / 60
        return f"{minutes:.1f} minutes" if minutes < 10 else f"{minutes:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"


def in_shell(*words: str) -> str:
    """A command as a person's shell takes it, each word as the program is to receive it."""
    return " ".join(map(_for_windows if FOR_WINDOWS else shlex.quote, words))


def line_end() -> str:
    """The end of a command's line that goes on in the next."""
    return " ^" if FOR_WINDOWS else " \\"


def _for_windows(word: str) -> str:
    r"""A word in double quotes where it needs any, for cmd.exe and PowerShell.

    Within quotes cmd.exe replaces `%NAME%`, and takes the quote of `\"` for a closing one. Words
    with such signs have carets before all signs of cmd.exe's, quotes included.
    """
    if word and not re.search(r"[^\w+=:./\\-]", word):
        return word
    # Programs take two backslashes for one right before a quote, and for two elsewhere.
    ends = re.sub(r'(\\*)("|\Z)', lambda end: end[1] * 2 + end[2].replace('"', r"\""), word)
    quoted = f'"{ends}"'
    return re.sub(r'([()%!^"<>&|])', r"^\1", quoted) if re.search('["%]', word) else quoted


def in_bytes(size: float) -> str:
    """A size on disk in megabytes or gigabytes."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(1, round(size / 1e6))} MB"
