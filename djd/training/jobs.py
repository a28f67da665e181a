"""The two kinds of training that a comparison is made of: a cell, and a refit of a setting."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from djd.errors import InputError
from djd.resume_latest import CONFIG_NAME, RESULT_NAME
from djd.training.cell import LAST_CHECKPOINT
from djd.training.claim import claim, drop_claim
from djd.training.config import RunConfig, read_config
from djd.training.failure import ERROR_NAME, record_failure
from djd.training.finished import finished_result
from djd.training.openings import require_ledger
from djd.training.prepare import draw, fit, prepare, result_of, write_inputs
from djd.training.result import RunResult
from djd.training.resume import NUMBERLESS_KEYS, require_same_config, saved_config
from djd.training.run import leave_no_false_start
from djd.training.summary import in_one_line, openings_sentence, say
from djd.training.winner import drop_refit_checkpoints, score_test

THREADS = 1
"""Of every training of a comparison: two of them on two cores do more than one on both, and the
number of threads changes results."""


def run_cell(
    values: Mapping[str, Any], folder: Path, *, retry_failed: bool = False
) -> RunResult | None:
    """Train one setting on one fold with one seed; no test patient is looked at.

    A finished cell is handed back as it is, a stopped one is gone on with.

    Args:
        values: The resolved configuration as plain values.
        folder: The cell's folder; it exists.
        retry_failed: Whether a cell that failed is tried again; a sweep says so at its start by
            removing what failures left, so that two sweeps don't try one cell in turn.

    Returns:
        Its result; None where another process has the cell, or it failed for one.

    Raises:
        InputError: Something the person gave is wrong, or the training diverged.
    """
    return _run_claimed(values, folder, _fit_and_keep, retry_failed=retry_failed)


def run_refit(values: Mapping[str, Any], folder: Path) -> RunResult | None:
    """Fit a setting on all development patients and score it on the test patients.

    Args:
        values: The resolved configuration as plain values, with no fold (`data.fold=null`); scored
            at its score epochs.
        folder: `winner/<setting>` of the comparison, or `each/<setting>`; it exists.

    Returns:
        Its result; None where another process has it, or it failed for one.

    Raises:
        InputError: Something the person gave is wrong, or the training diverged.
    """
    return _run_claimed(values, folder, _refit_and_score, retry_failed=False)


def _run_claimed(
    values: Mapping[str, Any],
    folder: Path,
    train: Callable[[RunConfig, Path], RunResult],
    *,
    retry_failed: bool,
) -> RunResult | None:
    config = read_config(values)
    with claim(folder) as claimed:
        if not claimed:
            return None
        if result := finished_result(folder, config):
            return result
        if retry_failed:
            (folder / ERROR_NAME).unlink(missing_ok=True)
        if (folder / ERROR_NAME).exists():
            return None
        try:
            result = _train_here(config, folder, train)
        except (Exception, SystemExit) as error:
            record_failure(folder, error)  # while nobody else can have begun it anew
            raise
    drop_claim(folder)
    return result


def _train_here(
    config: RunConfig, folder: Path, train: Callable[[RunConfig, Path], RunResult]
) -> RunResult:
    require_same_config(config, folder, free=NUMBERLESS_KEYS)
    config = _with_epochs_before(config, folder)
    (folder / RESULT_NAME).unlink(missing_ok=True)  # damaged, or without the epochs asked for
    there_before = frozenset(folder.iterdir())
    try:
        return train(config, folder)
    except (InputError, OSError):
        leave_no_false_start(folder, there_before)
        raise


def _with_epochs_before(config: RunConfig, folder: Path) -> RunConfig:
    """Score the epochs, too, that the folder's training is scored at already.

    Where epochs are asked for that it isn't, it has to start anew.
    """
    if not (folder / CONFIG_NAME).exists():
        return config
    before = saved_config(folder).score_epochs
    wanted = set(config.epochs_to_score) - {config.trainer.max_epochs}
    if not wanted <= set(before):
        for name in (LAST_CHECKPOINT, CONFIG_NAME):
            (folder / name).unlink(missing_ok=True)
        before = tuple(sorted({*before, *config.score_epochs}))
    return config.model_copy(update={"score_epochs": before})


def _fit_and_keep(config: RunConfig, folder: Path) -> RunResult:
    prepared = prepare(config, folder, threads=THREADS)
    write_inputs(prepared, whole=folder.parent)
    fitted = fit(prepared)
    draw(prepared, fitted)
    result = result_of(prepared, fitted)
    result.save(folder / RESULT_NAME)
    (folder / LAST_CHECKPOINT).unlink(missing_ok=True)
    if result.validation:
        say(f"{folder.name}: validation {in_one_line(result.validation[-1])}")
    return result


def _refit_and_score(config: RunConfig, folder: Path) -> RunResult:
    whole = folder.parent.parent
    prepared = prepare(config, folder, threads=THREADS)
    require_ledger(config.paths.cache)
    write_inputs(prepared, whole=whole)
    fitted = fit(prepared)
    draw(prepared, fitted)
    test, openings = score_test(
        prepared,
        fitted,
        folder,
        epochs=config.epochs_to_score,
        ledger_folder=whole,
    )
    result = result_of(prepared, fitted, test=test, openings=openings)
    result.save(folder / RESULT_NAME)
    drop_refit_checkpoints(folder)
    say(f"{folder.name}: test {in_one_line(test[-1])}")
    say(openings_sentence(openings))
    return result
