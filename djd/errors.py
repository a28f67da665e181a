"""Errors that a person can mend."""


class InputError(Exception):
    """Wrong input of the person: one sentence naming the place, expected and received.

    `train.py` and `djd` print the sentence and exit with status 1; any other exception is a fault
    of the software and keeps its traceback.
    """


class FailedCellsError(Exception):
    """A comparison reached its end, and some of its cells failed; the log says which and why."""
