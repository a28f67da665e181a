"""How far each cell of a comparison is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from djd.runs.folder import RESULT_NAME, failure_reason, finished_result, forget_failure, is_locked
from djd.sweeps.cells import Cell, FinishedCell


@dataclass(frozen=True)
class States:
    """The cells of a comparison by how far they are.

    Attributes:
        finished: Those with a result.
        failed: Those that failed, each with its reason in one line.
        elsewhere: Those that another process works on.
        to_do: All others.
    """

    finished: tuple[FinishedCell, ...]
    failed: tuple[tuple[Cell, str], ...]
    elsewhere: tuple[Cell, ...]
    to_do: tuple[Cell, ...]


UNUSABLE_RESULT = "its result.json is damaged, or of another training"


def has_unusable_result(cell: Cell) -> bool:
    """Whether a cell that is to do has a result all the same, which nobody can use."""
    return (cell.folder / RESULT_NAME).exists()


def states_of(cells: Iterable[Cell]) -> States:
    """Look at the folder of every cell; one that can't be looked at has failed."""
    finished, failed, elsewhere, to_do = [], [], [], []
    for cell in cells:
        try:
            next(cell.folder.iterdir(), None)
        except (FileNotFoundError, NotADirectoryError):
            to_do.append(cell)
            continue
        except OSError as error:
            failed.append((cell, f"{cell.folder} can't be read ({error.strerror})"))
            continue
        # In this order: a cell that ends while it is looked at is seen as claimed, or as finished.
        if result := finished_result(cell.folder, cell.config):
            finished.append(FinishedCell.of(cell, result))
        elif is_locked(cell.folder):
            elsewhere.append(cell)
        elif result := finished_result(cell.folder, cell.config):
            finished.append(FinishedCell.of(cell, result))
        elif reason := failure_reason(cell.folder):
            failed.append((cell, reason))
        else:
            to_do.append(cell)
    return States(tuple(finished), tuple(failed), tuple(elsewhere), tuple(to_do))


def forget_failures(failed: Sequence[tuple[Cell, str]]) -> None:
    """Let failed cells be tried again."""
    for cell, _ in failed:
        forget_failure(cell.folder)
