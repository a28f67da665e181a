"""Errors that a person can mend."""


class InputError(Exception):
    """Something the person gave is wrong: one sentence with place, expected and received.

    `train.py` and `djd` print the sentence and exit with status 1; any other exception is a fault
    of the software and keeps its traceback.
    """


class FailedCellsError(Exception):
    """A comparison reached its end, and some cells failed; the reasons are printed already."""
