"""The settings of a sweep, each scored by all its folds, and their predictions as arrays."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from djd.errors import InputError
from djd.grades import GRADE_COUNT, Decide
from djd.runs.config import RunConfig
from djd.runs.keys import AxisValue
from djd.runs.result import PartScores
from djd.statistics.deciding import Decision
from djd.statistics.held_out import HeldOut
from djd.statistics.metrics import score_table
from djd.sweeps.cells import Cell, FinishedCell, axes_name, by_setting
from djd.sweeps.out_of_fold import (
    Read,
    by_repeat,
    by_seed,
    decides_as_trained,
    decision_of,
    folds_of,
    read_cells,
)


@dataclass(frozen=True, eq=False)
class Setting:
    """One choice of every compared axis, epochs among them, scored out of fold.

    Attributes:
        axes: Value of each compared key, without epochs, folds and seeds.
        repeats: Number of seeds and splits that the setting was trained with; seeds that grade
            together are one.
        patients: Number of patients held out in one repeat.
        knees: Number of their knees.
        scores: Of the confusion counts pooled over folds, averaged over repeats; NaN where a score
            is undefined.
        number: Its place among the settings in the order of the cells, which is the order of the
            command line.
    """

    axes: Mapping[str, AxisValue]
    epochs: int
    cells: tuple[FinishedCell, ...]
    repeats: int
    patients: int
    knees: int
    scores: Mapping[str, float]
    number: int

    @property
    def configs(self) -> list[RunConfig]:
        """Configurations of the cells."""
        return [cell.config for cell in self.cells]

    @property
    def splits(self) -> list[int]:
        """Split seed of each repeat, in the order of `by_repeat`."""
        return [cells[0].config.data.split_seed for cells in by_repeat(self.cells)]

    @property
    def seconds(self) -> float:
        """Mean duration of a training of so many epochs."""
        whole = self.cells[0].config.trainer.max_epochs
        mean = float(np.mean([cell.result.fit_seconds for cell in self.cells]))
        return mean * self.epochs / whole

    @property
    def milliseconds_a_knee(self) -> float:
        """Duration of an epoch over the knees trained on; NaN where test patients were, too.

        Fold by fold the training side is what the other folds hold, a part of it with `data.share`.
        """
        data = self.cells[0].config.data
        if data.leak:
            return math.nan
        folds = len({cell.config.data.fold for cell in self.cells})
        trained_on = self.knees / folds * (data.folds - 1) * data.share
        return 1000 * self.seconds / (self.epochs * trained_on)

    @cached_property
    def name(self) -> str:
        """The name of the setting's folder."""
        return axes_name({**self.axes, "epochs": self.epochs})


def score_settings(
    cells: Sequence[Cell], finished: Iterable[FinishedCell]
) -> tuple[list[Setting], int]:
    """Settings whose cells are all finished, the best quadratic kappa first.

    Without a schedule the first epochs of a training are a shorter training: settings with the same
    epochs of two lengths of training are one, and the first is kept.

    Returns:
        The settings, and the number of others: a cell is missing or failed, or nothing was held
        out.
    """
    done = {cell.place: cell for cell in finished}
    settings: list[Setting] = []
    incomplete = 0
    read: Read = {}
    for group in by_setting(cells):
        # A cell that holds nothing out is no part of any score.
        scored = [cell for cell in group if cell.config.data.fold is not None] or group
        epochs = scored[0].config.epochs_to_score
        results = [done[cell.place] for cell in scored if cell.place in done]
        if len(results) < len(scored) or not all(cell.result.validation for cell in results):
            incomplete += len(epochs)
            continue
        if not (whole := _with_all_folds(results)):  # too few seeds for the members
            incomplete += len(epochs)
            continue
        settings += [
            _setting(whole, epoch, number, read)
            for number, epoch in enumerate(epochs, start=len(settings))
        ]
    settings = list({(*each.axes.values(), each.epochs): each for each in settings[::-1]}.values())
    settings.reverse()
    kappas = [setting.scores["kappa"] for setting in settings]
    order = np.argsort([-kappa for kappa in kappas], kind="stable")  # NaN comes last
    return [settings[place] for place in order], incomplete


def _with_all_folds(cells: Sequence[FinishedCell]) -> list[FinishedCell]:
    """Cells of the seeds with the most folds, the same ones in each, as a mean needs."""
    repeats = by_seed(cells)
    held_out = [frozenset(cell.config.data.fold for cell in each) for each in repeats]
    often = Counter(held_out)
    most = max(often, key=lambda folds: (len(folds), often[folds]))
    whole = [each for each, folds in zip(repeats, held_out, strict=True) if folds == most]
    return [cell for each in by_repeat(cell for each in whole for cell in each) for cell in each]


