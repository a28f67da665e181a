"""Cells and results that were never trained, for tests of what is made of them."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from djd.comparison.cells import AxisValue, Cell
from djd.metrics import score_table
from djd.training.config import RunConfig, read_config
from djd.training.result import RESULTS_VERSION, PartScores, RunResult
from tests.conftest import compose_values

OPTIM = {"adam": "torch.optim.Adam", "sgd": "torch.optim.SGD"}


@cache
def base_values() -> dict[str, Any]:
    return compose_values()


def config_with(changes: Mapping[str, Any]) -> RunConfig:
    """The base configuration with values changed by key; `optim` stands for its group."""
    values = {key: dict(value) if isinstance(value, dict) else value
              for key, value in base_values().items()}  # fmt: skip
    for key, value in changes.items():
        group, _, name = key.partition(".")
        if key == "optim":
            values["optim"] |= {"name": value, "_target_": OPTIM[value]}
        elif name:
            values[group][name] = value
        else:
            values[key] = value
    return read_config(values)


def cell(axes: Mapping[str, AxisValue], **fixed: Any) -> Cell:
    """A cell on some axes; of fixed keys `__` stands for the dot."""
    changes = {key.replace("__", "."): value for key, value in fixed.items()}
    overrides = tuple(f"{key}={value}" for key, value in axes.items())
    return Cell(axes, overrides, config_with({**changes, **axes}))


def result(config: RunConfig, confusions: dict[int, NDArray[np.int64]]) -> RunResult:
    """A result with these confusion counts at each epoch; ten knees are of five patients."""
    return RunResult(
        results_version=RESULTS_VERSION,
        setting=config.setting_name,
        config=config.plain(),
        fingerprint="f" * 16,
        phantom=True,
        leak=False,
        device="cpu",
        threads=1,
        versions={},
        fit_seconds=1.0,
        validation=[
            PartScores(
                epoch=epoch,
                patients=int(counts.sum()) // 2,
                knees=int(counts.sum()),
                confusion=counts.tolist(),
                scores=score_table(counts),
            )
            for epoch, counts in confusions.items()
        ],
        test=[],
        test_openings=None,
    )


def leave_result(folder: Path, config: RunConfig, confusions: dict[int, NDArray[np.int64]]) -> None:
    """Leave a finished cell's result."""
    folder.mkdir(parents=True, exist_ok=True)
    result(config, confusions).save(folder / "result.json")
