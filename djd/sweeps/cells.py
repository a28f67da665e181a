"""The cells of a sweep: their configurations, names and identities."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from djd.files import Written
from djd.runs.command_line import in_quotes
from djd.runs.config import FittedConfig, RunConfig, numberless_keys
from djd.runs.keys import (
    NEUTRAL_VALUES,
    RECIPE,
    REPEAT_KEYS,
    SHARING_KEYS,
    AxisValue,
    folder_name,
    short_names,
    value_of,
)
from djd.runs.result import RESULTS_VERSION, RunResult

MAX_EPOCHS = "trainer.max_epochs"
"""The length of a training: an axis that a setting has as its epochs."""


@dataclass(frozen=True)
class Cell:
    """One training of a sweep: a setting on one fold with one seed, or its refit without a fold.

    Attributes:
        axes: Value of each compared key; once the cell has its folder, of every key that was ever
            compared there.
        overrides: Overrides from which Hydra composes the configuration.
        folder: The folder, whether or not it exists; `djd.sweeps.plan.plan_cells` gives it.
    """

    axes: Mapping[str, AxisValue]
    overrides: tuple[str, ...]
    config: RunConfig
    folder: Path = Path()

    @property
    def setting_axes(self) -> dict[str, AxisValue]:
        """The axes without folds, seeds, and the length of the training: a setting has epochs."""
        others = {*REPEAT_KEYS, MAX_EPOCHS}
        return {key: value for key, value in self.axes.items() if key not in others}

    @property
    def place(self) -> tuple[Path, tuple[AxisValue, ...]]:
        """The folder, and the `shared_values`."""
        return self.folder, shared_values(self.axes)


@dataclass(frozen=True)
class FinishedCell(Cell):
    """A cell with its result.

    Attributes:
        written: Of the result's file before it was read, see `djd.files.written_when`.
    """

    result: RunResult = field(kw_only=True)
    written: Written | None = field(default=None, kw_only=True)

    @classmethod
    def of(cls, cell: Cell, result: RunResult, written: Written | None = None) -> "FinishedCell":
        """The cell, now that it has a result."""
        place = cell.axes, cell.overrides, cell.config, cell.folder
        return cls(*place, result=result, written=written)


@dataclass(frozen=True)
class Job:
    """A training as a launcher gets it; a refit is scored on the test patients.

    Attributes:
        name: The path of `folder` below the sweep's.
        overrides: Overrides from which Hydra composes the configuration.
        seconds: Expected duration without others beside it.
    """

    folder: Path
    name: str
    kind: Literal["cell", "refit"]
    overrides: tuple[str, ...]
    epochs: int
    seconds: float


Launch = Callable[[Sequence[Job], int], None]
"""Train the jobs, so many at a time. A job that fails leaves its reason in its folder, and stops no
other job."""

Queued = Callable[[Sequence[Job]], Sequence[Job]]
"""Those of the jobs that a cluster has in its queue, or trains, for this command or another."""


def identity_of(config: RunConfig, cohort_digest: str) -> str:
    """Digest of everything that can change a number of a training; see `cohort_digest`."""
    written = json.dumps([RESULTS_VERSION, cohort_digest, numbers_of(config)], sort_keys=True)
    return hashlib.sha256(written.encode()).hexdigest()[:16]


def numbers_of(config: RunConfig) -> dict[str, Any]:
    """The keys that can change a number of a training, with their values."""
    numberless = numberless_keys(config)
    return {
        key: value
        for key, value in config.by_key().items()
        if key not in numberless and (key, value) not in NEUTRAL_VALUES.items()
    }


def refitted(
    cell: Cell, *, epochs: int, score_epochs: Sequence[int], fitted: FittedConfig | None = None
) -> Cell:
    """The training of a cell's setting on all development patients; its folder is the cell's."""
    config = cell.config.model_copy(
        update={
            "data": cell.config.data.model_copy(update={"fold": None}),
            "trainer": cell.config.trainer.model_copy(update={"max_epochs": epochs}),
            "score_epochs": tuple(score_epochs),
            "kind": "refit",
            "fitted": fitted,
        }
    )
    changes = {
        "data.fold": "null",
        MAX_EPOCHS: str(epochs),
        "score_epochs": f"[{','.join(map(str, score_epochs))}]",
    }
    if fitted:
        changes["fitted"] = _in_hydra(fitted.model_dump(exclude_defaults=True))
    others = [each for each in cell.overrides if each.partition("=")[0].lstrip("+") not in changes]
    overrides = (*others, *(f"{key}={value}" for key, value in changes.items()))
    return replace(cell, axes=cell.setting_axes, overrides=overrides, config=config)


def shared_values(axes: Mapping[str, AxisValue]) -> tuple[AxisValue, ...]:
    """Values of those axes that may train nothing again: cells that differ there share a folder."""
    return tuple(value for key, value in axes.items() if key in {*SHARING_KEYS, RECIPE})


def _in_hydra(value: Any) -> str:
    """Plain nested values in Hydra's grammar."""
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{_in_hydra(each)}' for key, each in value.items())}}}"
    if isinstance(value, tuple | list):
        return f"[{','.join(map(_in_hydra, value))}]"
    return in_quotes(value) if isinstance(value, str) else repr(value)


def axes_name(axes: Mapping[str, AxisValue]) -> str:
    """The name of a folder by axes, see `folder_name`."""
    short = short_names(axes)
    return folder_name({short[key]: value for key, value in axes.items()})


def at_axes(
    config: RunConfig, axes: Sequence[str], known: Mapping[str, AxisValue] | None = None
) -> dict[str, AxisValue]:
    """Value of a configuration on each axis, a config group or a key; `known` values come first."""
    values = {**config.by_key(), **config.choices, **(known or {})}
    return {axis: value_of(values, axis) for axis in axes}


_Cell = TypeVar("_Cell", bound=Cell)


def one_a_folder(cells: Iterable[_Cell]) -> list[_Cell]:
    """The first cell of each folder."""
    first: dict[Path, _Cell] = {}
    for cell in cells:
        first.setdefault(cell.folder, cell)
    return list(first.values())


def by_setting(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Groups of cells that differ only in fold and seed; other lengths of training are others."""
    groups: dict[tuple[AxisValue, ...], list[Cell]] = {}
    for cell in cells:
        place = (*cell.setting_axes.values(), cell.config.trainer.max_epochs)
        groups.setdefault(place, []).append(cell)
    return list(groups.values())
