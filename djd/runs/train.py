"""One training from its configuration to its result: `train`, by `config.kind`."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from djd.errors import DriveError, InputError
from djd.files import is_there, remove, remove_half_written
from djd.markers import use_stale_after
from djd.plots.confusion import confusion_figure
from djd.plots.curves import curves_figure
from djd.plots.style import save_figure
from djd.runs.callbacks.hparams import write_run_columns
from djd.runs.callbacks.loggers import end_runs
from djd.runs.config import FittedConfig, RunConfig, numberless_keys
from djd.runs.duration import count_values, time_step, training_seconds
from djd.runs.fit import Fit, fit_member, fit_network, quiet_lightning, take_cell
from djd.runs.folder import (
    CHECKPOINTS,
    CONFIG_NAME,
    CURVES,
    ERROR_NAME,
    LAST_CHECKPOINT,
    MEMBER_NAME,
    MODEL_NAME,
    PREDICTIONS_NAME,
    RESULT_NAME,
    TEST_MATRIX,
    WINNER,
    at_work,
    drop_lock,
    epoch_checkpoint,
    finished_result,
    leave_no_false_start,
    lock,
    record_failure,
    require_same_config,
    require_unfinished,
    saved_config,
    wait_for_silent,
)
from djd.runs.hardware import training_device
from djd.runs.keys import FREE_KEYS, SHARING_KEYS
from djd.runs.predictions import prediction_rows, write_predictions
from djd.runs.prepare import Prepared, prepare, write_inputs
from djd.runs.reading import leave_for_report, read_readings
from djd.runs.result import (
    RESULTS_VERSION,
    PartScores,
    RunResult,
    installed_versions,
    score_outcome,
)
from djd.runs.summary import in_one_line, openings_sentence, say
from djd.runs.test_ledger import record_opening, require_ledger
from djd.runs.together import require_together
from djd.statistics.deciding import LIKELIEST, Decision
from djd.statistics.held_out import GradedKnees
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
    shared = {key: getattr(saved, key) for key in SHARING_KEYS if config.kind == "cell"}
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
    fits = _fits(prepared)
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
        test, openings = _refit_and_score(prepared, fits, scored)
    result = _result(prepared, fits, test=test, openings=openings)
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


def _fits(prepared: Prepared) -> list[Fit]:
    """The trained networks that grade together: one, or those of `FittedConfig`."""
    fitted = prepared.config.fitted or FittedConfig()
    if fitted.cells:
        return [take_cell(prepared, prepared.top / name) for name in fitted.cells]
    if fitted.seeds:
        return [fit_member(prepared, seed) for seed in fitted.seeds]
    return [fit_network(prepared)]


def _refit_and_score(
    prepared: Prepared, fits: Sequence[Fit], folder: Path
) -> tuple[list[PartScores], int]:
    """Score on the test patients, after a refit where a fit had a validation part.

    A run by itself is scored at its last epoch, a refit at its score epochs. Model, predictions
    and, unless `plots=false`, the last epoch's confusion matrix go to `folder`. The ledgers have
    each opening before it happens.

    Returns:
        Scores of each epoch, and the openings of this cohort's test patients, these included.
    """
    epochs = prepared.config.epochs_to_score
    if prepared.config.kind == "run":
        epochs = epochs[-1:]
    if prepared.config.data.fold is not None:
        prepared = prepared.refit(folder)
        fits = [fit_network(prepared)]
    for name, fit in zip(_model_names(fits), fits, strict=True):
        fit.trainer.save_checkpoint(folder / name, weights_only=True)
    config, cohort = prepared.config, prepared.cohort
    scored, rows, openings = [], [], 0
    for epoch in epochs:
        setting, cache = config.setting_at(epoch), config.paths.cache
        openings = record_opening(
            cohort, prepared.split, setting=setting, folder=prepared.top, cache=cache
        )
        outcome = _graded_together(fits, epoch, config.decision_at(epoch))
        scored.append(score_outcome(outcome, cohort, epoch=epoch))
        rows += prediction_rows(cohort, outcome, fold=None, seed=config.seed, epoch=epoch)
    end_runs(fits[0].trainer.loggers)
    write_predictions(folder / PREDICTIONS_NAME, rows, stamp=prepared.stamp)
    if config.plots:
        figure = confusion_figure(outcome.counts, title="Test patients", stamp=prepared.stamp)
        (folder / TEST_MATRIX).parent.mkdir(exist_ok=True)
        save_figure(figure, folder / TEST_MATRIX)
    return scored, openings


def _model_names(fits: Sequence[Fit]) -> list[str]:
    several = [MEMBER_NAME.format(number) for number in range(1, len(fits) + 1)]
    return several if len(fits) > 1 else [MODEL_NAME]


def _graded_together(fits: Sequence[Fit], epoch: int, decision: Decision) -> GradedKnees:
    """The test patients by the networks' mean probabilities after some epochs, decided."""
    outcomes = []
    for fit in fits:
        # The mean of several networks gets the temperature, and not each network.
        fit.classifier.decision = decision if len(fits) == 1 else LIKELIEST
        fit.classifier.take_epoch(epoch_checkpoint(fit.recorder.prepared.folder, epoch), epoch)
        with quiet_lightning():
            fit.trainer.test(fit.classifier, datamodule=fit.datamodule, verbose=False)
        outcomes.append(fit.classifier.outcomes["test"])
    if len(outcomes) == 1:
        return outcomes[0]
    mean = np.mean([each.probabilities for each in outcomes], axis=0)
    return replace(outcomes[0], probabilities=decision.calibrated(mean), decision=decision)


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
        models=_model_names(fits) if test else [],
    )


def _say_duration(prepared: Prepared) -> None:
    config = prepared.config
    train, held_out = len(prepared.parts.train), len(prepared.parts.validation)
    step = time_step(config)
    seconds = training_seconds(config, step, train_knees=train, validation_knees=held_out)
    refit_too = ""
    if config.test != "never" and held_out:
        refit_too = f" and once more on {prepared.all_patients}"
        all_knees = len(prepared.refit(prepared.folder).parts.train)
        seconds += training_seconds(config, step, train_knees=all_knees, validation_knees=0)
    say(
        f"Training {config.setting_name} on {prepared.fold_name}{refit_too}: about "
        f"{in_words(seconds)} on {training_device(config)} ({prepared.threads} threads)"
    )
