"""How long a large folder takes to read, beside decoding alone, and how much memory it takes.

    python bench/reading.py --scans 2000 --links 5

Scans are invented ones counted anew, so that no two are copies; with links, each is there several
times, and only `read_folder` is timed. The goal is 1.5 times the time of decoding divided by the
cores.

2026-11-29, two cores of an AMD EPYC: decoding took 4.3 ms a scan; 9,600 scans were read and cut in
31.6 s, 2 s of them for starting processes, 1.52 times decoding divided by the cores, at 178 MB. A
cohort of 1,200 scans, with its search for copies, took 7.0 s, and its peak was 3.3 times its crops
(crops, the windows that copies are searched in, and the noise of the windows).
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.io import savemat
from scipy.ndimage import gaussian_filter

from djd.data.cohort import nothing, read_cohort
from djd.data.phantom.cohort import make_cohort
from djd.data.scan import read_scan
from djd.data.scan_files import ScanFolder, find_scans
from djd.data.scan_knees import ReadOptions, read_folder
from djd.machine import on_all_cores, usable_cores

PATTERNS = 20
"""Invented patients whose counts are drawn again and again."""

WARM = 200
"""Scans that are read before anything is timed."""


def main() -> None:
    """Print the times and the memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=2000, help="scans that differ")
    parser.add_argument("--links", type=int, default=5, help="times that each is in the folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "scans"
        write_scans(root, options.scans)
        scans = find_scans(root)
        list(read_folder(scans[:WARM], ReadOptions(), nothing))  # files are in memory, code is warm
        decoding = decoding_seconds(scans)
        print(f"{usable_cores()} cores; decoding alone takes {1000 * decoding:.1f} ms a scan")
        for link in range(1, options.links):
            (root / f"again {link}").mkdir()
            for files in scans:
                (root / f"again {link}" / files.path.name).hardlink_to(files.path)
        print_reading(find_scans(root), decoding)
        print_cohort(scans)


def write_scans(root: Path, number: int) -> None:
    """Compressed MATLAB files of invented scans."""
    patterns = root.parent / "patterns"
    make_cohort(patterns, patients=PATTERNS, seed=0)
    expected = [
        gaussian_filter(read_scan(files).counts.astype(float), (0, 3, 3))
        for files in find_scans(patterns)
    ]
    root.mkdir()
    labels = {"kneejointid": np.array([[2.0, 3.0]])}

    def write(index: int) -> None:
        rng = np.random.default_rng(index)
        counts = rng.poisson(expected[index % PATTERNS]).astype(np.uint16)
        values = {"Y": np.moveaxis(counts, 0, -1), "diaginfo": labels}
        savemat(root / f"{index:07d}.mat", values, do_compression=True)

    on_all_cores(write, range(number))


def decoding_seconds(scans: ScanFolder) -> float:
    """Seconds of one core that decode a scan; of a few scans, again and again, fewer."""
    started = time.perf_counter()
    for files in scans:
        read_scan(files)
    return (time.perf_counter() - started) / len(scans)


def print_reading(scans: ScanFolder, decoding: float) -> None:
    """Print how long the scans take to read and cut."""
    started = time.perf_counter()
    for _ in read_folder(scans, ReadOptions(), nothing):
        pass
    seconds = time.perf_counter() - started
    ideal = decoding * len(scans) / usable_cores()
    print(
        f"{len(scans)} scans read and cut in {seconds:.1f} s, {seconds / ideal:.2f} times decoding "
        f"divided by the cores; {memory():.0f} MB",
        flush=True,
    )


def print_cohort(scans: ScanFolder) -> None:
    """Print how long a cohort takes, with its search for copies."""
    before, started = memory(), time.perf_counter()
    cohort = read_cohort(scans)
    seconds, crops = time.perf_counter() - started, cohort.crops.nbytes / 2**20
    print(
        f"a cohort of {len(scans)} scans in {seconds:.1f} s; its crops are {crops:.0f} MB, the "
        f"peak is {memory() - before:.0f} MB more than before",
        flush=True,
    )


def memory() -> float:
    """Peak memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
