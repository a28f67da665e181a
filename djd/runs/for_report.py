"""What a run or comparison leaves at its start, for reports made when scans and files are gone."""

from pathlib import Path

from djd.data.cohort import Cohort
from djd.data.cohort_flow import flow_of
from djd.data.second_reader import Readings, read_second_reader, write_second_reader
from djd.data.split import PatientSplit
from djd.runs.reading import scans_found

SECOND_READER_NAME = "second_reader.csv"
"""A second reader's grades, in the folder of a run or comparison that was given some."""


def leave_for_report(
    folder: Path,
    cohort: Cohort,
    split: PatientSplit,
    readings: Readings | None,
    *,
    stamp: str | None,
) -> None:
    """Leave the flow of scans and patients, and a second reader's grades where there are any.

    Grades that an earlier command was given stay until others take their place.

    Args:
        folder: Of the run or comparison.
        cohort: The knees.
        split: The wall between development and test patients.
        readings: What the second reader's file says; None where there is none.
        stamp: What has to stand on everything; see `RunConfig.stamp`.

    Raises:
        InputError: The folder of scans is gone.
        OSError: A file can't be written.
    """
    flow_of(cohort, split, scans_found=scans_found(cohort)).save(folder)
    if readings is not None:
        write_second_reader(folder / SECOND_READER_NAME, readings, stamp=stamp)


def kept_readings(folder: Path) -> Readings | None:
    """A second reader's grades as a folder has them; None where it has none.

    Raises:
        InputError: The file is damaged.
    """
    path = folder / SECOND_READER_NAME
    return read_second_reader(path, known=None, key="second reader") if path.exists() else None
