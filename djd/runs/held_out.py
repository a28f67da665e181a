"""Knees that a setting's networks graded out of fold, for the model file of its refit."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from djd.files import is_there, read_bytes, write_whole
from djd.runs.folder import OUT_OF_FOLD_NAME
from djd.statistics.held_out import GradedKnees


class OutOfFold(NamedTuple):
    """Knees that networks graded which did not train on their patients.

    Attributes:
        probabilities: float32 (network, knee, grade 5), 0 to 1, before any temperature.
        grades: uint8 (knee,), true grades 0 to 4.
    """

    probabilities: NDArray[np.float32]
    grades: NDArray[np.uint8]

    @classmethod
    def of_outcome(cls, outcome: GradedKnees | None) -> "OutOfFold | None":
        """The validation knees of one network; None where it held out none."""
        if outcome is None or not len(outcome.grades):
            return None
        return cls(outcome.probabilities[None].astype(np.float32), outcome.grades.astype(np.uint8))

    def save(self, folder: Path) -> None:
        """Leave the knees for a refit that is to be trained in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        np.savez_compressed(content, **self._asdict())
        write_whole(folder / OUT_OF_FOLD_NAME, content.getvalue())

    @classmethod
    def load(cls, folder: Path) -> "OutOfFold | None":
        """The knees that a sweep left for a refit; None where it left none."""
        if not is_there(path := folder / OUT_OF_FOLD_NAME):
            return None
        with np.load(io.BytesIO(read_bytes(path))) as kept:
            return cls(kept["probabilities"], kept["grades"])
