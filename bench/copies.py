"""Which copies of knees are found, which images raise a false alarm, and how long the search takes.

    nice python bench/copies.py

2026-11-28, two cores of an AMD EPYC that other work shared (seconds are of cores): 205 patients
0.8 s, 1,000 patients 3.7 s, 10,000 patients 174 s and 751 MB beyond the crops. Of 50 scans copied
in each of 32 ways all copies were found, but those thinned to 10 % (84 %), blurred by 1.5 pixels
(50 %), and turned upside down (none: the window shows the trunk; all are odd). The noise of copies
thinned to half correlates 0.70, to a quarter 0.48, rescaled 0.51 to 1, turned by a degree 0.29 to
0.38; that of second scans of the same patients 0.07 at most. Among 20 cohorts of 205 scans, and as
many second scans, no pair was found and no scan was odd; turned upside down, all were. Two
cohorts of the style soft were alike: the noise of second scans correlated 0.054 at most.
"""

import argparse
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, rotate

from djd.data.copies import CHUNK, correlations, find_copies
from djd.data.crop import knee_windows
from djd.data.oddities import UPSIDE_DOWN, oddities_of
from djd.data.phantom.body import count, expected_counts
from djd.data.phantom.knee import invent_knee
from djd.data.phantom.patient import invent_patient
from djd.data.phantom.style import PLAIN, STYLES, Style
from djd.data.scan import Scan

Counts = NDArray[Any]
"""Counts of a scan, (view 2, row 1024, column 256)."""


