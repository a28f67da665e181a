"""Settings refitted on all development patients and scored on the test patients, as jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from djd.comparison.cells import axes_name
from djd.comparison.job import Job
from djd.comparison.plan import PlannedCell
from djd.comparison.settings import Setting, by_setting
from djd.training.config import RunConfig
from djd.training.failure import failure_reason
from djd.training.finished import finished_result
from djd.training.result import RunResult

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
    """

    config: RunConfig
    name: str
    folder: Path
    overrides: tuple[str, ...]

    def job(self, seconds: float) -> Job:
        """What is asked of a launcher."""
        epochs = self.config.trainer.max_epochs
        return Job(self.folder, self.name, "refit", self.overrides, epochs, seconds)

    def result(self) -> RunResult | None:
        """What came of it, once it is finished."""
        return finished_result(self.folder, self.config)

    def reason(self) -> str | None:
        """Why it failed, in one line; None where it hasn't."""
        return failure_reason(self.folder)


def winner_refit(comparison: Path, best: Setting) -> Refit:
    """The refit of the setting that validation chose, for its number of epochs."""
    cell = best.cells[0].planned
    return _refit(comparison, f"{WINNER}/{best.name}", cell, epochs=best.epochs, score_epochs=())


def each_refit(comparison: Path, planned: Sequence[PlannedCell]) -> list[Refit]:
    """A refit of every setting, all its score epochs out of one training."""
    refits = []
    for cells in by_setting(planned):
        config = cells[0].cell.config
        name = f"{EACH}/{axes_name(cells[0].setting_axes)}"
        refits.append(
            _refit(
                comparison,
                name,
                cells[0],
                epochs=config.trainer.max_epochs,
                score_epochs=config.score_epochs,
            )
        )
    return refits


def _refit(
    comparison: Path, name: str, cell: PlannedCell, *, epochs: int, score_epochs: Sequence[int]
) -> Refit:
    config = cell.cell.config
    refitted = config.model_copy(
        update={
            "data": config.data.model_copy(update={"fold": None}),
            "trainer": config.trainer.model_copy(update={"max_epochs": epochs}),
            "score_epochs": tuple(score_epochs),
        }
    )
    changes = {
        "data.fold": "null",
        "trainer.max_epochs": str(epochs),
        "score_epochs": f"[{','.join(map(str, score_epochs))}]",
    }
    return Refit(refitted, name, comparison / name, _replaced(cell.cell.overrides, changes))


def _replaced(overrides: Sequence[str], changes: Mapping[str, str]) -> tuple[str, ...]:
    """Overrides with some keys' values changed, or said in addition."""
    others = [each for each in overrides if each.partition("=")[0].lstrip("+") not in changes]
    return (*others, *(f"{key}={value}" for key, value in changes.items()))
