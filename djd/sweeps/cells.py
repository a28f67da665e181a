"""The cells of a comparison: what each is, what it is called, and what tells it from others."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from djd.runs.config import RunConfig
from djd.runs.keys import NUMBERLESS_KEYS, REPEAT_KEYS, AxisValue, short_names
from djd.runs.result import RESULTS_VERSION, RunResult

COMPARISON_NAME = "comparison.json"
"""In a sweep's folder from its start."""

MOST_NAME_BYTES = 120
"""File systems take 255; Windows takes 260 for a whole path."""


@dataclass(frozen=True)
class Cell:
    """One training of a comparison: a setting on one fold with one seed.

    Attributes:
        axes: Value of each compared key, in the order in which they are compared; once the cell has
            its folder, of every key that was ever compared there.
        overrides: What Hydra is told to compose its configuration.
        config: Its configuration.
        folder: Its folder, whether or not it exists; see `djd.sweeps.plan.plan_cells`.
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


def identity_of(config: RunConfig, cohort_digest: str) -> str:
    """What tells a training from every other: all that can change one of its numbers.

    Args:
        config: What is trained.
        cohort_digest: Of crops, grades and split.
    """
    numbers = {key: value for key, value in config.by_key().items() if key not in NUMBERLESS_KEYS}
    told = json.dumps([RESULTS_VERSION, cohort_digest, numbers], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def axes_name(axes: Mapping[str, AxisValue]) -> str:
    """A name for a folder: `depth=2 optim=adam fold=0`, shortened where it is too long.

    Args:
        axes: Values by key, as `model.depth`; of two keys that end alike both are written out.
    """
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
