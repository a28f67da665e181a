"""A sweep in its folder: its cells and the state of each, while they train and afterwards."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from djd.errors import InputError
from djd.files import is_there, tried_again, written_when
from djd.runs.config import RunConfig, read_config
from djd.runs.folder import (
    CONFIG_NAME,
    RESULT_NAME,
    failure_reason,
    finished_result,
    is_locked,
    saved_config,
)
from djd.runs.keys import RECIPE, SHARING_KEYS, UNNAMED_KEYS, AxisValue, value_of
from djd.runs.pretrain import pretrained_sentences
from djd.runs.result import RESULTS_VERSION, RunResult
from djd.sweeps.cells import Cell, FinishedCell, at_axes, by_setting, one_a_folder
from djd.sweeps.folder import COMPARISON_NAME, read_plan, sweep_above
from djd.sweeps.plan import NamedCell, Plan
from djd.wording import in_shell

_AnyCell = TypeVar("_AnyCell", bound=Cell)

UNUSABLE_RESULT = f"its {RESULT_NAME} is damaged, or of another training"


@dataclass(frozen=True, eq=False)
class Sweep:
    """The folder of a sweep; or of a single run, as a sweep of one setting.

    Attributes:
        cells: All cells, trained or not. Cells that differ in `SHARING_KEYS` share a folder.
        finished: Cells with a result.
        failed: Cells that failed, one a folder, each with its reason in one line.
        elsewhere: Cells that another process works on, one a folder.
        to_do: All other cells, one a folder.
        plan: None for a single run.
        run: The result of a single run.
        notes: Sentences on cells that can't be read.
    """

    folder: Path
    cells: tuple[Cell, ...]
    finished: tuple[FinishedCell, ...] = ()
    failed: tuple[tuple[Cell, str], ...] = ()
    elsewhere: tuple[Cell, ...] = ()
    to_do: tuple[Cell, ...] = ()
    plan: Plan | None = None
    run: RunResult | None = None
    notes: tuple[str, ...] = ()

    def looked_at(self) -> "Sweep":
        """The sweep with the present states; a cell whose folder can't be read has failed.

        A result that was read before is read again where its file has changed.
        """
        finished, failed, elsewhere, to_do = [], [], [], []
        known = {cell.place: cell for cell in self.finished}
        for cell in self.cells:
            if found := self._finished(cell, known.get(cell.place)):
                finished.append(found)
                continue
            try:
                tried_again(partial(_first_in, cell.folder), cell.folder)
            except (FileNotFoundError, NotADirectoryError):
                to_do.append(cell)
                continue
            except OSError as error:
                failed.append((cell, f"{cell.folder} can't be read ({error.strerror})"))
                continue
            # In this order a cell that ends meanwhile is seen as locked or finished.
            if is_locked(cell.folder):
                elsewhere.append(cell)
            elif found := self._finished(cell, None):
                finished.append(found)
            elif reason := failure_reason(cell.folder):
                failed.append((cell, reason))
            else:
                to_do.append(cell)
        once = {cell.folder: (cell, reason) for cell, reason in reversed(failed)}
        return Sweep(
            self.folder,
            self.cells,
            tuple(finished),
            tuple(reversed(once.values())),
            tuple(one_a_folder(elsewhere)),
            tuple(one_a_folder(to_do)),
            self.plan,
            self.run,
            self.notes,
        )

    def _finished(self, cell: Cell, before: FinishedCell | None) -> FinishedCell | None:
        """The cell with its result, once it is finished; `before` as it was seen earlier."""
        written = written_when(cell.folder / RESULT_NAME)
        if before and written == before.written is not None and before.config is cell.config:
            return FinishedCell.of(cell, before.result, written)
        result = self.result_of(cell)
        return FinishedCell.of(cell, result, written) if result else None

    @property
    def trainings(self) -> list[Cell]:
        """The first of the cells that share a folder."""
        return one_a_folder(self.cells)

    @property
    def finished_trainings(self) -> list[FinishedCell]:
        """The same of the finished cells."""
        return one_a_folder(self.finished)

    def result_of(self, cell: Cell) -> RunResult | None:
        """The result of a cell or refit, once it is finished."""
        version = self.plan.results_version if self.plan else RESULTS_VERSION
        return finished_result(cell.folder, cell.config, version=version)

    @property
    def config(self) -> RunConfig:
        """The configuration of the first cell, with all values that the cells share."""
        return self.cells[0].config

    @property
    def unfinished(self) -> list[Cell]:
        """Cells without a result; those of other processes last, by then finished or abandoned."""
        return [*self.to_do, *(cell for cell, _ in self.failed), *self.elsewhere]

    @property
    def phantom(self) -> bool:
        """Whether the scans are known to be invented."""
        sources = {cell.config.data.source for cell in self.cells}
        return "phantom" in sources or any(cell.result.phantom for cell in self.finished)

    @property
    def pretrained(self) -> list[str]:
        """Sentences on networks that began with weights of a pretraining."""
        configs = [cell.config for cell in self.cells]
        return pretrained_sentences(configs, phantom=self.phantom)

    @property
    def stamp(self) -> str | None:
        """The warning on everything that is made of the sweep."""
        if not self.cells:
            return None
        return self.config.stamp(phantom=self.phantom)  # `data.leak` is no axis: one for all cells


def _first_in(folder: Path) -> Path | None:
    return next(folder.iterdir(), None)


def has_unusable_result(cell: Cell) -> bool:
    """Whether a cell that is to do has a result, which can't be used."""
    return is_there(cell.folder / RESULT_NAME)


