"""A setting's out-of-fold predictions: its networks together, calibrated, and decided by its rule.

Cells that differ in `SHARING_KEYS` alone share the predictions of one training. A fold is decided
by what was fitted on the other folds of its repeat.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from djd.errors import InputError
from djd.runs.config import RunConfig
from djd.runs.folder import PREDICTIONS_NAME
from djd.runs.held_out import OutOfFold
from djd.runs.predictions import read_predictions, require_agreement
from djd.runs.result import PartScores
from djd.runs.together import seeds_together
from djd.statistics.deciding import Decision, cross_fitted
from djd.statistics.held_out import HeldOut
from djd.sweeps.cells import Cell, FinishedCell

_AnyCell = TypeVar("_AnyCell", bound=Cell)

Read = dict[Path, "dict[int, HeldOut] | InputError"]
"""Predictions by folder and epoch, or why they can't be used."""


def predictions_at(folder: Path, parts: Sequence[PartScores]) -> dict[int, HeldOut]:
    """Predictions of a training by epoch, checked against the scores in its result.

    Raises:
        InputError: The predictions are missing, damaged, or not those of the result.
    """
    if not parts:  # nothing was held out
        return {}
    path = folder / PREDICTIONS_NAME
    by_epoch = read_predictions(path)
    for scores in parts:
        require_agreement(path, by_epoch.get(str(scores.epoch)), scores)
    return {scores.epoch: by_epoch[str(scores.epoch)] for scores in parts}


def read_cells(cells: Iterable[FinishedCell], read: Read) -> list[dict[int, HeldOut]]:
    """Predictions of cells by epoch, each file read once; raises InputError as `predictions_at`."""
    there = []
    for cell in cells:
        if cell.folder not in read:
            try:
                read[cell.folder] = predictions_at(cell.folder, cell.result.validation)
            except InputError as error:
                read[cell.folder] = error
        found = read[cell.folder]
        if isinstance(found, InputError):
            raise found
        there.append(found)
    return there


def by_seed(cells: Iterable[_AnyCell]) -> list[list[_AnyCell]]:
    """Cells of one setting, the folds of each seed and split together."""
    groups: dict[tuple[int, int], list[_AnyCell]] = {}
    for cell in cells:
        groups.setdefault((cell.config.seed, cell.config.data.split_seed), []).append(cell)
    return list(groups.values())


def by_repeat(cells: Iterable[_AnyCell]) -> list[list[_AnyCell]]:
    """Cells of one setting by repeat: `by_seed`, with the seeds that grade together as one."""
    groups = by_seed(cells)
    members = groups[0][0].config.members
    if members == 1:
        return groups
    of_split: dict[int, dict[int, list[_AnyCell]]] = {}
    for each in groups:
        config = each[0].config
        of_split.setdefault(config.data.split_seed, {})[config.seed] = each
    return [
        [cell for seed in together for cell in of_seed[seed]]
        for of_seed in of_split.values()
        for together in seeds_together(list(of_seed), members)
    ]


def decides_as_trained(cells: Sequence[FinishedCell]) -> bool:
    """Whether a setting's grades are those that its cells decided by themselves."""
    config = cells[0].config
    alone = config.members == 1 and config.calibrate == "none" and config.decide != "shares"
    rules = {cell.result.config.get("decide", "likeliest") for cell in cells}
    return alone and rules == {config.decide}


def folds_of(cells: Sequence[FinishedCell], epoch: int, read: Read) -> list[HeldOut]:
    """The folds of one repeat as its setting decides them; raises InputError as `read_cells`."""
    there = [each[epoch] for each in read_cells(cells, read)]
    if decides_as_trained(cells):
        return there
    config = cells[0].config
    together: dict[int | None, list[HeldOut]] = {}
    for cell, predictions in zip(cells, there, strict=True):
        together.setdefault(cell.config.data.fold, []).append(predictions)
    folds = [mean_of(members) for members in together.values()]
    decisions = cross_fitted(
        config.decide,
        [(fold.probabilities, fold.grades) for fold in folds],
        calibrate=config.calibrate != "none",
    )
    return [fold.decided(each) for fold, each in zip(folds, decisions, strict=True)]


def mean_of(members: Sequence[HeldOut]) -> HeldOut:
    """The same knees with the means of the members' probabilities, still to be decided."""
    first, *others = members
    if not others:
        return first
    chances = [first.probabilities]
    for each in others:
        place = {knee: index for index, knee in enumerate(each.knees)}
        chances.append(each.probabilities[[place[knee] for knee in first.knees]])
    return replace(first, probabilities=np.mean(chances, axis=0))


def networks_out_of_fold(cells: Sequence[FinishedCell], epoch: int) -> OutOfFold:
    """The knees of a setting's first repeat, by each of the networks that grade together.

    Raises:
        InputError: As `read_cells`.
    """
    networks = []
    for seed in by_seed(by_repeat(cells)[0]):
        folds = [each[epoch] for each in read_cells(seed, {})]
        rows = {
            knee: (grade, chances)
            for fold in folds
            for knee, grade, chances in zip(
                fold.knees, fold.grades, fold.probabilities, strict=True
            )
        }
        networks.append([rows[knee] for knee in sorted(rows)])
    grades = np.array([grade for grade, _ in networks[0]], dtype=np.uint8)
    chances = np.array([[each for _, each in rows] for rows in networks], dtype=np.float32)
    return OutOfFold(chances, grades)


def decision_of(config: RunConfig, held_out: HeldOut) -> Decision:
    """The decision for other patients, fitted on all of a setting's out-of-fold predictions."""
    calibrate = config.calibrate != "none"
    return Decision.fitted(config.decide, held_out.before, held_out.grades, calibrate=calibrate)
