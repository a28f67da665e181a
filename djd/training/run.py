"""One run from its configuration to its result: a comparison of a single setting."""

import shutil
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from djd.errors import InputError
from djd.resume_latest import RESULT_NAME
from djd.scans.cohort import Cohort
from djd.training.claim import claim, drop_claim
from djd.training.config import RunConfig, read_config
from djd.training.device import training_device
from djd.training.duration import in_words, training_seconds
from djd.training.estimate import time_step
from djd.training.for_report import leave_for_report
from djd.training.hparams import EPOCHS_KEY, HParamValue, main_hparams, write_hparam_columns
from djd.training.openings import require_ledger
from djd.training.prepare import Prepared, draw, fit, prepare, result_of, write_inputs
from djd.training.reading import read_readings
from djd.training.result import MODEL_NAME, RunResult
from djd.training.resume import require_same_config, require_unfinished
from djd.training.split import PatientSplit
from djd.training.summary import in_one_line, openings_sentence, say, tensorboard_line
from djd.training.winner import drop_refit_checkpoints, refit, score_test

Tell = Callable[[Path, RunResult, Cohort, PatientSplit], Iterable[str]]
"""What a run's scores mean, in lines for the terminal; where it stands they were just left."""


def run(values: Mapping[str, Any], folder: Path, *, tell: Tell | None = None) -> RunResult:
    """Train one setting on one fold, then score it on the test patients after a refit.

    A folder that holds the same run, stopped, is gone on with.

    Args:
        values: The resolved configuration as plain values.
        folder: The run's folder; it exists.
        tell: Says what the scores mean; without it they are said alone.

    Raises:
        InputError: Something the person gave is wrong.
    """
    config = read_config(values)
    require_unfinished(folder)
    there_before = frozenset(folder.iterdir())
    with claim(folder) as claimed:
        if not claimed:
            raise InputError(
                f"{folder}: expected a run's folder that nobody works in, received one in which "
                "another process trains"
            )
        require_unfinished(folder)  # another process may just have finished it
        require_same_config(config, folder)
        try:
            result = _run(config, folder, tell or tell_scores)
        except (InputError, OSError):
            leave_no_false_start(folder, there_before)
            raise
    drop_claim(folder)
    return result


def tell_duration(values: Mapping[str, Any], folder: Path) -> None:
    """Say what `run` would train and how long it would take; `dry_run=true` asks for it.

    Args:
        values: The resolved configuration as plain values.
        folder: The run's folder.

    Raises:
        InputError: Something the person gave is wrong.
    """
    config = read_config(values)
    read_readings(config)
    prepared = prepare(config, folder, threads=config.trainer.threads)
    _say_duration(prepared, refits=config.test != "never")
    say("dry_run=true: nothing was trained")


def leave_no_false_start(folder: Path, there_before: Collection[Path]) -> None:
    """Remove what a failed training wrote, unless there is a checkpoint to go on from."""
    if any((folder / "checkpoints").glob("*.ckpt")):
        return
    for path in set(folder.iterdir()).difference(there_before):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _run(config: RunConfig, folder: Path, tell: Tell) -> RunResult:
    readings = read_readings(config)
    prepared = prepare(config, folder, threads=config.trainer.threads)
    opens_test = config.test != "never"
    _say_duration(prepared, refits=opens_test)
    if opens_test:
        require_ledger(config.paths.cache)
    write_inputs(prepared, whole=folder)
    leave_for_report(folder, prepared.cohort, prepared.split, readings, stamp=prepared.stamp)
    _leave_hparam_columns(config, folder)
    fitted = fit(prepared, keep_best=True)
    draw(prepared, fitted)
    result = result_of(prepared, fitted)
    if opens_test:
        winner = folder / "winner" / config.setting_name
        winner.mkdir(parents=True, exist_ok=True)
        refitted = fitted if config.data.fold is None else refit(prepared, winner)
        epochs = (config.trainer.max_epochs,)
        test, openings = score_test(prepared, refitted, winner, epochs=epochs, ledger_folder=folder)
        result = result_of(prepared, fitted, test=test, openings=openings)
    result.save(folder / RESULT_NAME)
    _say_end(prepared, result, tell)
    for winner in folder.glob("winner/*"):
        drop_refit_checkpoints(winner)
    return result


def _leave_hparam_columns(config: RunConfig, folder: Path) -> None:
    values: dict[str, list[HParamValue]] = {
        key: [value] for key, value in main_hparams(config).items()
    }
    values[EPOCHS_KEY] = list(config.epochs_to_score)
    write_hparam_columns(folder, values, compared=[EPOCHS_KEY])


def _say_duration(prepared: Prepared, *, refits: bool) -> None:
    config = prepared.config
    train, held_out = len(prepared.parts.train), len(prepared.parts.validation)
    step = time_step(config)
    seconds = training_seconds(config, step, train_knees=train, validation_knees=held_out)
    refit_too = ""
    if refits and held_out:
        refit_too = " and once more on all development patients"
        seconds += training_seconds(config, step, train_knees=train + held_out, validation_knees=0)
    say(
        f"Training {config.setting_name} on {prepared.fold_name}{refit_too}: about "
        f"{in_words(seconds)} on {training_device(config)} ({prepared.threads} threads)"
    )


def tell_scores(
    folder: Path, result: RunResult, cohort: Cohort, split: PatientSplit
) -> Iterable[str]:
    """The main scores of each part, without more ado."""
    for part, scores in (("validation", result.validation), ("test", result.test)):
        if scores:
            yield f"{part}: {in_one_line(scores[-1])}"


def _say_end(prepared: Prepared, result: RunResult, tell: Tell) -> None:
    folder = prepared.folder
    for line in tell(folder, result, prepared.cohort, prepared.split):
        say(line)
    if result.test_openings:
        say(openings_sentence(result.test_openings))
        model = folder / "winner" / result.setting / MODEL_NAME
        say(f"Model of all development patients: {model}")
    say(". ".join(filter(None, (prepared.stamp, "Research use only"))))
    say(f"Everything is in {folder}")
    say(f"Dashboard: {tensorboard_line(folder)}")
