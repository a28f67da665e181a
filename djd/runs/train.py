"""One training from its configuration to its result: `train`, by `config.kind`."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from djd.errors import DriveError, InputError
from djd.files import is_there, remove, remove_half_written
from djd.heartbeats import require_held, was_lost
from djd.markers import use_stale_after
from djd.plots.curves import curves_figure
from djd.plots.style import save_figure
from djd.runs.callbacks.hparams import write_run_columns
from djd.runs.callbacks.loggers import end_runs
from djd.runs.config import RunConfig, numberless_keys
from djd.runs.duration import count_values, end_seconds, training_seconds
from djd.runs.fit import Fit
from djd.runs.folder import (
    CHECKPOINTS,
    CONFIG_NAME,
    CURVES,
    ERROR_NAME,
    LAST_CHECKPOINT,
    RESULT_NAME,
    WINNER,
    at_work,
    drop_lock,
    finished_result,
    leave_no_false_start,
    lock,
    record_failure,
    require_same_config,
    require_unfinished,
    saved_config,
    wait_for_silent,
)
from djd.runs.graders import fits_of, refit_and_score
from djd.runs.hardware import training_device
from djd.runs.keys import FREE_KEYS
from djd.runs.prepare import Prepared, prepare, write_inputs
from djd.runs.pretrain import pretraining_seconds, require_pretrain
from djd.runs.reading import leave_for_report, read_readings
from djd.runs.rehearsal import rehearse
from djd.runs.result import (
    RESULTS_VERSION,
    PartScores,
    RunResult,
    installed_versions,
)
from djd.runs.summary import in_one_line, openings_sentence, say
from djd.runs.test_ledger import require_ledger
from djd.runs.together import require_together
from djd.windows import require_room
from djd.wording import in_words

CURVES_PIXELS = 900


def train(config: RunConfig, folder: Path, *, retry_failed: bool = False) -> RunResult | None:
    """Train one setting, or go on where the folder holds the same training, stopped.

    A run by itself is fitted on its fold and then, unless `test=never`, again on all development
    patients and scored on the test patients, below its folder. A cell never looks at a test
    patient. A refit is fitted on all development patients and scored at its score epochs.

    `retry_failed` tries a failed cell again. A sweep forgets failures at its start instead, so that
    two sweeps don't try one cell in turn.

    Returns:
        The result; None for a cell or refit that another process trains, or that failed before.

    Raises:
        InputError: Something the person gave is wrong, or the training diverged.
        DriveError: The drive failed while a scan or a file of the folder was read.
    """
    alone = config.kind == "run"
    use_stale_after(config.paths.stale_after)
    if alone:
        require_together([config])
        require_pretrain([config])
        require_unfinished(folder)
        require_room(folder, [f"{WINNER}/{config.setting_name}"], "hydra.run.dir")
        wait_for_silent([folder])
    with lock(folder) as held:
        if alone:
            if not held:
                raise InputError(
                    f"{folder}: expected a run's folder that nobody works in, received one in "
                    f"which {at_work(folder)} trains"
                )
            require_unfinished(folder)  # another process may just have finished the run
        elif not held:
            return None
        elif result := finished_result(folder, config):
            return result
        elif retry_failed:
            remove(folder / ERROR_NAME)
        elif (folder / ERROR_NAME).exists():
            return None
        remove_half_written(folder, seconds=0)
        try:
            result = _train_here(config, folder)
        except (Exception, SystemExit) as error:
            if was_lost():
                raise  # the folder is another process's
            if not alone:
                record_failure(folder, error)  # under the lock: nobody else has begun it anew
            elif not (folder / CONFIG_NAME).exists():
                drop_lock(folder)  # nothing was begun
            raise
    drop_lock(folder)
    return result


def print_duration(config: RunConfig, folder: Path) -> None:
    """Print the training and its duration (`dry_run=true`); raises InputError as `train`."""
    require_together([config])
    require_pretrain([config])
    read_readings(config)
    count_values(config)
    _say_duration(prepare(config, folder))
    say("dry_run=true: nothing was trained")


def _train_here(config: RunConfig, folder: Path) -> RunResult:
    alone = config.kind == "run"
    require_same_config(config, folder, free=FREE_KEYS if alone else numberless_keys(config))
    if not alone:
        config = _with_epochs_before(config, folder)
        remove(folder / RESULT_NAME)  # damaged, or without some score epochs
    there_before = frozenset(folder.iterdir())
    try:
        return _fit_and_score(config, folder)
    except (InputError, DriveError, OSError):
        require_held()  # else another process's files would go
        leave_no_false_start(folder, there_before)
        raise


def _with_epochs_before(config: RunConfig, folder: Path) -> RunConfig:
    """As the folder's training began, with its score epochs; for new epochs it starts anew."""
    if not is_there(folder / CONFIG_NAME):
        return config
    saved = saved_config(folder)
    before = saved.score_epochs
    wanted = set(config.epochs_to_score) - {config.trainer.max_epochs}
    if not wanted <= set(before):
        for name in (LAST_CHECKPOINT, CONFIG_NAME):
            remove(folder / name)
        before = tuple(sorted({*before, *config.score_epochs}))
    # Cells of other decisions share the folder: its earlier epochs have the grades of the first.
    shared = saved.sharing if config.kind == "cell" else {}
    return config.model_copy(update={"score_epochs": before, **shared})


