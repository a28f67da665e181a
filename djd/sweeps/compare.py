"""A comparison from its cells to its winner, whatever becomes of the cells."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from djd.data.cohort import Cohort
from djd.data.split import Parts, PatientSplit
from djd.data.tables import Readings
from djd.files import write_whole
from djd.machine import Stopped
from djd.runs.folder import RESULT_NAME, forget_failure, record_loss
from djd.runs.prepare import leave_for_report, read_data, read_readings, split_cell
from djd.sweeps.cells import Cell
from djd.sweeps.evidence import gather
from djd.sweeps.forecast import Forecast, forecast, refit_seconds
from djd.sweeps.hparam_columns import leave_hparam_columns
from djd.sweeps.job import LOST, Job, Launch
from djd.sweeps.keep import drop_weights
from djd.sweeps.plan import Plan, cohort_digest, plan_and_save, plan_cells
from djd.sweeps.refits import Refit, each_refit, winner_refit
from djd.sweeps.settings import by_setting, score_settings
from djd.sweeps.states import States, forget_failures, states_of
from djd.sweeps.summary import Outcome, say_head


@dataclass(frozen=True, eq=False)
class Comparison:
    """Cells, where they are, and the knees that all of them grade.

    Attributes:
        folder: Where everything goes.
        plan: What the folder is to know of itself.
        cells: The cells, each with its folder.
        cohort: The knees.
        split: The wall between development and test patients.
        readings: A second reader's grades; None where none were given.
        at_once: Cells trained at a time.
    """

    folder: Path
    plan: Plan
    cells: Sequence[Cell]
    cohort: Cohort
    split: PatientSplit
    readings: Readings | None
    at_once: int

    @classmethod
    def of(
        cls, cells: Sequence[Cell], folder: Path, *, at_once: int, arguments: Sequence[str]
    ) -> "Comparison":
        """Read the cohort and give every cell its folder; nothing is written.

        Args:
            cells: One or more.
            folder: The comparison's.
            at_once: Cells trained at a time.
            arguments: Of the command line, to go on with.

        Raises:
            InputError: The scans or the second reader's file are not as expected, or the folder is
                another comparison's.
        """
        readings = read_readings(cells[0].config)
        cohort, split = read_data(cells[0].config)
        plan, planned = plan_cells(
            folder, cells, digest=cohort_digest(cohort, split), arguments=arguments
        )
        return cls(folder, plan, planned, cohort, split, readings, at_once)

    def saved(self) -> "Comparison":
        """The same, with its plan and the dashboard's columns written.

        Other commands may have widened it meanwhile.
        """
        plan, planned = plan_and_save(
            self.folder,
            self.cells,
            digest=self.plan.cohort_digest,
            arguments=self.plan.arguments,
        )
        leave_hparam_columns(self.folder, planned)
        return replace(self, plan=plan, cells=planned)

    def parts(self, cell: Cell, *, fold: int | None) -> Parts:
        """Knees of each part for a cell's configuration."""
        return split_cell(cell.config, self.cohort, self.split, fold=fold)


def compare(comparison: Comparison, launch: Launch) -> Outcome | None:
    """Train what isn't trained yet, choose the winner, and score it on the test patients.

    Args:
        comparison: What is compared; `dry_run` tells what it would take and trains nothing.
        launch: Trains jobs.

    Returns:
        The outcome; None where nothing was to be trained (`dry_run`).

    Raises:
        InputError: The split of some cell is not as expected.
        Stopped: It was stopped; the exception says how to go on.
    """
    states = states_of(comparison.cells)
    expected = _expected(comparison, states)
    say_head(comparison.cohort, comparison.split, comparison.cells, states, expected)
    if comparison.cells[0].config.dry_run:
        return None
    comparison = comparison.saved()
    try:
        return _carry_out(comparison, expected, launch)
    except Stopped as stop:
        stop.folder_argument = f"hydra.sweep.dir={comparison.folder}"
        raise


