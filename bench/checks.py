"""How much of what is wrong with scans `djd check` finds, and how often it is wrong.

    python bench/checks.py                  # three seeds, a quarter of an hour
    python bench/checks.py --scans 20       # a quick look

Prints a line of Markdown for each kind of problem: the share that is found of invented scans with
that problem, and the share of ordinary scans that are said to have it. Limits were chosen on the
seeds 101 to 105; the default seeds are others. Copies are measured by `bench/copies.py`.

With 70 scans of each seed and style all of each kind were found, but for soft scans with a fifth
of their counts (93 %); false alarms were 1.0 % at most (2026-11-29, x86-64, one thread).
docs/checking.md has the table.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))  # bench is no part of the package

from djd.check.cohort_problems import faint_problems
from djd.check.kinds import DOUBTFUL, FAINT, MISPLACED
from djd.check.looks import Look, look_at
from djd.check.scan_problems import image_problems
from djd.data.crop import FAR_ROWS, place_knees
from djd.data.oddities import oddities_of
from djd.data.phantom.body import count, expected_counts
from djd.data.phantom.knee import invent_knee
from djd.data.phantom.odd import Case, turn_pages
from djd.data.phantom.patient import invent_patient
from djd.data.phantom.style import STYLES
from djd.data.scan import Scan, ScanFiles
from djd.grades import PhantomStyle

SEEDS = (201, 202, 203)
SCANS = 70
"""Of a seed and style."""

OFF = 40
"""Rows between a joint and the middle of its crop from which the crop is beside the knee; up to
`FAR_ROWS` it is not."""

Counts = NDArray[np.uint16]


class Invented(NamedTuple):
    """Counts, and the rows of both joints in the first page."""

    counts: Counts
    joints: NDArray[np.float64]


def invent(seed: int, number: int, style: PhantomStyle, case: Case | None = None) -> Invented:
    """A scan in memory."""
    seeds = np.random.SeedSequence([seed, number])
    patient = invent_patient(seeds, STYLES[style], case=case, null=False)
    right, left = (invent_knee(each, patient.image, STYLES[style]) for each in patient.severities)
    body = patient.body
    expected = expected_counts(body, (right, left), patient.image, patient.pose)
    pages, centres = turn_pages(case, count(expected, patient.image), body.knee_centres)
    return Invented(pages, centres[:, 0])


def upside_down(counts: Counts) -> Counts:
    """Both views turned by 180 degrees."""
    return counts[:, ::-1, ::-1]


def one_upside_down(counts: Counts) -> Counts:
    """The posterior view turned by 180 degrees."""
    return np.stack([counts[0], counts[1, ::-1, ::-1]])


def swapped(counts: Counts) -> Counts:
    """The posterior view first."""
    return counts[::-1]


def posterior_mirrored(counts: Counts) -> Counts:
    """The posterior view mirrored."""
    return np.stack([counts[0], counts[1, :, ::-1]])


def anterior_mirrored(counts: Counts) -> Counts:
    """The anterior view mirrored."""
    return np.stack([counts[0, :, ::-1], counts[1]])


def empty(counts: Counts) -> Counts:
    """No posterior view."""
    return np.stack([counts[0], np.zeros_like(counts[1])])


def cut_off(counts: Counts) -> Counts:
    """No shins."""
    cut = counts.copy()
    cut[:, 620:] = 0
    return cut


def saturated(counts: Counts) -> Counts:
    """Counts that end below the knees' hottest."""
    return np.minimum(counts, np.percentile(counts[:, 540:660], 98).astype(np.uint16))


def same(counts: Counts) -> Counts:
    """The anterior view twice."""
    return np.stack([counts[0], counts[0]])


def background(counts: Counts) -> Counts:
    """Noise without a body."""
    rng = np.random.default_rng(int(counts[0, 0].sum()))
    return rng.poisson(np.median(counts) + 1, counts.shape).astype(np.uint16)


CHANGES: tuple[tuple[str, str, Callable[[Counts], Counts]], ...] = (
    ("upside down", "both views turned", upside_down),
    ("upside down", "the posterior view turned", one_upside_down),
    ("views swapped", "pages exchanged", swapped),
    ("a view mirrored", "the posterior view", posterior_mirrored),
    ("a view mirrored", "the anterior view", anterior_mirrored),
    ("no body found", "background alone", background),
    ("empty view", "posterior view of zeros", empty),
    ("cut off or blank at a knee", "no counts below row 620", cut_off),
    ("saturated at a knee", "counts end at the knees' 98th percentile", saturated),
    ("the same image on both pages", "the anterior view twice", same),
)
UNGRADABLE: tuple[Case, ...] = ("crossed legs", "prosthesis", "blank leg")
CASES: tuple[Case, ...] = ("hand at knee", "hot bladder", "turned legs", *UNGRADABLE)
"""Odd phantoms."""