def _fit_and_score(config: RunConfig, folder: Path) -> RunResult:
    alone, refit = config.kind == "run", config.kind == "refit"
    readings = read_readings(config) if alone else None
    if alone:
        count_values(config)  # a network that can't be built costs no reading of scans
    prepared = prepare(config, folder)
    if alone:
        _say_duration(prepared)
    if opens_test := refit or (alone and config.test != "never"):
        require_ledger(config.paths.cache)
    write_inputs(prepared)
    if config.decide == "shares" and not refit:
        say("decide=shares: a fold has no cuts of its own, so it shows the grades of decide=median")
    if alone:
        leave_for_report(folder, prepared.cohort, prepared.split, readings, stamp=prepared.stamp)
        write_run_columns(config, folder)
    fits = fits_of(prepared)
    if not opens_test:
        end_runs(fits[0].trainer.loggers)
    for fit in fits:
        _plot_curves(fit)
    test: list[PartScores] = []
    openings, scored = None, folder
    if opens_test:
        if alone:
            scored = folder / WINNER / config.setting_name
            scored.mkdir(parents=True, exist_ok=True)
        test, openings = refit_and_score(prepared, fits, scored)
    result = _result(prepared, fits, test=test, openings=openings)
    require_held()
    result.save(folder / RESULT_NAME)
    if opens_test:
        for each in (scored, *scored.glob("seed=*")):
            shutil.rmtree(each / CHECKPOINTS, ignore_errors=True)  # the model is enough
    if not alone:
        remove(folder / LAST_CHECKPOINT)
        if openings is not None:
            say(f"{folder.name}: test {in_one_line(test[-1])}")
            say(openings_sentence(openings))
        elif result.validation:
            say(f"{folder.name}: validation {in_one_line(result.validation[-1])}")
    return result


def _plot_curves(fit: Fit) -> None:
    """Write the learning curves, unless `plots=false` or nothing was trained."""
    prepared, rows = fit.recorder.prepared, fit.recorder.rows
    if not prepared.config.plots or not rows:
        return
    (prepared.folder / CURVES).parent.mkdir(exist_ok=True)
    metrics = {name: [row[name] for row in rows] for name in rows[0]}
    epochs = [int(epoch) for epoch in fit.recorder.score_epochs]
    stamp = prepared.stamp
    curves = curves_figure(metrics, score_epochs=epochs, title="Learning curves", stamp=stamp)
    save_figure(curves, prepared.folder / CURVES, width=CURVES_PIXELS)


def _result(
    prepared: Prepared, fits: Sequence[Fit], *, test: list[PartScores], openings: int | None
) -> RunResult:
    config, first = prepared.config, fits[0]
    return RunResult(
        results_version=RESULTS_VERSION,
        setting=config.setting_name,
        config=config.plain(),
        fingerprint=prepared.fingerprint,
        phantom=prepared.cohort.phantom,
        leak=config.data.leak,
        device=first.device_name,
        threads=prepared.threads,
        versions={**installed_versions(), **first.classifier.versions},
        fit_seconds=sum(fit.recorder.rows[-1]["seconds"] for fit in fits if fit.recorder.rows),
        validation=first.recorder.scored,
        test=test,
        test_openings=openings,
    )


def _say_duration(prepared: Prepared) -> None:
    config = prepared.config
    train, held_out = len(prepared.parts.train), len(prepared.parts.validation)
    pace = rehearse(config)
    seconds = training_seconds(config, pace, train_knees=train, validation_knees=held_out)
    seconds += end_seconds(config)
    pretraining = pretraining_seconds(config, pace)
    refit_too, first = "", f", with {in_words(pretraining)} to pretrain," if pretraining else ""
    if config.test != "never" and held_out:
        refit_too = f" and once more on {prepared.all_patients}"
        all_knees = len(prepared.refit(prepared.folder).parts.train)
        seconds += training_seconds(config, pace, train_knees=all_knees, validation_knees=0)
    say(
        f"Training {config.setting_name} on {prepared.fold_name}{refit_too}: about "
        f"{in_words(seconds + pretraining)}{first} on {training_device(config)} "
        f"({prepared.threads} threads)"
    )
