"""What every training needs before its first step: hardware, cohort, parts; and what it leaves."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from djd.figures.curves import curves_figure
from djd.figures.palette_png import save_palette_png
from djd.files import write_whole
from djd.resume_latest import CONFIG_NAME
from djd.scans.cohort import Cohort
from djd.training.allocator import keep_freed_memory
from djd.training.blocks.fitting import use_blocks
from djd.training.cell import Fit, fit_cell, require_accelerator, use_threads
from djd.training.config import RunConfig
from djd.training.device import training_device
from djd.training.precision import require_precision, use_precision
from djd.training.reading import read_data, split_cell
from djd.training.result import RESULTS_VERSION, PartScores, RunResult
from djd.training.resume import require_same_cohort
from djd.training.split import (
    SPLIT_NAME,
    Parts,
    PatientSplit,
    grade_warnings,
    part_summaries,
    save_split,
    saved_fingerprint,
)
from djd.training.summary import say, say_cohort
from djd.training.versions import installed_versions

CURVES_PIXELS = 900


@dataclass(frozen=True, eq=False)
class Prepared:
    """A training that could start now.

    Attributes:
        config: What to train.
        folder: Where its files go.
        cohort: The knees.
        fingerprint: Of the cohort.
        split: The wall between development and test patients.
        parts: Knees of each part.
        threads: CPU threads of a training step.
    """

    config: RunConfig
    folder: Path
    cohort: Cohort
    fingerprint: str
    split: PatientSplit
    parts: Parts
    threads: int

    @property
    def fold_name(self) -> str:
        """What is held out, as one says it."""
        data = self.config.data
        if data.fold is None:
            return "fit on all development patients"
        return f"fold {data.fold} of {data.folds}"

    @property
    def stamp(self) -> str | None:
        """What has to stand on everything that is made; see `RunConfig.stamp`."""
        return self.config.stamp(phantom=self.cohort.phantom)

    def without_fold(self) -> "Prepared":
        """The same on all development patients."""
        parts = split_cell(self.config, self.cohort, self.split, fold=None)
        return replace(self, parts=parts)


def prepare(config: RunConfig, folder: Path, *, threads: int | str) -> Prepared:
    """Read and split the cohort, and say what it is; nothing is written.

    Args:
        config: What to train.
        folder: Of the run or cell; if a stopped one is there, the cohort has to be the same.
        threads: CPU threads of a training step; `auto` takes what this process may use.

    Raises:
        InputError: Hardware, scans or split are not as expected.
    """
    require_accelerator(config.trainer.accelerator)
    require_precision(config.trainer.precision, training_device(config))
    use_precision(config.trainer.precision)
    keep_freed_memory()
    threads = use_threads(threads)
    cohort, split = read_data(config)
    fingerprint = cohort.fingerprint()
    require_same_cohort(folder, before=saved_fingerprint(folder / SPLIT_NAME), now=fingerprint)
    parts = split_cell(config, cohort, split, fold=config.data.fold)
    prepared = Prepared(config, folder, cohort, fingerprint, split, parts, threads)
    if prepared.stamp:
        say(prepared.stamp)
    summaries = part_summaries(cohort, parts)
    say_cohort(cohort, summaries, grade_warnings(summaries))
    return prepared


def write_inputs(prepared: Prepared, *, whole: Path) -> None:
    """Leave the configuration and who is where, and decide on the blocks, before the first step.

    Args:
        prepared: What is about to be trained.
        whole: Folder of the run or sweep, whose cells and refits all take the same blocks.
    """
    use_blocks(whole)
    write_whole(prepared.folder / CONFIG_NAME, prepared.config.as_yaml())
    save_split(
        prepared.folder / SPLIT_NAME,
        prepared.split,
        part_summaries(prepared.cohort, prepared.parts),
        fingerprint=prepared.fingerprint,
    )


def fit(prepared: Prepared, *, keep_best: bool = False) -> Fit:
    """Train, or go on with what was stopped in the folder; see `fit_cell`."""
    return fit_cell(
        prepared.config,
        prepared.cohort,
        prepared.parts,
        prepared.folder,
        fold=prepared.config.data.fold,
        name=prepared.fold_name,
        fingerprint=prepared.fingerprint,
        keep_best=keep_best,
    )


def draw(prepared: Prepared, fit: Fit) -> None:
    """Leave the learning curves, unless `logger.figures=false`; see `Pictures` for the rest."""
    if not prepared.config.logger.figures:
        return
    figures = prepared.folder / "figures"
    figures.mkdir(exist_ok=True)
    rows = fit.recorder.rows
    metrics = {name: [row[name] for row in rows] for name in rows[0]}
    epochs = [int(epoch) for epoch in fit.recorder.score_epochs]
    curves = curves_figure(
        metrics, score_epochs=epochs, title="Learning curves", stamp=prepared.stamp
    )
    save_palette_png(curves, figures / "curves.png", width=CURVES_PIXELS)


def result_of(
    prepared: Prepared,
    fit: Fit,
    *,
    test: list[PartScores] | None = None,
    openings: int | None = None,
) -> RunResult:
    """What a finished training says of itself.

    Args:
        prepared: The training.
        fit: Its fit.
        test: Scores on the test patients, where they were opened.
        openings: How often they have been.
    """
    return RunResult(
        results_version=RESULTS_VERSION,
        setting=prepared.config.setting_name,
        config=prepared.config.plain(),
        fingerprint=prepared.fingerprint,
        phantom=prepared.cohort.phantom,
        leak=prepared.config.data.leak,
        device=_device_name(fit),
        threads=prepared.threads,
        versions={**installed_versions(), "blocks": fit.classifier.network.trained_with},
        fit_seconds=fit.recorder.rows[-1]["seconds"],
        validation=fit.recorder.scored,
        test=test or [],
        test_openings=openings,
    )


def _device_name(fit: Fit) -> str:
    device = fit.trainer.strategy.root_device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
