"""The page of a check: every problem, and every scan with its picture."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote

import numpy as np

from djd.check.cohort_problems import Checked
from djd.check.kinds import KINDS, Kind
from djd.check.pictures import HEIGHT, WIDTH
from djd.check.problems import Problem, by_scan, suspicion
from djd.data.scan_files import ScanFolder
from djd.grades import GRADE_COUNT, GRADE_NAMES, SIDES
from djd.report.page.page import own_page
from djd.wording import count_of

NO_GRADE = "no grade"


class KindFound(NamedTuple):
    """A kind of problem on the page: what was found of it, why it matters, what to do."""

    kind: Kind
    key: int
    effect: str
    number: str


class Card(NamedTuple):
    """A scan on the page.

    Attributes:
        key: Its place by name, for links and for sorting.
        grades: In words, right and left.
        worst: The higher grade; -1 where there is none.
        kinds: Keys of the kinds of its problems.
        picture: Address; empty where the scan can't be read.
    """

    key: int
    scan: str
    grades: tuple[str, str]
    worst: int
    problems: Sequence[Problem]
    kinds: str
    picture: str


def check_page(
    found: Checked, scans: ScanFolder, *, pictures: str, black: float, train_line: str
) -> str:
    """The page as HTML; its pictures are files below `pictures`, an address.

    `black` counts a pixel are black in the pictures; `train_line` is what to type to train.
    """
    cohort = found.cohort
    cards = scan_cards(found, pictures)
    values = {
        "title": "Scans to train on",
        "stamp": cohort.stamp,
        "folder": cohort.root.absolute().name,
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "answer": answer(found),
        "counts": f"{cohort.size}: {count_of(len(cohort), 'graded knee')}, "
        f"{cohort.unspecified} unspecified",
        "head": ("side", *(f"{grade} {name}" for grade, name in enumerate(GRADE_NAMES)), "knees"),
        "knees": grade_counts(found),
        "train_line": train_line,
        "stops": found.stops,
        "kinds": kinds_found(found.problems),
        "problems": found.problems,
        "kind_keys": {kind.name: key for key, kind in enumerate(KINDS)},
        "cards": cards,
        "card_keys": {card.scan: card.key for card in cards},
        "files": {each.name: each.path.relative_to(scans.root).as_posix() for each in scans},
        "black": f"{black:.0f}",
        "width": WIDTH,
        "height": HEIGHT,
    }
    return own_page(__package__, "check", values)


def answer(found: Checked) -> str:
    """Whether training would go on, and what there is to look at."""
    if not found.problems:
        return "Training would go on, and no problem was found."
    stopping = [each for each in found.problems if each.stops]
    others = by_scan([each for each in found.problems if not each.stops])
    at = f"stop at {count_of(len(stopping), 'problem')}" if stopping else "go on"
    looks = f"{count_of(len(others), 'scan')} with something to look at" if others else ""
    return f"Training would {'; '.join(filter(None, (at, looks)))}."


def grade_counts(found: Checked) -> list[list[str]]:
    """Knees of each grade and in all: right, left, both."""
    cohort, rows = found.cohort, []
    sides = [cohort.side_index == index for index in range(len(SIDES))]
    for side, knees in zip((*SIDES, "both"), (*sides, slice(None)), strict=True):
        counts = np.bincount(cohort.grades[knees], minlength=GRADE_COUNT)
        rows.append([side, *map(str, counts), str(counts.sum())])
    return rows


def kinds_found(problems: Sequence[Problem]) -> list[KindFound]:
    """The kinds that were found, the worst first."""
    count = Counter(each.kind.name for each in problems)
    stopping = {each.kind.name for each in problems if each.stops}
    found = [
        KindFound(
            kind,
            key,
            "stops" if kind.name in stopping else "warns",
            count_of(count[kind.name], "problem"),
        )
        for key, kind in enumerate(KINDS)
        if kind.name in count
    ]
    return sorted(found, key=lambda each: (each.effect == "warns", each.key))


def scan_cards(found: Checked, pictures: str) -> list[Card]:
    """A card a scan, the most suspicious first, then by name."""
    problems, grades = by_scan(found.problems), _grades(found)
    keys = {kind.name: key for key, kind in enumerate(KINDS)}
    cards = []
    for key, scan in enumerate(found.cohort.scans):
        of_scan = problems.get(scan, [])
        right, left = (grades.get((key, side)) for side in range(len(SIDES)))
        look = found.looks.get(scan)
        cards.append(
            Card(
                key=key,
                scan=scan,
                grades=(_in_words(right), _in_words(left)),
                worst=max(-1 if each is None else each for each in (right, left)),
                problems=of_scan,
                kinds=" ".join(sorted({str(keys[each.kind.name]) for each in of_scan})),
                picture=f"{quote(pictures)}/{quote(look.picture)}" if look else "",
            )
        )
    return sorted(cards, key=lambda card: -suspicion(card.problems))


def _grades(found: Checked) -> Mapping[tuple[int, int], int]:
    """Grade by scan and side, as indices."""
    cohort = found.cohort
    triples = zip(cohort.scan_index, cohort.side_index, cohort.grades, strict=True)
    return {(int(scan), int(side)): int(grade) for scan, side, grade in triples}


def _in_words(grade: int | None) -> str:
    return NO_GRADE if grade is None else f"{grade} {GRADE_NAMES[grade]}"
