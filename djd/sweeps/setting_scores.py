"""The settings of a sweep, each scored by all its folds, and their predictions as arrays."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from djd.errors import InputError
from djd.runs.config import RunConfig
from djd.runs.folder import PREDICTIONS_NAME
from djd.runs.keys import AxisValue
from djd.runs.predictions import read_predictions, require_agreement
from djd.runs.result import PartScores
from djd.statistics.held_out import HeldOut
from djd.statistics.metrics import score_table
from djd.sweeps.cells import Cell, FinishedCell, axes_name, by_setting


@dataclass(frozen=True, eq=False)
class Setting:
    """One choice of every compared axis, epochs among them, scored out of fold.

    Attributes:
        axes: Value of each compared key, without epochs, folds and seeds.
        repeats: Number of seeds and splits that the setting was trained with.
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

    @property
    def name(self) -> str:
        """The name of the setting's folder."""
        return axes_name({**self.axes, "epochs": self.epochs})


def score_settings(
    cells: Sequence[Cell], finished: Iterable[FinishedCell]
) -> tuple[list[Setting], int]:
    """Settings whose cells are all finished, the best quadratic kappa first.

    Returns:
        The settings, and the number of others: a cell is missing or failed, or nothing was held
        out.
    """
    done = {cell.folder: cell for cell in finished}
    settings: list[Setting] = []
    incomplete = 0
    for group in by_setting(cells):
        # A cell that holds nothing out is no part of any score.
        scored = [cell for cell in group if cell.config.data.fold is not None] or group
        epochs = scored[0].config.epochs_to_score
        results = [done[cell.folder] for cell in scored if cell.folder in done]
        if len(results) < len(scored) or not all(cell.result.validation for cell in results):
            incomplete += len(epochs)
            continue
        whole = _with_all_folds(results)
        settings += [
            _setting(whole, epoch, number)
            for number, epoch in enumerate(epochs, start=len(settings))
        ]
    kappas = [setting.scores["kappa"] for setting in settings]
    order = np.argsort([-kappa for kappa in kappas], kind="stable")  # NaN comes last
    return [settings[place] for place in order], incomplete


def _with_all_folds(cells: Sequence[FinishedCell]) -> list[FinishedCell]:
    """Cells of the repeats with the most folds, the same ones in each, as a mean needs."""
    repeats = by_repeat(cells)
    folds_of = [frozenset(cell.config.data.fold for cell in each) for each in repeats]
    often = Counter(folds_of)
    most = max(often, key=lambda folds: (len(folds), often[folds]))
    whole = [each for each, folds in zip(repeats, folds_of, strict=True) if folds == most]
    return [cell for each in whole for cell in each]


def by_repeat(cells: Iterable[FinishedCell]) -> list[list[FinishedCell]]:
    """Cells of one setting, the folds of each seed and split together."""
    groups: dict[tuple[int, int], list[FinishedCell]] = {}
    for cell in cells:
        repeat = (cell.config.seed, cell.config.data.split_seed)
        groups.setdefault(repeat, []).append(cell)
    return list(groups.values())


def _setting(cells: Sequence[FinishedCell], epoch: int, number: int) -> Setting:
    repeats = [
        [next(each for each in cell.result.validation if each.epoch == epoch) for cell in folds]
        for folds in by_repeat(cells)
    ]
    counts = [[each.confusion for each in folds] for folds in repeats]
    tables = [score_table(np.array(each, dtype=np.int64).sum(axis=0)) for each in counts]
    scores = {name: float(np.mean([each[name] for each in tables])) for name in tables[0]}
    patients = sum(each.patients for each in repeats[0])
    knees = sum(each.knees for each in repeats[0])
    axes = cells[0].setting_axes
    return Setting(axes, epoch, tuple(cells), len(repeats), patients, knees, scores, number)


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


def gather(settings: Sequence[Setting]) -> Evidence:
    """Read the predictions of settings, the best first, and keep the settings of the same knees.

    Of several such groups the group with the most knees is kept; of equal groups the group with
    the most settings.
    """
    read: dict[Path, dict[int, HeldOut]] = {}
    broken = []
    for cell in {each.folder: each for setting in settings for each in setting.cells}.values():
        try:
            read[cell.folder] = predictions_at(cell.folder, cell.result.validation)
        except InputError as error:
            broken.append((cell.folder.name, str(error)))
    whole = [each for each in settings if all(cell.folder in read for cell in each.cells)]
    repeats = [
        [[read[cell.folder][each.epochs] for cell in folds] for folds in by_repeat(each.cells)]
        for each in whole
    ]
    knees = [knees_of(fold for folds in each for fold in folds) for each in repeats]
    groups = Counter(knees)
    most = max(groups, key=lambda each: (len(each), groups[each]), default=frozenset())
    same = [place for place, each in enumerate(knees) if each == most]
    kept = tuple(whole[place] for place in same)
    held_out = tuple(HeldOut.joined(repeats[place]) for place in same)
    patients = tuple(sorted({patient for _, _, patient, _ in most}))
    return Evidence(kept, held_out, patients, most, tuple(broken), len(whole) - len(same))


def knees_of(folds: Iterable[HeldOut]) -> frozenset[Knee]:
    """Every knee of the predictions."""
    return frozenset(
        (scan, side, patient, int(grade))
        for fold in folds
        for (scan, side, patient), grade in zip(fold.knees, fold.grades, strict=True)
    )
