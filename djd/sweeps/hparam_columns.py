"""The columns of TensorBoard's HParams tab: the axes of a comparison and all their values."""

from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from djd.runs.callbacks.hparams import EPOCHS_KEY, SCORE_RUNS, main_hparams, write_hparam_columns
from djd.runs.keys import NUMBERLESS_KEYS, REPEAT_KEYS, AxisValue
from djd.sweeps.cells import Cell
from djd.sweeps.plan import PLAN_LOCK_NAME, Plan


def leave_hparam_columns(folder: Path, cells: Sequence[Cell]) -> None:
    """Write, or write anew, which columns the comparison has; its plan is there already.

    A comparison that was widened gets the new axes and values; several commands take turns.

    Args:
        folder: The comparison's.
        cells: Cells of this command.

    Raises:
        InputError: The plan is damaged.
        OSError: The file can't be written.
    """
    with FileLock(folder / PLAN_LOCK_NAME):
        plan = Plan.load(folder)
        values = hparam_values(folder, plan, cells)
        compared = [key for key in (*_axes(plan), EPOCHS_KEY) if len(values[key]) > 1]
        write_hparam_columns(folder, values, compared=compared)


def hparam_values(folder: Path, plan: Plan, cells: Sequence[Cell]) -> dict[str, list[AxisValue]]:
    """Values of each hyperparameter that has a column: the axes, epochs, and what is always shown.

    Args:
        folder: The comparison's; what was trained in it before has epochs, too.
        plan: All axes and cells.
        cells: Cells of this command.
    """
    values: dict[str, dict[AxisValue, None]] = {}
    for cell in cells:
        for key, value in main_hparams(cell.config).items():
            values.setdefault(key, {})[value] = None
        for epochs in cell.config.epochs_to_score:
            values.setdefault(EPOCHS_KEY, {})[epochs] = None
    for run in folder.glob(f"*/{SCORE_RUNS}"):
        values[EPOCHS_KEY][int(run.name.partition("=")[2])] = None
    for key in _axes(plan):
        for named in plan.cells:
            values.setdefault(key, {})[named.axes[key]] = None
    return {key: list(each) for key, each in values.items()}


def _axes(plan: Plan) -> list[str]:
    return [key for key in plan.axes if key not in REPEAT_KEYS and key not in NUMBERLESS_KEYS]
