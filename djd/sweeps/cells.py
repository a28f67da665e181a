"""The cells of a sweep: what each is, what it is called, and what tells it from others."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from djd.runs.config import RunConfig
from djd.runs.keys import NUMBERLESS_KEYS, REPEAT_KEYS, AxisValue, short_names, value_of
from djd.runs.result import RESULTS_VERSION, RunResult

MOST_NAME_BYTES = 120
"""File systems take 255; Windows takes 260 for a whole path."""


@dataclass(frozen=True)
class Cell:
    """One training of a sweep: a setting on one fold with one seed, or its refit without a fold.

    Attributes:
        axes: Value of each compared key; once the cell has its folder, of every key that was ever
            compared there.
        overrides: Overrides of which Hydra composes its configuration.
        config: Its configuration.
        folder: Its folder, whether or not it exists; `djd.sweeps.plan.plan_cells` gives it.
    """

    axes: Mapping[str, AxisValue]
    overrides: tuple[str, ...]
    config: RunConfig
    folder: Path = Path()

    def identity(self, cohort_digest: str) -> str:
        """See `identity_of`."""
        return identity_of(self.config, cohort_digest)

    @property
    def setting_axes(self) -> dict[str, AxisValue]:
        """The axes that make its setting."""
        return {key: value for key, value in self.axes.items() if key not in REPEAT_KEYS}


@dataclass(frozen=True)
class FinishedCell(Cell):
    """A cell with its result."""

    result: RunResult = field(kw_only=True)

    @classmethod
    def of(cls, cell: Cell, result: RunResult) -> "FinishedCell":
        """The cell, now that it has a result."""
        return cls(cell.axes, cell.overrides, cell.config, cell.folder, result=result)


@dataclass(frozen=True)
class Job:
    """A training as a launcher gets it.

    Attributes:
        folder: Where its files go.
        name: The folder below the sweep's.
        kind: A cell, or a refit that is scored on the test patients.
        overrides: Overrides of which Hydra composes its configuration.
        epochs: Epochs of the training.
        seconds: Its expected duration by itself.
    """

    folder: Path
    name: str
    kind: Literal["cell", "refit"]
    overrides: tuple[str, ...]
    epochs: int
    seconds: float


Launch = Callable[[Sequence[Job]], None]
"""Train the jobs, whatever becomes of each; all that matters afterwards lies in their folders."""


def identity_of(config: RunConfig, cohort_digest: str) -> str:
    """Digest of all that can change a number of a training; see `cohort_digest`."""
    numbers = {key: value for key, value in config.by_key().items() if key not in NUMBERLESS_KEYS}
    written = json.dumps([RESULTS_VERSION, cohort_digest, numbers], sort_keys=True)
    return hashlib.sha256(written.encode()).hexdigest()[:16]


def refitted(cell: Cell, *, epochs: int, score_epochs: Sequence[int]) -> Cell:
    """The training of a cell's setting on all development patients; its folder is the cell's."""
    config = cell.config.model_copy(
        update={
            "data": cell.config.data.model_copy(update={"fold": None}),
            "trainer": cell.config.trainer.model_copy(update={"max_epochs": epochs}),
            "score_epochs": tuple(score_epochs),
        }
    )
    changes = {
        "data.fold": "null",
        "trainer.max_epochs": str(epochs),
        "score_epochs": f"[{','.join(map(str, score_epochs))}]",
    }
    others = [each for each in cell.overrides if each.partition("=")[0].lstrip("+") not in changes]
    overrides = (*others, *(f"{key}={value}" for key, value in changes.items()))
    return replace(cell, axes=cell.setting_axes, overrides=overrides, config=config)


def axes_name(axes: Mapping[str, AxisValue]) -> str:
    """A name for a folder: `depth=2 optim=adam fold=0`, shortened where it is too long."""
    short = short_names(axes)
    words = [f"{short[key]}={_word(value)}" for key, value in axes.items()]
    return _fit_for_a_folder(" ".join(words) or "base")


def _word(value: AxisValue) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    text = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r"[^\w.+-]+", "_", text)


def _fit_for_a_folder(name: str) -> str:
    encoded = name.encode()
    if len(encoded) <= MOST_NAME_BYTES:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    kept = encoded[: MOST_NAME_BYTES - len(digest) - 1].decode(errors="ignore")
    return f"{kept}~{digest}"


def at_axes(
    config: RunConfig, axes: Sequence[str], known: Mapping[str, AxisValue] | None = None
) -> dict[str, AxisValue]:
    """Where a configuration stands on each axis, a config group or a key.

    Args:
        config: What is trained.
        axes: All keys that were ever compared in a folder.
        known: What the command said of some of them.
    """
    values = {**config.by_key(), **config.choices, **(known or {})}
    return {axis: value_of(values, axis) for axis in axes}


def by_setting(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells that differ in fold and seed alone, together."""
    groups: dict[tuple[AxisValue, ...], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(tuple(cell.setting_axes.values()), []).append(cell)
    return list(groups.values())