THINNED = (0.2, 0.1, 0.05)


def kinds_of(counts: Counts, folder: Path) -> tuple[set[str], Look]:
    """The kinds of problems of one scan by itself."""
    scan = Scan("scan", counts, (None, None), None)
    look = look_at(ScanFiles("scan", ()), scan, placement="study", pictures=folder)
    kinds = {each.kind.name for each in image_problems("scan", look)}
    for what in oddities_of(counts):
        ends = [name for name, _, _ in CHANGES if what.endswith(name)]
        kinds.update(ends or (["empty view"] if what.endswith("empty") else []))
    return kinds, look


class Tally:
    """Shares by line of the table."""

    def __init__(self) -> None:
        self.hits: dict[tuple[str, str], list[bool]] = defaultdict(list)

    def add(self, kind: str, what: str, hit: bool) -> None:
        """Count one scan."""
        self.hits[kind, what].append(hit)

    def lines(self) -> Iterator[str]:
        """Lines of Markdown."""
        for (kind, what), hits in self.hits.items():
            yield f"| {kind} | {what} | {len(hits)} | {100 * np.mean(hits):.1f} % |"


def tally_ordinary(tally: Tally, false: Tally, seed: int, scans: int, folder: Path) -> None:
    """Ordinary scans, and the same scans with what is done to them."""
    styles: tuple[PhantomStyle, ...] = ("plain", "soft")
    for style in styles:
        looks: dict[str, Look] = {}
        thin: dict[float, dict[str, Look]] = {share: {} for share in THINNED}
        for number in range(scans):
            scan = invent(seed, number, style)
            kinds, looks[str(number)] = kinds_of(scan.counts, folder)
            rows_off = off(scan)
            for kind in (*dict.fromkeys(name for name, _, _ in CHANGES), "crop in doubt"):
                false.add(kind, style, kind in kinds)
            said = MISPLACED.name in kinds
            if rows_off <= FAR_ROWS:
                false.add(MISPLACED.name, style, said)
            elif rows_off > OFF:
                tally.add(MISPLACED.name, f"{style}, a joint over {OFF} rows off", said)
            for kind, what, change in CHANGES:
                tally.add(kind, what, kind in kinds_of(change(scan.counts), folder)[0])
            rng = np.random.default_rng([seed, number])
            for share in THINNED:
                fewer = rng.binomial(scan.counts, share).astype(np.uint16)
                thin[share][str(number)] = kinds_of(fewer, folder)[1]
        faint = {each.scan for each in faint_problems(looks)}
        for scan_name in looks:
            false.add(FAINT.name, style, scan_name in faint)
        for share, thinned in thin.items():
            for name, look in thinned.items():
                hit = name in {each.scan for each in faint_problems({**looks, name: look})}
                tally.add(FAINT.name, f"{style}, {100 * share:.0f} % of the counts", hit)


def off(scan: Invented) -> float:
    """Rows between the study's crop and the joint that is farther from its middle."""
    return float(np.abs(place_knees(scan.counts, "study").rows - scan.joints).max())


def tally_cases(tally: Tally, seed: int, scans: int, folder: Path) -> None:
    """Odd phantoms: those whose crop is beside the knee, and those that can't be graded."""
    for case in CASES:
        for number in range(scans):
            scan = invent(seed, 10_000 + number, "odd", case)
            kinds, _ = kinds_of(scan.counts, folder)
            if off(scan) > OFF:
                said = MISPLACED.name in kinds
                tally.add(MISPLACED.name, f"{case}, a joint over {OFF} rows off", said)
            elif case in UNGRADABLE:
                tally.add(DOUBTFUL.name, case, bool({DOUBTFUL.name, MISPLACED.name} & kinds))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scans", type=int, default=SCANS, help="of a seed and style")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    options = parser.parse_args()
    tally, false = Tally(), Tally()
    with TemporaryDirectory() as folder:
        for seed in options.seeds:
            tally_ordinary(tally, false, seed, options.scans, Path(folder))
            tally_cases(tally, seed, max(1, options.scans // 4), Path(folder))
    print("| kind | what was done to the scan | scans | found |\n| --- | --- | --- | --- |")
    print("\n".join(tally.lines()))
    print("\n| kind | ordinary scans | scans | false alarms |\n| --- | --- | --- | --- |")
    print("\n".join(false.lines()))


if __name__ == "__main__":
    main()