def main() -> None:
    """Print false alarms, copies found, and seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cohorts", type=int, default=20)
    parser.add_argument("--style", choices=STYLES, default="plain", help="of these cohorts")
    parser.add_argument("--scans", type=int, default=50, help="copied in each way")
    parser.add_argument("--patients", type=int, nargs="*", default=[205, 1000, 10000])
    options = parser.parse_args()
    for patients in options.patients:
        print_time(patients)
    if options.scans:
        print_kinds(options.scans)
    for seed in range(options.cohorts):
        print_false_alarms(seed, STYLES[options.style])


def invented(
    rng: np.random.Generator, style: Style = PLAIN
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """The counts of a scan, and of a second scan of the same patient in the same place."""
    seed = np.random.SeedSequence(int(rng.integers(2**32)))
    patient = invent_patient(seed, style, case=None, null=False)
    right, left = (invent_knee(each, patient.image, style) for each in patient.severities)
    expected = expected_counts(patient.body, (right, left), patient.image, patient.pose)
    return count(expected, rng), count(expected, rng)


def cut(counts: Counts) -> NDArray[np.uint16]:
    """Windows of both knees, uint16 (side 2, view 2, row 128, column 128)."""
    return knee_windows(Scan("", counts.astype(np.uint16), (None, None), None))


def print_false_alarms(seed: int, style: Style, patients: int = 205) -> None:
    """Print what a cohort without copies, and its second scans, raise."""
    rng = np.random.default_rng(seed)
    scans = [invented(rng, style) for _ in range(patients)]
    first = np.concatenate([cut(counts) for counts, _ in scans])
    second = np.concatenate([cut(counts) for _, counts in scans])
    pairs = find_copies(np.concatenate([first, second]), np.arange(4 * patients) // 2)
    again = correlations(first[:, 0], second[:, 0]).max()
    odd = sum(bool(oddities_of(counts)) for counts, _ in scans)
    turned = sum(oddities_of(counts[:, ::-1]) == [UPSIDE_DOWN] for counts, _ in scans)
    print(
        f"cohort {seed}: {len(pairs)} pairs among {patients} scans and as many second scans of the "
        f"same patients (correlation at most {again:.3f}), {odd} odd scans; turned upside down, "
        f"{turned} of {patients} are odd",
        flush=True,
    )


def moved(counts: Counts, rng: np.random.Generator, rows: int, columns: int) -> Counts:
    """The scan moved down and to the right."""
    return np.roll(counts, (rows, columns), axis=(1, 2))


def some(counts: Counts, rng: np.random.Generator, share: float) -> Counts:
    """Some pixels changed to other counts."""
    return np.where(rng.random(counts.shape) < share, rng.integers(0, 500, counts.shape), counts)


def spot(counts: Counts, rng: np.random.Generator) -> Counts:
    """A bright pixel in the rows of the knees, which moves the crop."""
    changed = counts.copy()
    changed[0, rng.integers(510, 700), rng.integers(256)] = 5000
    return changed


def turned(counts: Counts, degrees: float) -> Counts:
    """The scan turned in the image plane."""
    return np.rint(rotate(counts * 1.0, degrees, axes=(1, 2), reshape=False, order=1))


KINDS: dict[str, Callable[[Counts, np.random.Generator], Counts]] = {
    "equal": lambda counts, rng: counts,
    "times 2": lambda counts, rng: 2 * counts,
    "times 0.5": lambda counts, rng: np.rint(counts / 2),
    "times 0.2": lambda counts, rng: np.rint(counts / 5),
    "scaled to 8 bits": lambda counts, rng: np.rint(counts * (255 / counts.max())),
    "bright pixel": spot,
    "1 % of the pixels": lambda counts, rng: some(counts, rng, 0.01),
    "5 % of the pixels": lambda counts, rng: some(counts, rng, 0.05),
    "moved 4 and 4": lambda counts, rng: moved(counts, rng, 4, 4),
    "moved 12 and 8": lambda counts, rng: moved(counts, rng, -12, 8),
    "moved 40 and 0": lambda counts, rng: moved(counts, rng, 40, 0),
    "mirrored": lambda counts, rng: counts[..., ::-1],
    "upside down": lambda counts, rng: counts[:, ::-1],
    "thinned to 50 %": lambda counts, rng: rng.binomial(counts, 0.5),
    "thinned to 25 %": lambda counts, rng: rng.binomial(counts, 0.25),
    "thinned to 10 %": lambda counts, rng: rng.binomial(counts, 0.1),
    "thinned, mirrored, moved": lambda counts, rng: moved(
        rng.binomial(counts, 0.5)[..., ::-1], rng, 6, 3
    ),
    "noise of deviation 1": lambda counts, rng: np.rint(counts + rng.normal(0, 1, counts.shape)),
    "noise of deviation 3": lambda counts, rng: np.rint(counts + rng.normal(0, 3, counts.shape)),
    "counted again": lambda counts, rng: rng.poisson(counts),
    "root": lambda counts, rng: np.rint(10 * np.sqrt(counts)),
    "square": lambda counts, rng: np.minimum(np.rint(counts**2 / 10), 65535),
    "20 added": lambda counts, rng: counts + 20,
    "reversed": lambda counts, rng: counts.max() - counts,
    "blurred by 0.5": lambda counts, rng: np.rint(gaussian_filter(counts * 1.0, (0, 0.5, 0.5))),
    "blurred by 1": lambda counts, rng: np.rint(gaussian_filter(counts * 1.0, (0, 1, 1))),
    "blurred by 1.5": lambda counts, rng: np.rint(gaussian_filter(counts * 1.0, (0, 1.5, 1.5))),
    "turned by 0.5 degrees": lambda counts, rng: turned(counts, 0.5),
    "turned by 1 degree": lambda counts, rng: turned(counts, 1),
    "posterior page empty": lambda counts, rng: counts * np.array([1, 0])[:, None, None],
    "anterior page empty": lambda counts, rng: counts * np.array([0, 1])[:, None, None],
    "pages swapped": lambda counts, rng: counts[::-1],
}


def print_kinds(scans: int) -> None:
    """Print the share of scans whose copy is found, and the correlation of anterior crops."""
    rng = np.random.default_rng(1000)
    originals = [invented(rng)[0] for _ in range(scans)]
    crops = np.concatenate([cut(counts) for counts in originals])
    index = np.arange(4 * scans) // 2
    for kind, change in KINDS.items():
        copies = np.concatenate(
            [cut(np.clip(change(counts.astype(int), rng), 0, 65535)) for counts in originals]
        )
        pairs = find_copies(np.concatenate([crops, copies]), index)
        found = {(int(index[one]) - scans, int(index[other])) for one, other in pairs}
        right = sum(one == other for one, other in found)
        values = correlations(crops[:, 0], copies[:, 0])  # 0.04 where the other knee is the copy
        print(
            f"{kind:25} found {100 * right / scans:3.0f} % of {scans} scans, wrongly paired "
            f"{len(found) - right}; correlation {values.min():.2f} to {values.max():.2f}, median "
            f"{np.median(values):.2f}",
            flush=True,
        )


def print_time(patients: int) -> None:
    """Print seconds and memory of the search among knees that share 100 anatomies."""
    rng = np.random.default_rng(0)
    expected = np.concatenate([cut(invented(rng)[0]) for _ in range(50)])
    expected = np.rint(gaussian_filter(expected.astype(float), (0, 0, 2, 2)))
    crops = np.empty((2 * patients, *expected.shape[1:]), dtype=np.uint16)
    for first in range(0, len(crops), CHUNK):
        chosen = rng.integers(len(expected), size=len(crops[first : first + CHUNK]))
        crops[first : first + CHUNK] = rng.poisson(expected[chosen])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    find_copies(crops[:4], np.arange(4))
    start, cpu = time.perf_counter(), time.process_time()
    pairs = find_copies(crops, np.arange(len(crops)) // 2)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{patients} patients: {seconds:.1f} s ({cpu:.1f} s of cores)", end=", ")
    print(f"{more:.0f} MB beyond the crops, {len(pairs)} pairs", flush=True)


if __name__ == "__main__":
    main()
