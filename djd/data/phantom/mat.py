"""An invented scan as a compressed MATLAB v5 file with the variables of a real one."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from djd.data.phantom.dicom import STAMP
from djd.data.phantom.patient import Patient

MARK = "MATLAB 5.0 MAT-file, PHANTOM: invented scan, not a patient"
"""The first line of each file."""

_HEADER_BYTES = 116  # text of a MAT v5 header; subsystem offset, version and byte order follow
_NAMES = ("normal", "minimal", "mildDJD", "modDJD", "sevDJD")


def mat_bytes(counts: NDArray[np.uint16], patient: Patient) -> bytes:
    """A scan as the bytes of a file; `counts` are uint16 (view 2, row, column), anterior first."""
    names = ["unspect" if grade is None else _NAMES[grade] for grade in patient.grades]
    if patient.capital_severe:
        names = ["SevDJD" if name == "sevDJD" else name for name in names]
    ids = [-1.0 if grade is None else grade + 2.0 for grade in patient.grades]
    diaginfo = {
        "comment": _cells([[STAMP]]),
        "roitable": _cells([["PHANTOM", "no table", "", ""]] * 2),
        "kneejointid": np.array([ids]),
        "kneejointname": _cells([names]),
    }
    file = io.BytesIO()
    pixels = np.ascontiguousarray(np.moveaxis(counts, 0, -1))
    # scipy-stubs knows paths only; a binary file is documented to do.
    savemat(file, {"Y": pixels, "diaginfo": diaginfo}, do_compression=True)  # type: ignore[arg-type]
    written = file.getvalue()
    # scipy's own text holds the time of writing.
    return MARK.ljust(_HEADER_BYTES).encode() + written[_HEADER_BYTES:]


def _cells(rows: list[list[str]]) -> NDArray[Any]:
    cells = np.empty((len(rows), len(rows[0])), dtype=object)
    cells[:] = rows
    return cells
