"""Names of scans and patients: one form for each, and names that may mean the same.

macOS stores a letter such as é in two signs (NFD), and keyboards write one sign (NFC); spreadsheets
drop leading zeros, and keep blanks that nobody sees.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from djd.data.spreadsheets import changed_by_spreadsheet
from djd.wording import count_of, first_of

_BLANK_CATEGORIES = ("Zs", "Zl", "Zp", "Cc", "Cf")
_BLANK_LETTERS = "\u115f\u1160\u2800\u3164\uffa0"  # fillers: letters for Unicode, blanks for people
_UNSEEN = ("Cc", "Cf")

_SUFFIX = re.compile(r"\.[A-Za-z]\w*$")  # that of a file, not the decimals of 1.2E+35
_LEADING_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")
_DECIMALS = re.compile(r"(?<=\d)\.0+$")  # a column of numbers with a gap becomes 7.0
_AMID_NO_NUMBERS = re.compile(r"(?<!\d)-+|-+(?!\d)")  # "1 11" is not "11 1"


def one_form(text: str) -> str:
    """The text in Unicode's form NFC, without blank and invisible signs around it."""
    text = unicodedata.normalize("NFC", text)
    seen = [place for place, sign in enumerate(text) if not _is_blank(sign)]
    return text[seen[0] : seen[-1] + 1] if seen else ""


def scan_name(path: Path) -> str:
    """A file's name without its suffix, in one form."""
    return one_form(path.stem) or path.stem


def meant(name: str, known: Collection[str]) -> str:
    """The known name that is nearly the same as an unknown one, for the end of a sentence.

    Where a spreadsheet may have changed a known name to the unknown one, the sentence says so.
    """
    bare = _SUFFIX.sub("", name)
    if each := _alike(name, known):
        zeros = each.lstrip("0") == name.lstrip("0")
        return f" (without the zeros of {each}?)" if zeros else f" ({each!r}?)"
    if changed := changed_by_spreadsheet(name, known) or changed_by_spreadsheet(bare, known):
        which = f"one of {first_of(changed)}" if len(changed) > 1 else changed[0]
        return f" ({which}, changed by Excel? keep the column as text)"
    each = _alike(bare.rpartition("/")[2], known)
    return f" ({each!r}?)" if each else ""


def unknown_names(names: Iterable[str], known: Collection[str]) -> list[str]:
    """Those names that are not known, each with the one that may be meant."""
    return [f"{name}{meant(name, known)}" for name in sorted(set(names).difference(known))]


def groups_line(patients: Mapping[str, str]) -> str | None:
    """How many scans have another name for their patient; None where none has.

    `patients` holds the patient of each scan, by `data.groups` or by the headers of DICOM files.
    """
    own = {scan for scan, patient in patients.items() if scan == patient}
    grouped = {patient for scan, patient in patients.items() if scan not in own}
    if not grouped:
        return None
    joined = sorted(own & grouped)
    of_which = f", of which {first_of(joined)} join the patient of that name" if joined else ""
    named, unnamed = count_of(len(patients) - len(own), "scan"), count_of(len(own), "scan")
    return (
        f"patients named by data.groups, or by DICOM headers (P0001 and so on): {named}; under "
        f"their own name: {unnamed}{of_which}"
    )


def alike_names(names: Iterable[str]) -> list[list[str]]:
    """Names that are nearly the same, as P-001 and p1, in groups of two or more."""
    by_look: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        by_look.setdefault(look_of(name), []).append(name)
    return [group for group in by_look.values() if len(group) > 1]


def alike_warning(patients: Iterable[str]) -> str | None:
    """Patients whose names are nearly the same, in a sentence; None where there are none."""
    alike = [" and ".join(map(repr, names)) for names in alike_names(patients)]
    if not alike:
        return None
    return (
        "patients whose names are nearly the same count as different ones, and may stand on two "
        f"parts: {first_of(alike)}; if they are one, give their scans one name "
        "in data.groups"
    )


def look_of(name: str) -> str:
    """The same text for names that differ in case, width, zeros or signs alone, as P-001 and p1."""
    wide = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    text = _AMID_NO_NUMBERS.sub("", "".join(map(_letter, _DECIMALS.sub("", wide))))
    return _LEADING_ZEROS.sub("", text) or wide


def _alike(name: str, known: Collection[str]) -> str | None:
    """The first known name that looks like the name, whatever folder the known one is in."""
    looks = ((each, {look_of(each), look_of(each.rpartition("/")[2])}) for each in sorted(known))
    return next((each for each, own in looks if name and look_of(name) in own), None)


def _is_blank(sign: str) -> bool:
    return sign in _BLANK_LETTERS or unicodedata.category(sign) in _BLANK_CATEGORIES


def _letter(sign: str) -> str:
    """A letter, a digit of 0 to 9, - for another sign, or nothing for one that nobody sees."""
    category = unicodedata.category(sign)
    if category in _UNSEEN or sign in _BLANK_LETTERS:
        return ""
    digit = unicodedata.decimal(sign, None)
    return str(digit) if digit is not None else sign if category[0] in "LMN" else "-"
