"""A problem, and the order of problems and of suspicion."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from djd.check.kinds import Kind
from djd.grades import SIDES, Side


@dataclass(frozen=True)
class Problem:
    """A problem of a scan, of a knee, or of the whole cohort.

    Attributes:
        what: What was found, without scan and side.
        scan: Name of the scan; None for the cohort.
        side: None where both knees are concerned.
        stops: Whether training would stop, and not only warn.
    """

    kind: Kind
    what: str
    scan: str | None = None
    side: Side | None = None
    stops: bool = False

    @property
    def effect(self) -> str:
        """`stops` or `warns`."""
        return "stops" if self.stops else "warns"


def worst_first(problems: Iterable[Problem]) -> list[Problem]:
    """What stops, then the heavier kinds; the cohort before scans, scans by name, right first."""
    return sorted(
        problems,
        key=lambda each: (
            *(not each.stops, -each.kind.weight, each.scan or ""),
            *(SIDES.index(each.side) if each.side else -1, each.what),
        ),
    )


def suspicion(problems: Iterable[Problem]) -> int:
    """How suspicious the problems of one scan make it; 0 for none."""
    return sum(each.kind.weight + 100 * each.stops for each in problems)


def by_scan(problems: Sequence[Problem]) -> dict[str, list[Problem]]:
    """The problems of each scan that has any."""
    grouped: dict[str, list[Problem]] = {}
    for problem in problems:
        if problem.scan is not None:
            grouped.setdefault(problem.scan, []).append(problem)
    return grouped
