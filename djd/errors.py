"""Errors that a person can mend."""


class InputError(Exception):
    """Something the person gave is wrong: one sentence with place, expected and received.

    `train.py` and `djd` print the sentence and exit with status 1; any other exception is a fault
    of the software and keeps its traceback.
    """


class DriveError(Exception):
    """A drive failed while a file was read: one sentence. Nothing is known about the file.

    No `InputError`, and no `OSError`, so that nobody takes the file for damaged or missing.
    """


class FailedCellsError(Exception):
    """A comparison reached its end, and some cells failed; the reasons are printed already."""


class ElsewhereError(Exception):
    """A comparison lacks cells that other processes train; who they are is printed already."""

    exit_status = 3
