"""Which settings have been scored on the test patients, now and before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from djd.errors import InputError
from djd.runs.config import read_config
from djd.runs.folder import CONFIG_NAME, RESULT_NAME
from djd.runs.result import PartScores, RunResult
from djd.sweeps.cells import Cell, axes_name
from djd.sweeps.plan import at_axes
from djd.sweeps.refits import WINNER, each_refit, winner_refit
from djd.sweeps.settings import Setting


@dataclass(frozen=True)
class OpenedRefit:
    """A setting that was scored on the test patients.

    Attributes:
        name: Of the setting.
        folder: Of its refit.
        scores: What its result says of the test patients.
    """

    name: str
    folder: Path
    scores: PartScores


def winners_opened(
    folder: Path, cells: Sequence[Cell], settings: Sequence[Setting]
) -> list[OpenedRefit]:
    """Every setting of a comparison that was scored on the test patients, the winner first.

    Earlier winners, chosen when less had been compared, are among them, by the names that their
    settings have now; and whatever `test=each` left.

    Args:
        folder: The comparison's.
        cells: Its cells.
        settings: Those that can be compared, the best first.
    """
    opened: dict[str, OpenedRefit] = {}
    if settings:
        best, winner = settings[0].name, winner_refit(folder, settings[0])
        result = winner.result()
        if result and result.test:
            opened[best] = OpenedRefit(best, winner.folder, result.test[-1])
    for refit in each_refit(folder, cells):
        result = refit.result()
        for scores in result.test if result else ():
            name = axes_name({**refit.axes, "epochs": scores.epoch})
            opened.setdefault(name, OpenedRefit(name, refit.folder, scores))
    for earlier in _winners(folder, cells):
        opened.setdefault(earlier.name, earlier)
    return list(opened.values())


def _winners(folder: Path, cells: Sequence[Cell]) -> Iterable[OpenedRefit]:
    axes = list(cells[0].setting_axes) if cells else []
    for path in sorted(folder.glob(f"{WINNER}/*/{RESULT_NAME}")):
        try:
            result = RunResult.load(path)
            config = read_config(result.config)
        except (InputError, OSError):
            continue
        if result.test:
            scores = result.test[-1]
            place = at_axes(Cell({}, (), config), axes)
            name = axes_name({**place, "epochs": scores.epoch})
            yield OpenedRefit(name, path.parent, scores)


def unusable_winners(folder: Path) -> Iterable[str]:
    """Winners whose test scores can't be read, a sentence each."""
    for path in sorted(folder.glob(f"{WINNER}/*/{CONFIG_NAME}")):
        try:
            usable = bool(RunResult.load(path.parent / RESULT_NAME).test)
        except (InputError, OSError):
            usable = False
        if not usable:
            yield (
                f"left out: {WINNER}/{path.parent.name}: not finished, or its {RESULT_NAME} is "
                "damaged"
            )


def run_opened(folder: Path, result: RunResult, settings: Sequence[Setting]) -> list[OpenedRefit]:
    """What a single run left of the test patients."""
    if not result.test:
        return []
    name = settings[0].name if settings else result.setting
    return [OpenedRefit(name, folder / WINNER / result.setting, result.test[-1])]
