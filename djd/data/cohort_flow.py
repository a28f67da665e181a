"""The flow of scans, knees and patients, from the folder to development and test patients."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from djd.data.cohort import Cohort
from djd.data.split import PatientSplit, side_summaries
from djd.errors import InputError
from djd.files import read_bytes, write_whole
from djd.grades import GRADE_COUNT, GRADE_NAMES
from djd.wording import count_of

FLOW_NAME = "cohort.json"
"""In the folder of a run or comparison from its start."""

Number = Annotated[int, Field(ge=0)]


class SideFlow(BaseModel):
    """Development or test patients: those with a graded knee, and their knees of each grade."""

    model_config = ConfigDict(frozen=True, strict=True)

    patients: Number
    knees_per_grade: Annotated[
        tuple[Number, ...], Field(min_length=GRADE_COUNT, max_length=GRADE_COUNT)
    ]

    @property
    def knees(self) -> int:
        """Graded knees."""
        return sum(self.knees_per_grade)


class Flow(BaseModel):
    """`cohort.json`: numbers of scans, knees and patients; no name of a scan or patient.

    Attributes:
        scans_excluded: Files left out by name (`data.exclude`).
        scans_unreadable: Files that couldn't be read (`data.on_error=skip`).
        knees_unspecified: Knees without a grade in the scans that were read.
        patients: Patients of the scans that were not excluded, with or without a graded knee.
    """

    model_config = ConfigDict(frozen=True, strict=True)

    phantom: bool
    scans_found: Number
    scans_excluded: Number
    scans_unreadable: Number
    knees_unspecified: Number
    patients: Number
    development: SideFlow
    test: SideFlow

    @model_validator(mode="after")
    def _adds_up(self) -> "Flow":
        """A scan that was read has two knees, and no more patients are graded than there are."""
        knees = self.knees_graded + self.knees_unspecified
        if knees != 2 * self.scans_read or self.patients_graded > self.patients:
            raise ValueError("the numbers don't add up")
        return self

    @property
    def scans_read(self) -> int:
        """Scans that were read."""
        return self.scans_found - self.scans_excluded - self.scans_unreadable

    @property
    def knees_graded(self) -> int:
        """Graded knees of both sides."""
        return self.development.knees + self.test.knees

    @property
    def patients_graded(self) -> int:
        """Patients of both sides who have a graded knee."""
        return self.development.patients + self.test.patients

    def save(self, folder: Path) -> None:
        """Write the file into the folder of a run or comparison."""
        write_whole(folder / FLOW_NAME, self.model_dump_json(indent=1))

    @classmethod
    def load(cls, folder: Path) -> "Flow | None":
        """Read back the file of `save`; None where there is no such file.

        Raises:
            InputError: The file is damaged, or can't be read.
        """
        path = folder / FLOW_NAME
        try:
            return cls.model_validate_json(read_bytes(path))
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            reason = error.strerror if isinstance(error, OSError) else "a damaged file"
            raise InputError(
                f"{path}: expected the flow of scans and patients, received {reason}; the same "
                "command with the same folder writes it again"
            ) from error


def flow_of(cohort: Cohort, split: PatientSplit) -> Flow:
    """The flow from all scans of the cohort's folder, excluded ones included, to the parts."""
    sides = {
        name: SideFlow(patients=len(side.patients), knees_per_grade=side.knees_per_grade)
        for name, side in side_summaries(cohort, split).items()
    }
    return Flow(
        phantom=cohort.phantom,
        scans_found=len(cohort.scans) + cohort.excluded,
        scans_excluded=cohort.excluded,
        scans_unreadable=len(cohort.unreadable),
        knees_unspecified=cohort.unspecified,
        patients=len(set(cohort.patients)),
        **sides,
    )


def flow_sentences(flow: Flow) -> list[str]:
    """The flow in plain lines: scans, knees, patients, then development and test."""
    without = flow.patients - flow.patients_graded
    return [
        f"{count_of(flow.scans_found, 'scan')} found; {flow.scans_excluded} excluded by name; "
        f"{flow.scans_unreadable} could not be read; {flow.scans_read} read",
        f"{count_of(2 * flow.scans_read, 'knee')} in them; {flow.knees_unspecified} without a "
        f"grade, left out; {flow.knees_graded} graded",
        f"{count_of(flow.patients, 'patient')}; {without} without a graded knee; "
        f"{flow.patients_graded} with one or more",
        _side_sentence("Development", flow.development),
        _side_sentence("Test", flow.test),
    ]


def _side_sentence(name: str, side: SideFlow) -> str:
    by_grade = zip(side.knees_per_grade, GRADE_NAMES, strict=True)
    grades = ", ".join(f"{knees} {grade}" for knees, grade in by_grade)
    patients, knees = count_of(side.patients, "patient"), count_of(side.knees, "knee")
    return f"{name}: {patients}, {knees} ({grades})"