def _carry_out(comparison: Comparison, expected: Forecast, launch: Launch) -> Outcome:
    config = comparison.cells[0].config
    stamp = config.stamp(phantom=comparison.cohort.phantom)
    leave_for_report(
        comparison.folder, comparison.cohort, comparison.split, comparison.readings, stamp=stamp
    )
    (comparison.folder / RESULT_NAME).unlink(missing_ok=True)
    states = states_of(comparison.cells)
    forget_failures(states.failed)
    jobs = {
        cell.folder: _cell_job(cell, expected.seconds.get(cell.overrides, 0.0))
        for cell in unfinished_of(states)
    }
    states = _train(comparison, jobs, launch, fail_fast=config.fail_fast)
    outcome = _end(comparison, states, launch)
    if outcome.complete and not outcome.failures:
        write_whole(comparison.folder / RESULT_NAME, json.dumps(outcome.plain(), indent=1))
    return outcome


def unfinished_of(states: States) -> list[Cell]:
    """Cells without a result, in the order in which they are tried.

    Those in other hands come last: most will be finished by then, or their owner has died.
    """
    return [*states.to_do, *(cell for cell, _ in states.failed), *states.elsewhere]


def _expected(comparison: Comparison, states: States) -> Forecast:
    cells = unfinished_of(states)
    parts = {
        key: comparison.parts(cell, fold=cell.config.data.fold)
        for cell in cells
        for key in [_split_key(cell)]
    }
    of_cells = [parts[_split_key(cell)] for cell in cells]
    config = comparison.cells[0].config
    refits = [group[0] for group in by_setting(comparison.cells)]
    return forecast(
        comparison.cells,
        cells,
        knees=[(len(part.train), len(part.validation)) for part in of_cells],
        refits=refits if cells and config.test != "never" else [],
        refit_knees=_development_knees(comparison),
        at_once=comparison.at_once,
    )


def _development_knees(comparison: Comparison) -> int:
    return len(comparison.parts(comparison.cells[0], fold=None).train)


def _split_key(cell: Cell) -> tuple[int, int | None, int, bool]:
    data = cell.config.data
    return data.folds, data.fold, data.split_seed, data.leak


def _cell_job(cell: Cell, seconds: float) -> Job:
    epochs = cell.config.trainer.max_epochs
    return Job(cell.folder, cell.folder.name, "cell", cell.overrides, epochs, seconds)


def _train(
    comparison: Comparison, jobs: Mapping[Path, Job], launch: Launch, *, fail_fast: bool
) -> States:
    """Launch cells until each is finished, has failed, or is in a living process's hands.

    A cell that another process had, and lost because it died, comes up again.
    """
    before: list[Job] = []
    while True:
        states = states_of(comparison.cells)
        # Those that were in other hands at first come last.
        to_do = {cell.folder for cell in states.to_do}
        left = [job for folder, job in jobs.items() if folder in to_do]
        if not left or (fail_fast and states.failed):
            return states
        if left == before:
            for job in left:
                record_loss(job.folder, LOST)
            return states_of(comparison.cells)
        launch(left)
        before = left


def _end(comparison: Comparison, states: States, launch: Launch) -> Outcome:
    """Choose, refit and score, once no cell is left to train."""
    config = comparison.cells[0].config
    settings, incomplete = score_settings(comparison.cells, states.finished)
    complete = not states.to_do and not states.elsewhere
    stopped_early = config.fail_fast and bool(states.failed)
    evidence = gather(settings)
    best = evidence.settings[0] if evidence.settings and complete and not stopped_early else None
    winner, refits = None, []
    if best and config.test != "never":
        winner = winner_refit(comparison.folder, best)
        refits = [winner]
        if config.test == "each":
            refits += each_refit(comparison.folder, comparison.cells)
        _launch_refits(comparison, refits, launch)
    drop_weights(states.finished, keep=config.keep, best=best)
    return Outcome(
        states=states,
        settings=settings,
        evidence=evidence,
        incomplete=incomplete,
        best=best,
        winner=winner,
        refits=refits,
        stopped_early=stopped_early,
    )


def _launch_refits(comparison: Comparison, refits: Sequence[Refit], launch: Launch) -> None:
    to_do = [refit for refit in refits if not refit.result()]
    for refit in to_do:
        forget_failure(refit.folder)
    if not to_do:
        return
    seconds = refit_seconds(
        [refit.config for refit in to_do],
        knees=_development_knees(comparison),
        at_once=comparison.at_once,
    )
    launch([refit.job(each) for refit, each in zip(to_do, seconds, strict=True)])
