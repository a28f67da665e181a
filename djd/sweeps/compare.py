"""A sweep from its cells to its winner; cells that fail don't stop the sweep."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from djd.data.cohort import Cohort
from djd.data.split import PatientSplit
from djd.errors import InputError
from djd.files import is_there, remove, write_whole
from djd.markers import use_stale_after
from djd.progress import progress_bar
from djd.runs.config import RunConfig
from djd.runs.folder import (
    RESULT_NAME,
    WINNER,
    at_work,
    failure_reason,
    forget_failure,
    is_locked,
    record_loss,
    wait_for_silent,
)
from djd.runs.pretrain import (
    invented_folder,
    pretraining_of,
    require_pretrain,
    weights_place,
)
from djd.runs.reading import (
    invent_scans,
    leave_for_report,
    read_data,
    read_readings,
    split_cell,
)
from djd.runs.together import require_together
from djd.sweeps.cells import Cell, Job, Launch, Queued, by_setting
from djd.sweeps.folder import leave_hparam_columns, plan_and_save, plan_in
from djd.sweeps.forecast import (
    Forecast,
    forecast,
    on_processor,
    say_head,
    timed_here,
    training_estimates,
)
from djd.sweeps.gpus import choose_at_once, find_gpus
from djd.sweeps.out_of_fold import networks_out_of_fold
from djd.sweeps.plan import cohort_config, cohort_digest
from djd.sweeps.setting_scores import Evidence, Setting, gather, score_settings
from djd.sweeps.sweep import Sweep
from djd.sweeps.winner import drop_weights, each_refit, refit_name, winner_refit
from djd.windows import require_room

ON_OTHER_MACHINES = (
    "The time is by the pace of this machine's processor, without what the cluster's queue takes"
)

LOST = "it was launched and left neither result nor reason; can its folder be written?"
"""Reason of a job that ended and left no file."""


LAUNCHES_HERE, LAUNCHES_ON_CLUSTER = 2, 5
"""How often a cell is launched that is lost without a reason; a cluster takes nodes away."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """The outcome of a sweep.

    Attributes:
        cohort: Cropped as for `best`.
        settings: Settings whose cells are all finished, the best first.
        evidence: Settings of these that can be compared.
        incomplete: Number of settings that lack a cell.
        best: The setting that validation chose; None while cells are missing.
        winner: The refit of `best`; None where the test patients stay closed.
        refits: All refits, the winner among them.
    """

    sweep: Sweep
    cohort: Cohort
    split: PatientSplit
    settings: Sequence[Setting]
    evidence: Evidence
    incomplete: int
    best: Setting | None
    winner: Cell | None
    refits: Sequence[Cell]

    @property
    def failures(self) -> list[tuple[str, str]]:
        """Folder and reason of everything that failed."""
        cells = [(cell.folder.name, reason) for cell, reason in self.sweep.failed]
        if not (self.sweep.config.fail_fast and self.sweep.failed):
            cells += [(cell.folder.name, LOST) for cell in self.sweep.to_do]
        refits = self._unfinished_refits(elsewhere=False)
        return cells + [(refit_name(each), failure_reason(each.folder) or LOST) for each in refits]

    @property
    def elsewhere(self) -> list[str]:
        """Cells and refits that other processes train, each with who trains it."""
        named = [(cell.folder.name, cell.folder) for cell in self.sweep.elsewhere]
        refits = self._unfinished_refits(elsewhere=True)
        named += [(refit_name(each), each.folder) for each in refits]
        return [f"{name} ({at_work(folder)})" for name, folder in named]

    def _unfinished_refits(self, *, elsewhere: bool) -> list[Cell]:
        unfinished = (each for each in self.refits if not self.sweep.result_of(each))
        return [each for each in unfinished if is_locked(each.folder) == elsewhere]

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do, here or elsewhere."""
        cells = not self.sweep.to_do and not self.sweep.elsewhere
        return cells and all(self.sweep.result_of(each) for each in self.refits)

    def plain(self) -> dict[str, Any]:
        """Plain values for the sweep's `result.json`."""
        result = self.sweep.result_of(self.winner) if self.winner else None
        return {
            "best": self.best.name if self.best else None,
            "winner": refit_name(self.winner) if self.winner else None,
            "test": [scores.model_dump() for scores in result.test] if result else [],
            "settings": [_plain(setting) for setting in self.settings],
        }