def _setting(cells: Sequence[FinishedCell], epoch: int, number: int, read: Read) -> Setting:
    repeats = by_repeat(cells)
    scores = _mean_scores([_counts(folds, epoch, read) for folds in repeats])
    # Members that grade together held out the same knees.
    first = {cell.config.data.fold: _scores_at(cell, epoch) for cell in repeats[0]}.values()
    patients, knees = sum(each.patients for each in first), sum(each.knees for each in first)
    axes = cells[0].setting_axes
    return Setting(axes, epoch, tuple(cells), len(repeats), patients, knees, scores, number)


def _scores_at(cell: FinishedCell, epoch: int) -> PartScores:
    return next(each for each in cell.result.validation if each.epoch == epoch)


def _counts(cells: Sequence[FinishedCell], epoch: int, read: Read) -> NDArray[np.int64]:
    """Confusion counts of one repeat, folds together; 0 where predictions can't be read."""
    if decides_as_trained(cells):
        counts = np.array([_scores_at(cell, epoch).confusion for cell in cells], dtype=np.int64)
    else:
        try:
            counts = np.array([fold.confusion() for fold in folds_of(cells, epoch, read)])
        except InputError:  # `gather` says so
            counts = np.zeros((1, GRADE_COUNT, GRADE_COUNT), dtype=np.int64)
    pooled: NDArray[np.int64] = counts.sum(axis=0)
    return pooled


def _mean_scores(repeats: Sequence[NDArray[np.int64]]) -> dict[str, float]:
    tables = [score_table(counts) for counts in repeats]
    return {name: float(np.mean([each[name] for each in tables])) for name in tables[0]}


Knee = tuple[str, str, str, int]
"""Scan, side, patient and grade."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Settings that can be compared, the best first, with predictions of the same knees.

    Attributes:
        held_out: Predictions of each setting.
        patients: The patients, in the order of the arrays.
        broken: Folders whose predictions can't be used, each with the reason.
        on_other_knees: Number of settings left out because they held out other knees.
    """

    settings: tuple[Setting, ...]
    held_out: tuple[HeldOut, ...]
    patients: tuple[str, ...]
    knees: frozenset[Knee]
    broken: tuple[tuple[str, str], ...]
    on_other_knees: int

    @property
    def rules(self) -> list[Decide]:
        """The rules by which settings decide, the baselines' too."""
        return sorted({config.decide for each in self.settings for config in each.configs[:1]})

    def decision(self, setting: Setting) -> Decision:
        """See `decision_of`."""
        held_out = self.held_out[self.settings.index(setting)]
        return decision_of(setting.configs[0], held_out)


def gather(settings: Sequence[Setting]) -> Evidence:
    """Read the predictions of settings, the best first, and keep the settings of the same knees.

    Of several such groups the group with the most knees is kept; of equal groups the group with
    the most settings.
    """
    read: Read = {}
    for cell in (cell for setting in settings for cell in setting.cells):
        with suppress(InputError):  # every damaged file has its own sentence
            read_cells([cell], read)
    broken = {path.name: str(why) for path, why in read.items() if isinstance(why, InputError)}
    whole = [each for each in settings if all(c.folder.name not in broken for c in each.cells)]
    repeats = [
        [folds_of(cells, each.epochs, read) for cells in by_repeat(each.cells)] for each in whole
    ]
    knees = [knees_of(fold for folds in each for fold in folds) for each in repeats]
    groups = Counter(knees)
    most = max(groups, key=lambda each: (len(each), groups[each]), default=frozenset())
    same = [place for place, each in enumerate(knees) if each == most]
    kept = tuple(whole[place] for place in same)
    held_out = tuple(HeldOut.joined(repeats[place]) for place in same)
    patients = tuple(sorted({patient for _, _, patient, _ in most}))
    return Evidence(kept, held_out, patients, most, tuple(broken.items()), len(whole) - len(same))


def knees_of(folds: Iterable[HeldOut]) -> frozenset[Knee]:
    """Every knee of the predictions."""
    return frozenset(
        (scan, side, patient, int(grade))
        for fold in folds
        for (scan, side, patient), grade in zip(fold.knees, fold.grades, strict=True)
    )
