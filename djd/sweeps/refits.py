"""Settings refitted on all development patients and scored on the test patients, as jobs."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from djd.errors import InputError
from djd.runs.config import RunConfig
from djd.runs.folder import CONFIG_NAME, failure_reason, finished_result, is_locked, saved_config
from djd.runs.keys import AxisValue
from djd.runs.result import RunResult
from djd.sweeps.cells import Cell, axes_name, identity_of
from djd.sweeps.job import LOST, Job
from djd.sweeps.settings import Setting, by_setting

WINNER = "winner"
EACH = "each"


@dataclass(frozen=True)
class Refit:
    """A setting's refit, and where it is.

    Attributes:
        config: Without a fold, and scored at its score epochs.
        name: Its folder below the comparison's.
        folder: That folder.
        overrides: What Hydra is told to compose its configuration.
        axes: Of the setting, epochs apart.
    """

    config: RunConfig
    name: str
    folder: Path
    overrides: tuple[str, ...]
    axes: Mapping[str, AxisValue]

    def job(self, seconds: float) -> Job:
        """What is asked of a launcher."""
        epochs = self.config.trainer.max_epochs
        return Job(self.folder, self.name, "refit", self.overrides, epochs, seconds)

    def result(self) -> RunResult | None:
        """What came of it, once it is finished."""
        return finished_result(self.folder, self.config)

    def reason(self) -> str | None:
        """Why it failed, in one line, once it was launched; None where it hasn't."""
        if self.result() or is_locked(self.folder):
            return None
        return failure_reason(self.folder) or LOST


def winner_refit(comparison: Path, best: Setting) -> Refit:
    """The refit of the setting that validation chose, for its number of epochs."""
    first = _first_repeat(best.cells)
    config = _refitted(first, epochs=best.epochs, score_epochs=())
    there = _configs_below(comparison / WINNER)
    return _refit(comparison / WINNER, best.name, config, first, there)


def each_refit(comparison: Path, cells: Sequence[Cell]) -> list[Refit]:
    """A refit of every setting, all its score epochs out of one training."""
    there = _configs_below(comparison / EACH)
    refits = []
    for group in by_setting(cells):
        first = _first_repeat(group)
        before = first.config
        config = _refitted(
            first, epochs=before.trainer.max_epochs, score_epochs=before.score_epochs
        )
        name = axes_name(first.setting_axes)
        refits.append(_refit(comparison / EACH, name, config, first, there))
    return refits


def _first_repeat(cells: Sequence[Cell]) -> Cell:
    """The cell with the lowest seed, whatever the order in which seeds were typed."""

    def seeds(cell: Cell) -> tuple[int, int]:
        config = cell.config
        return config.seed, config.data.split_seed

    return min(cells, key=seeds)


def _configs_below(folder: Path) -> dict[str, Path]:
    """Folders of refits by their configuration's identity."""
    there = {}
    for path in sorted(folder.glob(f"*/{CONFIG_NAME}")):
        with suppress(InputError, OSError):  # damaged: whoever trains there is told
            there[identity_of(saved_config(path.parent), "")] = path.parent
    return there


def _refit(
    folder: Path,
    name: str,
    config: RunConfig,
    cell: Cell,
    there: Mapping[str, Path],
) -> Refit:
    """A refit in the folder that it has already, or in one that no other has."""
    identity = identity_of(config, "")
    if identity in there:
        name = there[identity].name
    elif folder / name in there.values():
        name = f"{name} {identity[:6]}"
    changes = {
        "data.fold": "null",
        "trainer.max_epochs": str(config.trainer.max_epochs),
        "score_epochs": f"[{','.join(map(str, config.score_epochs))}]",
    }
    overrides = _replaced(cell.overrides, changes)
    return Refit(config, f"{folder.name}/{name}", folder / name, overrides, cell.setting_axes)


def _refitted(cell: Cell, *, epochs: int, score_epochs: Sequence[int]) -> RunConfig:
    config = cell.config
    return config.model_copy(
        update={
            "data": config.data.model_copy(update={"fold": None}),
            "trainer": config.trainer.model_copy(update={"max_epochs": epochs}),
            "score_epochs": tuple(score_epochs),
        }
    )


def _replaced(overrides: Sequence[str], changes: Mapping[str, str]) -> tuple[str, ...]:
    """Overrides with some keys' values changed, or said in addition."""
    others = [each for each in overrides if each.partition("=")[0].lstrip("+") not in changes]
    return (*others, *(f"{key}={value}" for key, value in changes.items()))
