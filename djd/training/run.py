"""One run from its configuration to its result."""

import platform
import shutil
from collections.abc import Collection, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from djd.errors import InputError
from djd.figures.confusion import confusion_figure
from djd.figures.curves import curves_figure
from djd.figures.style import save_figure
from djd.files import write_whole
from djd.resume_latest import CONFIG_NAME, RESULT_NAME
from djd.scans.cohort import Cohort
from djd.training.allocator import keep_freed_memory
from djd.training.cell import Fit, fit_cell, require_accelerator, use_threads
from djd.training.config import RunConfig, read_config
from djd.training.estimate import estimate_seconds, in_words, time_step, training_device
from djd.training.openings import require_ledger
from djd.training.reading import read_data, split_cell
from djd.training.result import RESULTS_VERSION, RunResult
from djd.training.resume import require_same_cohort, require_same_config
from djd.training.split import (
    SPLIT_NAME,
    Parts,
    grade_warnings,
    part_summaries,
    save_split,
    saved_fingerprint,
)
from djd.training.summary import in_one_line, say, say_cohort, say_scores, tensorboard_line
from djd.training.winner import TestScores, drop_refit_checkpoints, score_winner

VERSIONED_PARTS = ("djd", "torch", "lightning", "numpy", "scipy", "scikit-learn")


def run(values: Mapping[str, Any], folder: Path, *, in_sweep: bool = False) -> RunResult:
    """Train one setting on one fold; then, outside a sweep, score it on the test patients.

    A folder that holds the same run, stopped, is gone on with.

    Args:
        values: The resolved configuration as plain values.
        folder: The run's folder; it exists.
        in_sweep: Whether this is one cell of several: it then has one thread, and leaves the test
            patients alone, since one setting among several has not been chosen yet.

    Raises:
        InputError: Something the person gave is wrong.
    """
    config = read_config(values)
    require_same_config(config, folder)
    there_before = frozenset(folder.iterdir())
    try:
        return _run(config, folder, in_sweep=in_sweep)
    except (InputError, OSError):
        _leave_no_false_start(folder, there_before)
        raise


def _leave_no_false_start(folder: Path, there_before: Collection[Path]) -> None:
    """Remove what a failed run wrote, unless there is a checkpoint to go on from."""
    if any((folder / "checkpoints").glob("*.ckpt")):
        return
    for path in set(folder.iterdir()).difference(there_before):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _run(config: RunConfig, folder: Path, *, in_sweep: bool) -> RunResult:
    require_accelerator(config.trainer.accelerator)
    keep_freed_memory()
    threads = use_threads(1 if in_sweep else config.trainer.threads)
    cohort, split = read_data(config)
    require_same_cohort(
        folder, before=saved_fingerprint(folder / SPLIT_NAME), now=cohort.fingerprint()
    )
    parts = split_cell(config, cohort, split, fold=config.data.fold)
    if stamp := config.stamp(phantom=cohort.phantom):
        say(stamp)
    summaries = part_summaries(cohort, parts)
    say_cohort(cohort, summaries, grade_warnings(cohort, parts))
    opens_test = config.test != "never" and not in_sweep
    if opens_test:
        require_ledger(config.paths.cache)
    _say_duration(config, cohort, parts, refit=opens_test, threads=threads)
    _write_inputs(config, folder)
    save_split(folder / SPLIT_NAME, split, summaries, fingerprint=cohort.fingerprint())
    fit = fit_cell(config, cohort, parts, folder, fold=config.data.fold, name=_fold_name(config))
    _draw(fit, config, cohort, folder)
    test = None
    if opens_test:
        fitted = fit if config.data.fold is None else None
        test = score_winner(config, cohort, split, folder, fitted=fitted)
    result = _result(config, cohort, fit, test, threads=threads)
    if in_sweep:
        _say_cell_end(result, folder)
    else:
        _say_end(config, result, test, folder)
    result.save(folder / RESULT_NAME)
    drop_refit_checkpoints(folder)
    return result


def _fold_name(config: RunConfig) -> str:
    if config.data.fold is None:
        return "fit on all development patients"
    return f"fold {config.data.fold} of {config.data.folds}"


def _say_duration(
    config: RunConfig, cohort: Cohort, parts: Parts, *, refit: bool, threads: int
) -> None:
    step_seconds = time_step(config, cohort, parts)
    seconds = estimate_seconds(config, step_seconds, parts, refit=refit)
    refit_too = " and once more on all development patients" if refit else ""
    say(
        f"Training {config.setting_name} on {_fold_name(config)}{refit_too}: about "
        f"{in_words(seconds)} on {training_device(config)} ({threads} threads)"
    )


def _write_inputs(config: RunConfig, folder: Path) -> None:
    write_whole(folder / CONFIG_NAME, config.as_yaml())


def _draw(fit: Fit, config: RunConfig, cohort: Cohort, folder: Path) -> None:
    figures = folder / "figures"
    figures.mkdir(exist_ok=True)
    stamp = config.stamp(phantom=cohort.phantom)
    rows = fit.recorder.rows
    metrics = {name: [row[name] for row in rows] for name in rows[0]}
    epochs = [int(epoch) for epoch in fit.recorder.score_epochs]
    curves = curves_figure(metrics, score_epochs=epochs, title="Learning curves", stamp=stamp)
    save_figure(curves, figures / "curves.png")
    if fit.recorder.scored:
        counts = np.array(fit.recorder.scored[-1].confusion)
        confusion = confusion_figure(counts, title="Validation", stamp=stamp)
        save_figure(confusion, figures / "confusion-validation.png")


def _result(
    config: RunConfig, cohort: Cohort, fit: Fit, test: TestScores | None, *, threads: int
) -> RunResult:
    versions = {"python": platform.python_version()}
    versions |= {part: version(part) for part in VERSIONED_PARTS}
    return RunResult(
        results_version=RESULTS_VERSION,
        setting=config.setting_name,
        config=config.plain(),
        fingerprint=cohort.fingerprint(),
        phantom=cohort.phantom,
        leak=config.data.leak,
        device=_device_name(fit),
        threads=threads,
        versions=versions,
        fit_seconds=fit.recorder.rows[-1]["seconds"],
        validation=fit.recorder.scored,
        test=test.scores if test else None,
        test_openings=test.openings if test else None,
    )


def _device_name(fit: Fit) -> str:
    device = fit.trainer.strategy.root_device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _say_end(config: RunConfig, result: RunResult, test: TestScores | None, folder: Path) -> None:
    validation = result.validation[-1] if result.validation else None
    say_scores(validation, test.scores if test else None)
    if test:
        times = "once" if test.openings == 1 else f"{test.openings} times"
        say(
            f"The test patients of this cohort have been opened {times}, this time included; "
            "while still trying things out, say test=never"
        )
        say(f"Model of all development patients: {test.folder / 'model.ckpt'}")
    say(". ".join(filter(None, (config.stamp(phantom=result.phantom), "Research use only"))))
    say(f"Everything is in {folder}")
    say(f"Dashboard: {tensorboard_line(folder)}")


def _say_cell_end(result: RunResult, folder: Path) -> None:
    if result.validation:
        say(f"{result.setting}: validation {in_one_line(result.validation[-1])}")
    say(f"{folder}")
