"""A setting refitted on all development patients and scored on the test patients."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from djd.plots.confusion import confusion_figure
from djd.plots.style import save_figure
from djd.runs.fit import Fit, fit_cell, quiet_lightning
from djd.runs.prepare import Prepared
from djd.runs.result import (
    MODEL_NAME,
    PREDICTIONS_NAME,
    PartScores,
    epoch_checkpoint,
    prediction_rows,
    score_outcome,
    write_predictions,
)
from djd.runs.test_ledger import record_opening


def refit(prepared: Prepared, folder: Path) -> Fit:
    """Fit the setting on all development patients.

    Args:
        prepared: The setting, whatever fold it had.
        folder: Where the refit's files go.
    """
    return fit_cell(
        prepared.config,
        prepared.cohort,
        prepared.without_fold().parts,
        folder,
        fold=None,
        name="refit on all development patients",
        fingerprint=prepared.fingerprint,
    )


def score_test(
    prepared: Prepared, fit: Fit, folder: Path, *, epochs: Sequence[int], ledger_folder: Path
) -> tuple[list[PartScores], int]:
    """Score a refitted setting on the test patients, once for each of the epochs.

    Leaves the model, predictions and, unless `logger.figures=false`, the confusion matrix of the
    last epoch in `folder`, and each opening in the ledgers before it happens.

    Args:
        prepared: The setting.
        fit: Its fit on all development patients.
        folder: Where the files go.
        epochs: Epochs to score, ascending, of those whose weights the fit has kept.
        ledger_folder: Folder of the run or the comparison.

    Returns:
        Scores of each epoch, and how often this cohort's test patients have been opened, these
        times included.
    """
    fit.trainer.save_checkpoint(folder / MODEL_NAME, weights_only=True)
    config, cohort = prepared.config, prepared.cohort
    scored, rows, openings = [], [], 0
    for epoch in epochs:
        openings = record_opening(
            cohort,
            prepared.split,
            setting=config.setting_at(epoch),
            folder=ledger_folder,
            cache=config.paths.cache,
        )
        fit.classifier.take_epoch(epoch_checkpoint(fit.recorder.folder, epoch), epoch)
        with quiet_lightning():
            fit.trainer.test(fit.classifier, datamodule=fit.datamodule, verbose=False)
        outcome = fit.classifier.outcomes["test"]
        scored.append(score_outcome(outcome, cohort, epoch=epoch))
        rows += prediction_rows(outcome, cohort, fold=None, seed=config.seed, epoch=epoch)
    write_predictions(folder / PREDICTIONS_NAME, rows, stamp=prepared.stamp)
    if config.logger.figures:
        counts = fit.classifier.outcomes["test"].counts
        figure = confusion_figure(counts, title="Test patients", stamp=prepared.stamp)
        (folder / "figures").mkdir(exist_ok=True)
        save_figure(figure, folder / "figures" / "confusion-test.png")
    return scored, openings


def drop_refit_checkpoints(folder: Path) -> None:
    """Remove what a refit would go on from; once it is scored, its model is enough."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