def read_folder(folder: Path) -> Sweep:
    """Read a folder that training has left.

    Raises:
        InputError: The folder is no sweep's and no finished run's, or its plan is damaged.
    """
    if (folder / COMPARISON_NAME).exists():
        return _read_sweep(folder)
    if above := sweep_above(folder):
        raise InputError(
            f"{folder}: expected the folder of a sweep or of a run, received a part of one; say "
            f"{in_shell('djd', 'report', str(above))}"
        )
    if not (folder / RESULT_NAME).exists():
        raise InputError(
            f"{folder}: expected the folder of a sweep ({COMPARISON_NAME}) or of a finished run "
            f"({RESULT_NAME}), received {_received(folder)}"
        )
    try:
        result = RunResult.load(folder / RESULT_NAME)
    except InputError as error:
        raise InputError(
            f"{folder}: expected {COMPARISON_NAME} of a sweep, or the {RESULT_NAME} of a finished "
            f"run, received a {RESULT_NAME} that is neither whole nor a run's"
        ) from error
    return sweep_of_run(folder, result)


def _received(folder: Path) -> str:
    if not folder.is_dir():
        return "a file" if folder.exists() else "nothing there"
    if (folder / CONFIG_NAME).exists():
        return "a run that isn't finished"
    files = [*folder.glob(f"*/{COMPARISON_NAME}"), *folder.glob(f"*/{RESULT_NAME}")]
    if not files:
        return "neither"
    latest = max((path.parent for path in files), key=lambda each: each.stat().st_mtime)
    return f"one that holds such folders; did you mean {latest}?"


def sweep_of_run(folder: Path, result: RunResult) -> Sweep:
    """A single run as a sweep of one setting.

    Raises:
        InputError: The configuration in the result is not as expected.
    """
    config = read_config(result.config)
    values = config.by_key()
    changed = [key for key in config.changed if key not in UNNAMED_KEYS and key in values]
    axes: dict[str, AxisValue] = {
        **config.named_choices,
        **{key: value for key, value in values.items() if key == "model.depth"},
        **{key: value_of(values, key) for key in changed},
        "optim.lr": config.optim.learning_rate,
        "data.batch_size": config.data.batch_size,
    }
    # A single run's setting is its last epoch; earlier epochs are only shown.
    config = config.model_copy(update={"score_epochs": ()})
    cell = FinishedCell(axes, (), config, folder, result=result)
    return Sweep(folder, (cell,), (cell,), run=result)


def _read_sweep(folder: Path) -> Sweep:
    plan = read_plan(folder)
    configs = [_config_in(folder / named.name, named, plan) for named in plan.cells]
    sample = next((config for config in configs if config), None)
    cells, notes = [], []
    for named, there in zip(plan.cells, configs, strict=True):
        config = there or plan.config_of(named, sample)
        if config is None:
            notes.append(f"left out: {named.name}: it isn't known what was to be trained there")
            continue
        axes = at_axes(config, plan.axes, named.axes)
        cells.append(Cell(axes, (), config, folder / named.name))
    sweep = Sweep(folder, tuple(cells), plan=plan).looked_at()
    unusable = [cell.folder.name for cell in sweep.to_do if has_unusable_result(cell)]
    notes += [f"left out: {name}: {UNUSABLE_RESULT}" for name in unusable]
    epochs = _common_epochs(sweep)
    both = tuple(_with_epochs(sweep.cells, epochs)), tuple(_with_epochs(sweep.finished, epochs))
    return replace(sweep, cells=both[0], finished=both[1], notes=tuple(notes))


def _config_in(folder: Path, named: NamedCell, plan: Plan) -> RunConfig | None:
    """The configuration in a cell's folder, if it is the planned one."""
    # A result has the configuration too, in JSON, which is read in a tenth of the time of YAML.
    for read in (_config_of_result, saved_config):
        with suppress(InputError, OSError):
            if plan.is_of(named, config := read(folder)):
                break
    else:
        return None
    # Another decision, or recipe, may have trained the folder.
    recipe = {key: str(value) for key, value in named.axes.items() if key == RECIPE}
    of_recipe = plan.choices.get(f"{RECIPE}={recipe.get(RECIPE)}", {})
    sharing = {**plan.sharing, **of_recipe, **named.axes}
    update = {key: sharing[key] for key in SHARING_KEYS & sharing.keys()}
    return config.model_copy(update={**update, "choices": {**config.choices, **recipe}})


def _config_of_result(folder: Path) -> RunConfig:
    return read_config(RunResult.load(folder / RESULT_NAME).config)


def _common_epochs(sweep: Sweep) -> dict[Path, tuple[int, ...]]:
    """Score epochs that all results of a cell's setting have, by the cell's folder."""
    scored = {
        each.folder: {scores.epoch for scores in each.result.validation}
        for each in sweep.finished_trainings
    }
    common: dict[Path, tuple[int, ...]] = {}
    for group in by_setting(sweep.cells):
        epochs = [scored[cell.folder] for cell in group if scored.get(cell.folder)]
        if shared := set.intersection(*epochs) if epochs else set():
            common |= {cell.folder: tuple(sorted(shared)) for cell in group}
    return common


def _with_epochs(
    cells: Sequence[_AnyCell], epochs: dict[Path, tuple[int, ...]]
) -> Iterable[_AnyCell]:
    for cell in cells:
        scored = epochs.get(cell.folder, cell.config.score_epochs)
        if scored != cell.config.score_epochs:
            cell = replace(cell, config=cell.config.model_copy(update={"score_epochs": scored}))
        yield cell
