"""What spreadsheets make of names: 12e3456 and 123456789012345678 are numbers there, 1-2 a date."""

import re
from collections.abc import Iterable, Iterator
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal

_NUMBER = re.compile(r"(\d{1,400})(?:[.,](\d{1,400}))?(?:E([+-]?\d{1,5}))?", re.ASCII | re.I)
_INFINITE = ("inf", "infinity")

_DIGITS_KEPT = (15, 16, 17)
"""Digits of a number of 64 bits that programs keep; zeros follow."""

_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july"),
    *("august", "september", "october", "november", "december"),
)
_MIDNIGHT = re.compile(r"[ T]0?0:00(:00(\.0+)?)?$")
_PART = re.compile(r"\d{1,4}|[a-z]{3,9}|[월일년]", re.ASCII)
_BETWEEN = re.compile(r"[-/., ]*")
_SHOWN_DATE = re.compile(r"[a-z/월]|\d{4}-\d\d-\d\d|\d\d?[.-]\d\d?[.-]\d{4}", re.ASCII)


def changed_by_spreadsheet(name: str, known: Iterable[str]) -> list[str]:
    """The known names that a spreadsheet may have written as `name`, in their order.

    Excel shows 123456789012345678 as 1.23457E+17 or with zeros after 15 digits, 12e3456 as
    1.2E+3457 (other programs as inf), and 1-2 and MAR1 as dates such as 02-Jan and 1-Mar.
    """
    return [
        each
        for each in sorted(known)
        if each != name and (_is_number_of(name, each) or _is_date_of(name, each))
    ]


def _is_number_of(shown: str, name: str) -> bool:
    own = _NUMBER.fullmatch(name)
    if not own:
        return False
    if shown.casefold() in _INFINITE:
        return bool(own[3]) and float(name.replace(",", ".")) == float("inf")
    found = _NUMBER.fullmatch(shown)
    if not found:
        return False
    value, wanted = _value(own), _value(found)
    if value == wanted:
        return bool(own[2] or own[3] or found[3])  # equal whole numbers differ in zeros alone
    digits = len(f"{found[1]}{found[2] or ''}".lstrip("0"))
    if found[3]:
        return wanted in _rounded(value, (digits,))
    return digits > _DIGITS_KEPT[0] and wanted in _rounded(value, _DIGITS_KEPT)


def _value(number: re.Match[str]) -> Decimal:
    return Decimal(f"{number[1]}.{number[2] or 0}E{number[3] or 0}")


def _rounded(value: Decimal, digits: Iterable[int]) -> Iterator[Decimal]:
    for each in digits:
        for rounding in (ROUND_DOWN, ROUND_HALF_UP):
            yield Context(prec=max(1, each), rounding=rounding).plus(value)


def _is_date_of(shown: str, name: str) -> bool:
    text = _MIDNIGHT.sub("", shown).casefold()
    if not _SHOWN_DATE.search(text):
        return False
    (date, month), (own, own_month) = _date(text), _date(name.casefold())
    if month and own_month and month != own_month:
        return False
    # A day without a year gets the year of the day on which it was typed.
    shorter = [date[:place] + date[place + 1 :] for place in range(len(date)) if len(date) == 3]
    return len(own) in (2, 3) and own in (date, *shorter)


def _date(text: str) -> tuple[list[int], int]:
    """Day, month and year by size, since their order differs, and the month of a word, or 0.

    Of a year two digits count. No numbers where the text is no date.
    """
    parts = _PART.findall(text)
    words = [part for part in parts if part.isascii() and not part.isdigit()]
    months = [_month(word) for word in words]
    numbers = sorted([int(part) % 100 for part in parts if part.isdigit()] + months)
    between = _BETWEEN.fullmatch(_PART.sub("", text))
    if not between or len(words) > 1 or not all(numbers) or min(numbers, default=13) > 12:
        return [], 0
    return numbers, sum(months)


def _month(word: str) -> int:
    return next((place for place, name in enumerate(_MONTHS, 1) if name.startswith(word)), 0)
