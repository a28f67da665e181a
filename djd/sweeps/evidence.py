"""What the finished cells of a comparison left behind, as arrays of the same patients."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from djd.errors import InputError
from djd.runs.folder import PREDICTIONS_NAME
from djd.runs.predictions import (
    Predictions,
    held_out_of,
    patients_of,
    read_predictions,
    require_agreement,
)
from djd.runs.result import PartScores
from djd.statistics.held_out import HeldOut
from djd.sweeps.cells import FinishedCell
from djd.sweeps.settings import Setting, by_repeat

Knee = tuple[str, str, str, int]
"""Scan, side, patient and grade."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Settings with the predictions of their held-out knees.

    Attributes:
        settings: Those that can be compared, the best first.
        held_out: Of each setting, all of the same patients.
        patients: Those patients, in the order of the arrays.
        knees: Their knees.
        broken: Folders whose predictions can't be used, each with the reason.
        on_other_knees: Settings left out because they held out other, mostly fewer, knees.
    """

    settings: tuple[Setting, ...]
    held_out: tuple[HeldOut, ...]
    patients: tuple[str, ...]
    knees: frozenset[Knee]
    broken: tuple[tuple[str, str], ...]
    on_other_knees: int


def predictions_at(folder: Path, parts: Sequence[PartScores]) -> dict[int, Predictions]:
    """Predictions of a training by epoch, checked against the scores in its result.

    Raises:
        InputError: They are missing, damaged, or not those of the result.
    """
    if not parts:  # nothing was held out
        return {}
    path = folder / PREDICTIONS_NAME
    by_epoch = read_predictions(path)
    for scores in parts:
        require_agreement(path, by_epoch.get(str(scores.epoch)), scores)
    return {scores.epoch: by_epoch[str(scores.epoch)] for scores in parts}


def gather(settings: Sequence[Setting]) -> Evidence:
    """Read the predictions of all settings and keep those that can be compared with each other.

    Those are the settings that held out the same knees; of several such groups the one with the
    most knees, and of equal ones that with the most settings.

    Args:
        settings: The best first.
    """
    cells = {id(cell): cell for setting in settings for cell in setting.cells}
    read, broken = _read_all(cells.values())
    whole = [each for each in settings if all(id(cell) in read for cell in each.cells)]
    repeats = [
        [[read[id(cell)][setting.epochs] for cell in folds] for folds in by_repeat(setting.cells)]
        for setting in whole
    ]
    knees = [knees_of(fold for folds in each for fold in folds) for each in repeats]
    groups = Counter(knees)
    most = max(groups, key=lambda each: (len(each), groups[each]), default=frozenset())
    same = [place for place, each in enumerate(knees) if each == most]
    patients = patients_of(fold for place in same for folds in repeats[place] for fold in folds)
    return Evidence(
        settings=tuple(whole[place] for place in same),
        held_out=tuple(held_out_of(repeats[place], patients) for place in same),
        patients=patients,
        knees=most,
        broken=broken,
        on_other_knees=len(whole) - len(same),
    )


def _read_all(
    cells: Iterable[FinishedCell],
) -> tuple[dict[int, dict[int, Predictions]], tuple[tuple[str, str], ...]]:
    read, broken = {}, []
    for cell in cells:
        folder = cell.folder
        try:
            read[id(cell)] = predictions_at(folder, cell.result.validation)
        except InputError as error:
            broken.append((folder.name, str(error)))
    return read, tuple(broken)


def knees_of(folds: Iterable[Predictions]) -> frozenset[Knee]:
    """Every knee that some predictions tell of."""
    return frozenset(
        (scan, side, patient, int(grade))
        for fold in folds
        for (scan, side), patient, grade in zip(fold.knees, fold.patients, fold.grades, strict=True)
    )
