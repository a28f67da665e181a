"""The settings of a comparison, each scored by all its folds, and the one that is chosen."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from djd.runs.keys import AxisValue
from djd.runs.result import PartScores
from djd.statistics.metrics import score_table
from djd.sweeps.cells import Cell, FinishedCell, axes_name


@dataclass(frozen=True, eq=False)
class Setting:
    """One choice of every compared axis, epochs among them, scored out of fold.

    Attributes:
        axes: Value of each compared key; epochs apart, and without folds and seeds.
        epochs: Epochs trained.
        cells: The trainings behind it.
        repeats: How many seeds and splits it was trained with.
        patients: Patients held out in one of its repeats.
        knees: Their knees.
        scores: Every score of the confusion counts pooled over folds, averaged over repeats;
            NaN where it is undefined.
    """

    axes: Mapping[str, AxisValue]
    epochs: int
    cells: tuple[FinishedCell, ...]
    repeats: int
    patients: int
    knees: int
    scores: Mapping[str, float]

    @property
    def splits(self) -> list[int]:
        """Split seed of each of its repeats, in the order of `by_repeat`."""
        first = [cells[0].config for cells in by_repeat(self.cells)]
        return [config.data.split_seed for config in first]

    @property
    def name(self) -> str:
        """What its folder is called."""
        return axes_name({**self.axes, "epochs": self.epochs})


def score_settings(
    cells: Sequence[Cell], finished: Iterable[FinishedCell]
) -> tuple[list[Setting], int]:
    """Settings whose folds and seeds have all been trained, the best first.

    Best is the highest quadratic kappa; of equal ones the first in the order of the comparison.

    Args:
        cells: Those of the comparison, which say what belongs to a setting.
        finished: Those with a result.

    Returns:
        The settings, and how many are left out because a cell is missing or failed, or nothing was
        held out.
    """
    done = {cell.folder: cell for cell in finished}
    settings, incomplete = [], 0
    for group in by_setting(cells):
        # What holds nothing out is no part of any score.
        scored = [cell for cell in group if cell.config.data.fold is not None] or group
        epochs = scored[0].config.epochs_to_score
        results = [done[cell.folder] for cell in scored if cell.folder in done]
        if len(results) < len(scored) or not all(cell.result.validation for cell in results):
            incomplete += len(epochs)
            continue
        whole = _with_all_folds(results)
        settings += [_setting(whole, epoch) for epoch in epochs]
    return sorted(settings, key=_rank), incomplete


def by_setting(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Cells that differ in fold and seed alone, together."""
    groups: dict[tuple[AxisValue, ...], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(tuple(cell.setting_axes.values()), []).append(cell)
    return list(groups.values())


def _rank(setting: Setting) -> float:
    kappa = setting.scores["kappa"]
    return math.inf if math.isnan(kappa) else -kappa


def _with_all_folds(cells: Sequence[FinishedCell]) -> list[FinishedCell]:
    """Cells of the seeds and splits with the most folds, the same ones; a mean needs equals."""
    repeats = by_repeat(cells)
    folds_of = [frozenset(cell.config.data.fold for cell in each) for each in repeats]
    often = Counter(folds_of)
    most = max(often, key=lambda folds: (len(folds), often[folds]))
    return [
        cell
        for each, folds in zip(repeats, folds_of, strict=True)
        if folds == most
        for cell in each
    ]


def by_repeat(cells: Iterable[FinishedCell]) -> list[list[FinishedCell]]:
    """Cells of one setting with the same seed and split, its folds, together."""
    groups: dict[tuple[int, int], list[FinishedCell]] = {}
    for cell in cells:
        config = cell.config
        groups.setdefault((config.seed, config.data.split_seed), []).append(cell)
    return list(groups.values())


def _setting(cells: Sequence[FinishedCell], epoch: int) -> Setting:
    repeats = by_repeat(cells)
    tables = [score_table(_pooled(folds, epoch)) for folds in repeats]
    first = [_at_epoch(cell, epoch) for cell in repeats[0]]
    return Setting(
        axes=cells[0].setting_axes,
        epochs=epoch,
        cells=tuple(cells),
        repeats=len(repeats),
        patients=sum(scores.patients for scores in first),
        knees=sum(scores.knees for scores in first),
        scores={name: _mean(table[name] for table in tables) for name in tables[0]},
    )


def _pooled(folds: Iterable[FinishedCell], epoch: int) -> NDArray[np.int64]:
    counts: NDArray[np.int64] = np.sum(
        [_at_epoch(cell, epoch).confusion for cell in folds], axis=0, dtype=np.int64
    )
    return counts


def _at_epoch(cell: FinishedCell, epoch: int) -> PartScores:
    return next(scores for scores in cell.result.validation if scores.epoch == epoch)


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