def _plain(setting: Setting) -> dict[str, Any]:
    scores = {name: None if math.isnan(value) else value for name, value in setting.scores.items()}
    return {
        "name": setting.name,
        "axes": dict(setting.axes),
        "epochs": setting.epochs,
        "repeats": setting.repeats,
        "patients": setting.patients,
        "knees": setting.knees,
        "cells": [cell.folder.name for cell in setting.cells],
        "scores": scores,
    }


@dataclass(frozen=True, eq=False)
class _Trainer:
    cohort: Cohort
    split: PatientSplit
    at_once: int
    launch: Launch
    queued: Queued | None
    counted: dict[tuple[Any, ...], tuple[int, int]] = field(default_factory=dict)

    def knees(self, config: RunConfig) -> tuple[int, int]:
        """Numbers of training and validation knees of a configuration."""
        data = config.data
        key = (data.folds, data.fold, data.split_seed, data.share, data.leak)
        if key not in self.counted:
            parts = split_cell(config, self.cohort, self.split, fold=data.fold)
            self.counted[key] = len(parts.train), len(parts.validation)
        return self.counted[key]


def compare(
    cells: Sequence[Cell],
    folder: Path,
    *,
    at_once: int | None,
    arguments: Sequence[str],
    launch: Launch,
    queued: Queued | None = None,
) -> Outcome | None:
    """Train the unfinished cells, choose the winner, and score it on the test patients.

    Args:
        cells: All cells of the sweep.
        folder: Of the sweep.
        at_once: Cells at a time; None for one a core, or as many as GPUs have room for.
        arguments: Of the command line.
        launch: Trains cells.
        queued: Knows the queue of the cluster that trains cells; None for this machine.

    Returns:
        The outcome; None with `dry_run`.

    Raises:
        InputError: The scans, the second reader's file, a network or a split are not as expected,
            or the folder is another sweep's.
        Stopped: The sweep was stopped.
    """
    config = cells[0].config
    use_stale_after(config.paths.stale_after)
    readings = read_readings(config)
    trainer = _Trainer(*read_data(cohort_config(cells)), at_once or 1, launch, queued)
    digest = cohort_digest(trainer.cohort, trainer.split)
    plan, placed = plan_in(folder, cells, digest=digest, arguments=arguments)
    for setting in by_setting(placed):
        require_together([cell.config for cell in setting])
    require_pretrain([cell.config for cell in placed])
    # A refit has the setting's name and its epochs in place of the fold.
    require_room(folder, [f"{WINNER}/{each.folder.name}" for each in placed], "hydra.sweep.dir")
    sweep = Sweep(folder, tuple(placed), plan=plan).looked_at()
    with progress_bar("timing training steps"):  # in processes that import PyTorch first
        if queued:
            gpus, timed = None, timed_here(sweep)
        else:
            gpus = find_gpus([cell.config for cell in sweep.unfinished], trainer.knees)
            trainer, timed = replace(trainer, at_once=choose_at_once(at_once, gpus)), sweep
        expected = forecast(
            timed,
            trainer.knees,
            at_once=trainer.at_once,
            timed_together=1 if queued else None,  # a login node is for all
        )
    at_once, notes = trainer.at_once, gpus.sentences(trainer.at_once) if gpus else []
    if queued and expected.seconds:
        notes.append(ON_OTHER_MACHINES)
    say_head(sweep, trainer.cohort, trainer.split, expected, at_once=at_once, notes=notes)
    if config.dry_run:
        return None
    # Other commands may have widened the sweep meanwhile.
    plan, placed = plan_and_save(folder, placed, digest=digest, arguments=arguments)
    leave_hparam_columns(folder, placed)
    sweep = replace(sweep, cells=tuple(placed), plan=plan)
    stamp = config.stamp(phantom=trainer.cohort.phantom)
    leave_for_report(folder, trainer.cohort, trainer.split, readings, stamp=stamp)
    return _carry_out(sweep, expected, trainer)


def _carry_out(sweep: Sweep, expected: Forecast, trainer: _Trainer) -> Outcome:
    # A folder with the file of an outcome is finished.
    remove(sweep.folder / RESULT_NAME)
    sweep = sweep.looked_at()
    failed = [_job(cell, "cell", 0.0) for cell, _ in sweep.failed]
    # A job that is still there may be past its failed cells: those wait for the next command.
    past = {job.folder for job in trainer.queued(failed)} if trainer.queued else set()
    for job in failed:
        if job.folder not in past:
            forget_failure(job.folder)
    _invent_for_pretraining([cell.config for cell in sweep.unfinished])
    seconds = expected.seconds
    jobs = [_job(cell, "cell", seconds.get(cell.folder, 0.0)) for cell in sweep.unfinished]
    outcome = _end(_train(sweep, jobs, trainer), trainer)
    if outcome.complete and not outcome.failures:
        write_whole(sweep.folder / RESULT_NAME, json.dumps(outcome.plain(), indent=1))
    return outcome


