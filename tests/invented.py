"""Cohorts made of arrays, for tests that need no files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from djd.data.cohort import Cohort


def invented_cohort(
    grades: NDArray[np.int64], *, seed: int = 0, patients: tuple[str, ...] | None = None
) -> Cohort:
    """Two knees a scan of the grades given, (scan, 2); the higher the grade, the hotter a spot."""
    scans = tuple(f"{number:07d}" for number in range(1, len(grades) + 1))
    flat = grades.reshape(-1)
    crops = np.random.default_rng(seed).poisson(20, (len(flat), 2, 128, 128))
    crops[:, :, 48:80, 48:80] += (15 * flat)[:, None, None, None]
    return Cohort(
        root=Path("invented"),
        scans=scans,
        patients=patients or scans,
        crops=crops.astype(np.uint16),
        grades=flat,
        scan_index=np.repeat(np.arange(len(grades)), 2),
        side_index=np.tile(np.arange(2), len(grades)),
        unspecified=0,
        unreadable={},
        disagreements=(),
        named_knees=len(flat),
        unknown_names=0,
        pixel_digests={name: f"{index:064x}" for index, name in enumerate(scans)},
        copies=np.empty((0, 2), dtype=np.int64),
        oddities={},
        phantom=True,
    )


def cycling_grades(scans: int) -> NDArray[np.int64]:
    """Grades 0, 1, 2, 3, 4, 0, ... of two knees a scan, (scan, 2)."""
    return np.arange(2 * scans).reshape(scans, 2) % 5
