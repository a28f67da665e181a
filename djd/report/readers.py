"""How far a second reader agrees with the grades: what a network can be held against."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from djd.data.tables import Readings
from djd.grades import GRADE_COUNT, Side
from djd.report.scoreboard import Scoreboard
from djd.statistics.held_out import HeldOut
from djd.statistics.intervals import Estimate
from djd.sweeps.evidence import Knee


@dataclass(frozen=True)
class Agreement:
    """A second reader against the grades in the files, on the knees that both graded.

    Attributes:
        kappa: Quadratic kappa with its interval; NaN where all these knees have one grade, and the
            reader gives it.
        accuracy: Share of these knees with the same grade, with its interval.
        knees: How many knees both graded.
        patients: Whose they are.
        asked: Knees that the settings were scored on, read by the second reader or not.
    """

    kappa: Estimate
    accuracy: Estimate
    knees: int
    patients: int
    asked: int


@dataclass(frozen=True)
class SecondReader:
    """What a second reader makes of the knees that a comparison was scored on.

    Attributes:
        held_out: On the knees held out of the trainings; None where both graded none of them.
        test: On the knees of the test patients, where they were opened; None likewise.
    """

    held_out: Agreement | None
    test: Agreement | None


def second_reader_of(
    readings: Readings, *, held_out: Iterable[Knee], test: Iterable[Knee]
) -> SecondReader:
    """How far a second reader agrees with the grades, on the knees of an answer.

    Args:
        readings: The second reader's grades.
        held_out: Knees held out of the trainings, each once.
        test: Knees of the test patients, each once; none where they weren't opened.
    """
    return SecondReader(held_out=agreement(readings, held_out), test=agreement(readings, test))


def agreement(readings: Readings, knees: Iterable[Knee]) -> Agreement | None:
    """Kappa and accuracy of a second reader, whose intervals take patients as the settings' do.

    Args:
        readings: The second reader's grades.
        knees: Scan, side, patient and grade of each knee, each knee once.

    Returns:
        Their agreement; None where no knee was graded by both.
    """
    asked = sorted(knees)
    shared = [(knee, given) for knee in asked if (given := _given(readings, knee)) is not None]
    if not shared:
        return None
    reader = _as_grader([knee for knee, _ in shared], [given for _, given in shared])
    figures = Scoreboard.of([reader]).figures[0]
    return Agreement(
        kappa=figures.scores["kappa"],
        accuracy=figures.scores["accuracy"],
        knees=len(shared),
        patients=reader.patients,
        asked=len(asked),
    )


def _given(readings: Readings, knee: Knee) -> int | None:
    scan, side, _, _ = knee
    return readings.get((scan, cast(Side, side)))


def _as_grader(knees: Sequence[Knee], given: Sequence[int]) -> HeldOut:
    """The reader as one who is sure of every grade, on the patients of these knees alone."""
    names, patient = np.unique([patient for _, _, patient, _ in knees], return_inverse=True)
    predicted = np.array(given, dtype=np.int64)
    return HeldOut(
        patient=patient.astype(np.int64),
        repeat=np.zeros(len(knees), dtype=np.int64),
        grades=np.array([grade for *_, grade in knees], dtype=np.int64),
        predicted=predicted,
        probabilities=np.eye(GRADE_COUNT)[predicted],
        patients=len(names),
    )
