"""The networks that grade the test patients: one, several seeds together, or a setting's folds."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from djd.errors import InputError
from djd.files import is_there
from djd.heartbeats import require_held
from djd.plots.confusion import confusion_figure
from djd.plots.style import save_figure
from djd.runs.callbacks.epoch_recorder import EpochRecorder
from djd.runs.callbacks.loggers import end_runs
from djd.runs.config import FittedConfig
from djd.runs.fit import (
    Fit,
    build_classifier,
    build_datamodule,
    build_trainer,
    fit_network,
    quiet_lightning,
)
from djd.runs.folder import (
    MODEL_NAME,
    PREDICTIONS_NAME,
    TEST_MATRIX,
    epoch_checkpoint,
)
from djd.runs.held_out import OutOfFold
from djd.runs.model import keep_model
from djd.runs.predictions import prediction_rows, write_predictions
from djd.runs.prepare import Prepared
from djd.runs.result import PartScores, score_outcome
from djd.runs.start import start_weights
from djd.runs.test_ledger import record_opening
from djd.statistics.deciding import LIKELIEST, Decision
from djd.statistics.held_out import GradedKnees


def fits_of(prepared: Prepared) -> list[Fit]:
    """Train the network, or the networks that `FittedConfig` has grade together."""
    fitted = prepared.config.fitted or FittedConfig()
    if fitted.cells:
        return [take_cell(prepared, prepared.top / name) for name in fitted.cells]
    if fitted.seeds:
        return [fit_member(prepared, seed) for seed in fitted.seeds]
    return [_trained(prepared)]


def _trained(prepared: Prepared) -> Fit:
    return fit_network(prepared, start_weights(prepared))


def refit_and_score(
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
    held_out = OutOfFold.load(folder)
    if prepared.config.data.fold is not None:
        held_out = OutOfFold.of_outcome(fits[0].classifier.outcomes.get("validation"))
        prepared = prepared.refit(folder)
        fits = [_trained(prepared)]
    keep_model(folder / MODEL_NAME, prepared, fits, held_out)
    config, cohort = prepared.config, prepared.cohort
    scored, rows, openings = [], [], 0
    require_held()  # who lost the folder opens nothing
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


def take_cell(prepared: Prepared, cell: Path) -> Fit:
    """The network of a cell's folder with its weights at the last epoch; nothing is trained.

    Raises InputError where weights that are to be scored aren't kept.
    """
    config = prepared.config
    for epoch in config.epochs_to_score:
        if not is_there(path := epoch_checkpoint(cell, epoch)):
            raise InputError(
                f"{path}: expected the weights of a fold's network, which winner=folds grades "
                "with, received no file; only the best setting keeps its weights when a sweep has "
                "ended (keep=winner): say winner=refit, or keep=all and another hydra.sweep.dir"
            )
    classifier = build_classifier(config, prepared.cohort.grades[prepared.parts.train])
    classifier.take_epoch(path, epoch)
    there = replace(prepared, folder=cell)
    datamodule = build_datamodule(config, prepared.cohort, prepared.parts, inputs=classifier.inputs)
    with quiet_lightning():
        trainer = build_trainer(config, prepared.folder, [], loggers=[], held_out=False)
    trainer.strategy.connect(classifier)
    return Fit(trainer, classifier, datamodule, EpochRecorder(there))


def fit_member(prepared: Prepared, seed: int) -> Fit:
    """The network of one of several seeds that grade together, trained in a folder of its own.

    Its loggers have ended: what the members grade together is no run of theirs.
    """
    folder = prepared.folder / f"seed={seed}"
    folder.mkdir(exist_ok=True)
    config = prepared.config.model_copy(update={"seed": seed})
    fit = _trained(replace(prepared, config=config, folder=folder))
    end_runs(fit.trainer.loggers)
    with quiet_lightning():
        trainer = build_trainer(config, folder, [], loggers=[], held_out=False)
    trainer.strategy.connect(fit.classifier)
    return replace(fit, trainer=trainer)
