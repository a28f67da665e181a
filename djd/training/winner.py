"""A setting refitted on all development patients and scored on the test patients."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from djd.figures.confusion import confusion_figure
from djd.figures.style import save_figure
from djd.scans.cohort import Cohort
from djd.training.cell import Fit, fit_cell, quiet_lightning
from djd.training.config import RunConfig
from djd.training.openings import record_opening
from djd.training.reading import split_cell
from djd.training.result import (
    PartScores,
    prediction_rows,
    score_outcome,
    write_predictions,
)
from djd.training.split import PatientSplit


@dataclass(frozen=True)
class TestScores:
    """Scores of the refitted model on the test patients.

    Attributes:
        scores: On the test patients.
        openings: How often they have been opened, this time included.
        folder: Where the model and its files are.
    """

    __test__ = False  # its name begins like a test's; pytest would try to collect it

    scores: PartScores
    openings: int
    folder: Path


def score_winner(
    config: RunConfig,
    cohort: Cohort,
    split: PatientSplit,
    run_folder: Path,
    *,
    fitted: Fit | None = None,
) -> TestScores:
    """Refit the setting on all development patients and score it once on the test patients.

    Leaves `model.ckpt`, predictions and the confusion matrix in `winner/<setting>/`.

    Args:
        config: The setting.
        cohort: The knees.
        split: The wall between development and test.
        run_folder: Folder of the run.
        fitted: A fit on all development patients that is there already (`data.fold=null`).
    """
    folder = run_folder / "winner" / config.setting_name
    folder.mkdir(parents=True, exist_ok=True)
    fit = fitted or _refit(config, cohort, split, folder)
    fit.trainer.save_checkpoint(folder / "model.ckpt", weights_only=True)
    openings = record_opening(
        cohort,
        split,
        setting=config.setting_name,
        folder=run_folder,
        cache=config.paths.cache,
    )
    with quiet_lightning():
        fit.trainer.test(fit.classifier, datamodule=fit.datamodule, verbose=False)
    return TestScores(_keep(config, cohort, fit, folder), openings, folder)


def _refit(config: RunConfig, cohort: Cohort, split: PatientSplit, folder: Path) -> Fit:
    parts = split_cell(config, cohort, split, fold=None)
    return fit_cell(
        config, cohort, parts, folder, fold=None, name="refit on all development patients"
    )


def drop_refit_checkpoints(run_folder: Path) -> None:
    """Remove what a refit would go on from; once the run is finished, `model.ckpt` is enough."""
    for folder in run_folder.glob("winner/*/checkpoints"):
        shutil.rmtree(folder, ignore_errors=True)


def _keep(config: RunConfig, cohort: Cohort, fit: Fit, folder: Path) -> PartScores:
    outcome = fit.classifier.outcomes["test"]
    epoch = config.trainer.max_epochs
    rows = prediction_rows(outcome, cohort, fold=None, seed=config.seed, epoch=epoch)
    write_predictions(folder / "predictions.csv", rows, leak=config.data.leak)
    figure = confusion_figure(
        outcome.counts, title="Test patients", stamp=config.stamp(phantom=cohort.phantom)
    )
    (folder / "figures").mkdir(exist_ok=True)
    save_figure(figure, folder / "figures" / "confusion-test.png")
    return score_outcome(outcome, cohort, epoch=epoch)
