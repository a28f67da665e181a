"""Before the first step of a training: hardware, cohort, split, first files."""

from dataclasses import dataclass, replace
from pathlib import Path

from djd.data.cohort import Cohort
from djd.data.split import Parts, PatientSplit, grade_warnings, part_summaries
from djd.files import write_whole
from djd.machine import keep_freed_memory
from djd.models.networks import choose_blocks
from djd.runs.config import RunConfig
from djd.runs.folder import CONFIG_NAME, require_same_cohort, save_split
from djd.runs.hardware import (
    require_accelerator,
    require_precision,
    training_device,
    use_precision,
    use_threads,
)
from djd.runs.reading import read_data, split_cell
from djd.runs.summary import say, say_cohort


@dataclass(frozen=True, eq=False)
class Prepared:
    """A training that could start now.

    Attributes:
        top: Folder of the run or sweep of the training.
        fingerprint: Of the cohort.
        threads: CPU threads of a training step.
    """

    config: RunConfig
    folder: Path
    top: Path
    cohort: Cohort
    fingerprint: str
    split: PatientSplit
    parts: Parts
    threads: int

    @property
    def fold_name(self) -> str:
        """The held-out fold in words."""
        data = self.config.data
        if data.fold is None:
            return f"fit on {self.all_patients}"
        return f"fold {data.fold} of {data.folds}"

    @property
    def all_patients(self) -> str:
        """The training patients of a refit in words."""
        share = self.config.data.share
        which = "all" if share == 1 else f"a share of {share:g} of the"
        return f"{which} development patients"

    @property
    def stamp(self) -> str | None:
        """See `RunConfig.stamp`."""
        return self.config.stamp(phantom=self.cohort.phantom)

    def refit(self, folder: Path) -> "Prepared":
        """The same setting on all development patients, in another folder."""
        data = self.config.data.model_copy(update={"fold": None})
        config = self.config.model_copy(update={"data": data})
        parts = split_cell(self.config, self.cohort, self.split, fold=None)
        return replace(self, config=config, folder=folder, parts=parts)


def prepare(config: RunConfig, folder: Path) -> Prepared:
    """Read, split and print the cohort; nothing is written.

    Raises InputError for unexpected hardware, scans or split, and for another cohort than that of
    a stopped training in the folder.
    """
    require_accelerator(config.trainer.accelerator)
    require_precision(config.trainer.precision, training_device(config))
    use_precision(config.trainer.precision)
    keep_freed_memory()
    threads = use_threads(config)
    cohort, split = read_data(config)
    fingerprint = cohort.fingerprint()
    require_same_cohort(folder, fingerprint)
    parts = split_cell(config, cohort, split, fold=config.data.fold)
    above = {"run": 0, "cell": 1, "refit": 2}[config.kind]
    top = [folder, *folder.parents][above]
    prepared = Prepared(config, folder, top, cohort, fingerprint, split, parts, threads)
    if prepared.stamp:
        say(prepared.stamp)
    summaries = part_summaries(cohort, parts)
    say_cohort(cohort, summaries, grade_warnings(summaries), views=config.data.views)
    return prepared


def write_inputs(prepared: Prepared) -> None:
    """Write configuration and split, and choose the network's blocks."""
    choose_blocks(prepared.top)
    write_whole(prepared.folder / CONFIG_NAME, prepared.config.as_yaml())
    parts = part_summaries(prepared.cohort, prepared.parts)
    save_split(prepared.folder, prepared.split, parts, fingerprint=prepared.fingerprint)