def _invent_for_pretraining(configs: Sequence[RunConfig]) -> None:
    """Invent scans of pretrainings here, on all cores: a cell would invent them on one."""
    for config in configs:
        if config.pretrain.source == "none" or is_there(invented_folder(config)):
            continue
        if not is_there(weights_place(config)):
            invent_scans(pretraining_of(config))


def _job(cell: Cell, kind: Literal["cell", "refit"], seconds: float) -> Job:
    name = cell.folder.name if kind == "cell" else refit_name(cell)
    return Job(cell.folder, name, kind, cell.overrides, cell.config.trainer.max_epochs, seconds)


def _train(sweep: Sweep, jobs: Sequence[Job], trainer: _Trainer) -> Sweep:
    """Launch cells until each is finished, has failed, or belongs to another living process.

    A cell whose process died is launched again, a few times.
    """
    launches: Counter[Path] = Counter()
    most = LAUNCHES_ON_CLUSTER if trainer.queued else LAUNCHES_HERE
    while True:
        sweep = sweep.looked_at()
        if sweep.config.fail_fast and sweep.failed:
            return sweep
        left = _to_launch(sweep, jobs, trainer)
        again = [job for job in left if launches[job.folder] < most]
        if again:
            trainer.launch(again, trainer.at_once)
            launches.update(job.folder for job in again)
        elif not wait_for_silent([cell.folder for cell in sweep.elsewhere]):
            for job in left:
                record_loss(job.folder, LOST)
            return sweep.looked_at()


def _to_launch(sweep: Sweep, jobs: Sequence[Job], trainer: _Trainer) -> list[Job]:
    """Jobs of cells that nobody trains, and of those that the cluster has for this sweep."""
    to_do = {cell.folder for cell in sweep.to_do}
    left = [job for job in jobs if job.folder in to_do]
    if trainer.queued:
        elsewhere = {cell.folder for cell in sweep.elsewhere}
        left += trainer.queued([job for job in jobs if job.folder in elsewhere])
    return left


def _end(sweep: Sweep, trainer: _Trainer) -> Outcome:
    """Choose, refit and score, once no cell is left to train."""
    config = sweep.config
    settings, incomplete = score_settings(sweep.cells, sweep.finished)
    evidence = gather(settings)
    ended = not (sweep.to_do or sweep.elsewhere or (config.fail_fast and sweep.failed))
    best = evidence.settings[0] if evidence.settings and ended else None
    winner, refits = None, []
    if best and config.test != "never":
        refits = [winner := winner_refit(sweep.folder, best, evidence)]
        if not sweep.result_of(winner):
            with suppress(InputError, OSError):  # a winner without flags is better than none
                networks_out_of_fold(best.cells, best.epochs).save(winner.folder)
        if config.test == "each":
            refits += each_refit(sweep.folder, sweep.cells, evidence)
        _launch_refits(sweep, refits, trainer)
    drop_weights(sweep.finished, keep=config.keep, best=best)
    cohort, split = trainer.cohort, trainer.split
    if best and best.configs[0].data.crop != cohort_config(sweep.cells).data.crop:
        cohort, split = read_data(best.configs[0])
    return Outcome(sweep, cohort, split, settings, evidence, incomplete, best, winner, refits)


def _launch_refits(sweep: Sweep, refits: Sequence[Cell], trainer: _Trainer) -> None:
    for refit in refits:
        forget_failure(refit.folder)
    launches, most = 0, LAUNCHES_ON_CLUSTER if trainer.queued else 1
    while to_do := [
        each for each in refits if not (sweep.result_of(each) or failure_reason(each.folder))
    ]:
        configs = [on_processor(each).config if trainer.queued else each.config for each in to_do]
        together = 1 if trainer.queued else trainer.at_once
        seconds = training_estimates(configs, trainer.knees, at_once=together)
        jobs = [_job(refit, "refit", each) for refit, each in zip(to_do, seconds, strict=True)]
        trainer.launch(jobs, trainer.at_once)
        launches += 1
        folders = [refit.folder for refit in to_do]
        if wait_for_silent(folders):
            continue
        if launches >= most or all(map(is_locked, folders)):
            return
