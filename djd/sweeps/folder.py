"""A comparison read back from its folder, whatever is finished, broken or missing in it."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from djd.errors import InputError
from djd.runs.config import RunConfig, read_config
from djd.runs.folder import CONFIG_NAME, RESULT_NAME, saved_config
from djd.runs.keys import AxisValue, nested
from djd.runs.result import RunResult
from djd.sweeps.cells import COMPARISON_NAME, Cell, FinishedCell, identity_of
from djd.sweeps.plan import NamedCell, Plan, at_axes
from djd.sweeps.refits import EACH, WINNER
from djd.sweeps.settings import by_setting
from djd.sweeps.states import UNUSABLE_RESULT, States, has_unusable_result, states_of


@dataclass(frozen=True, eq=False)
class Contents:
    """What is in the folder of a comparison, or of a single run, which is one of one setting.

    Attributes:
        folder: The folder.
        cells: Its cells, whether or not they have been trained.
        states: How far they are.
        run: The result, where it is a single run's folder.
        notes: What can't be read, a sentence each.
    """

    folder: Path
    cells: tuple[Cell, ...]
    states: States
    run: RunResult | None
    notes: tuple[str, ...]

    @property
    def stamp(self) -> str | None:
        """What has to stand on everything that is made of it."""
        configs = [cell.config for cell in self.cells]
        phantom = any(cell.result.phantom for cell in self.states.finished) or any(
            config.data.source == "phantom" for config in configs
        )
        # A comparison leaks as a whole: `data.leak` is no axis.
        return configs[0].stamp(phantom=phantom) if configs else None


def read_folder(folder: Path) -> Contents:
    """Read a folder that training has left.

    Raises:
        InputError: It is not that of a comparison or of a finished run, or its plan is damaged.
    """
    if (folder / COMPARISON_NAME).exists():
        return _read_comparison(folder)
    if above := _belongs_to(folder):
        raise InputError(
            f"{folder}: expected the folder of a sweep or of a run, received a part of one; say "
            f"djd report {shlex.quote(str(above))}"
        )
    if (folder / RESULT_NAME).exists():
        return run_contents(folder, _run_result(folder))
    raise InputError(
        f"{folder}: expected the folder of a sweep ({COMPARISON_NAME}) or of a finished run "
        f"({RESULT_NAME}), received {_received(folder)}"
    )


def _belongs_to(folder: Path) -> Path | None:
    """The comparison or run that a cell's or a refit's folder is a part of."""
    parents = folder.absolute().parents[:2]
    for above in parents[:1]:
        if (above / COMPARISON_NAME).exists():
            return above
    if len(parents) == 2 and parents[0].name in (WINNER, EACH):
        whole = (parents[1] / COMPARISON_NAME, parents[1] / RESULT_NAME)
        return parents[1] if any(path.exists() for path in whole) else None
    return None


def _run_result(folder: Path) -> RunResult:
    try:
        return RunResult.load(folder / RESULT_NAME)
    except InputError as error:
        raise InputError(
            f"{folder}: expected {COMPARISON_NAME} of a sweep, or the {RESULT_NAME} of a finished "
            f"run, received a {RESULT_NAME} that is neither whole nor a run's"
        ) from error


def _received(folder: Path) -> str:
    if not folder.exists():
        return "nothing there"
    if not folder.is_dir():
        return "a file"
    if (folder / CONFIG_NAME).exists():
        return "a run that isn't finished"
    below = [
        path.parent for name in (COMPARISON_NAME, RESULT_NAME) for path in folder.glob(f"*/{name}")
    ]
    if below:
        return f"one that holds such folders; did you mean {max(below, key=_changed)}?"
    return "neither"


def _changed(folder: Path) -> float:
    return folder.stat().st_mtime


def run_contents(folder: Path, result: RunResult) -> Contents:
    """A single run as a comparison of one setting."""
    config = read_config(result.config)
    axes: dict[str, AxisValue] = {
        **config.choices,
        "optim.lr": config.optim.learning_rate,
        "data.batch_size": config.data.batch_size,
    }
    # A single run's setting is its last epoch; earlier ones are only shown.
    config = config.model_copy(update={"score_epochs": ()})
    cell = FinishedCell(axes, (), config, folder, result=result)
    return Contents(folder, (cell,), States((cell,), (), (), ()), result, ())


def _read_comparison(folder: Path) -> Contents:
    plan = Plan.load(folder)
    configs = {named.name: _config_in(folder / named.name, named, plan) for named in plan.cells}
    sample = next((config for config in configs.values() if config), None)
    cells, unknown = [], []
    for named in plan.cells:
        config = configs[named.name] or _config_of(named, plan, sample)
        if config is None:
            unknown.append(named.name)
            continue
        cell = Cell(named.axes, (), config, folder / named.name)
        cells.append(replace(cell, axes=at_axes(cell, plan.axes)))
    notes = [f"left out: {name}: it isn't known what was to be trained there" for name in unknown]
    states = states_of(cells)
    notes += [
        f"left out: {cell.folder.name}: {UNUSABLE_RESULT}"
        for cell in states.to_do
        if has_unusable_result(cell)
    ]
    cells, finished = _with_common_epochs(cells, states.finished)
    states = replace(states, finished=tuple(finished))
    return Contents(folder, tuple(cells), states, None, tuple(notes))


def _config_in(folder: Path, named: NamedCell, plan: Plan) -> RunConfig | None:
    """The configuration that a cell's folder was trained with, if it is the planned one."""
    try:
        config = saved_config(folder) if (folder / CONFIG_NAME).exists() else None
    except (InputError, OSError):
        return None
    if config is None or identity_of(config, plan.cohort_digest) != named.identity:
        return None
    return config


def _config_of(named: NamedCell, plan: Plan, sample: RunConfig | None) -> RunConfig | None:
    """The configuration of a cell that was never started, put together from the plan.

    Its identity tells whether it came out right.
    """
    if sample is None:
        return None
    values = sample.by_key() | plan.fixed
    for axis, value in named.axes.items():
        if (choice := f"{axis}={value}") in plan.choices:
            # Another choice of the group may have keys that this one lacks, such as a momentum.
            values = {key: each for key, each in values.items() if not key.startswith(f"{axis}.")}
            values |= plan.choices[choice]
    values |= {axis: value for axis, value in named.axes.items() if "." in axis or axis == "seed"}
    try:
        config = read_config(nested(values))
    except (InputError, TypeError, AttributeError):  # the plan's keys make no configuration
        return None
    return config if identity_of(config, plan.cohort_digest) == named.identity else None


def _with_common_epochs(
    cells: Sequence[Cell], finished: Sequence[FinishedCell]
) -> tuple[list[Cell], list[FinishedCell]]:
    """Cells of a setting with those score epochs that all of its results have."""
    scored = {each.folder: {scores.epoch for scores in each.result.validation} for each in finished}
    changed: dict[Path, RunConfig] = {}
    for group in by_setting(cells):
        epochs = [scored[cell.folder] for cell in group if scored.get(cell.folder)]
        common = set.intersection(*epochs) if epochs else set()
        for cell in group:
            update = {"score_epochs": tuple(sorted(common))} if common else {}
            changed[cell.folder] = cell.config.model_copy(update=update)
    return (
        [replace(cell, config=changed[cell.folder]) for cell in cells],
        [replace(each, config=changed[each.folder]) for each in finished],
    )
