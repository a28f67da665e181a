"""Cohorts made of arrays, for measurements that need no files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from djd.data.cohort import Cohort


def simulated_cohort(crops: NDArray[np.uint16], grades: NDArray[np.int64]) -> Cohort:
    """Two knees a patient, each patient scanned once.

    Args:
        crops: (knee, view 2, row, column), counts; right and left of each patient in turn.
        grades: (knee,), 0 to 4.
    """
    knees = np.arange(len(grades))
    scans = tuple(f"{number:07d}" for number in range(1, len(grades) // 2 + 1))
    return Cohort(
        root=Path("simulated"),
        scans=scans,
        patients=scans,
        crops=crops,
        grades=grades,
        scan_index=knees // 2,
        side_index=knees % 2,
        unspecified=0,
        unreadable={},
        disagreements=(),
        named_knees=0,
        unknown_names=0,
        pixel_digests={},
        copies=np.empty((0, 2), dtype=np.int64),
        oddities={},
        phantom=True,
    )
