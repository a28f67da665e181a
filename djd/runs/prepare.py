"""What a training needs before its first step: hardware, cohort, split, first files."""

from dataclasses import dataclass, replace
from pathlib import Path

from djd.data.cohort import Cohort
from djd.data.split import Parts, PatientSplit, grade_warnings, part_summaries
from djd.files import write_whole
from djd.machine import keep_freed_memory
from djd.models.fused.fitting import use_blocks
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

THREADS_IN_SWEEP = 1
"""Of every training of a sweep: two of them on two cores do more than one on both, and the number
of threads changes results."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A training that could start now.

    Attributes:
        config: What to train.
        folder: Where its files go.
        top: The folder of the run or sweep that the training belongs to.
        cohort: The knees.
        fingerprint: Of the cohort.
        split: The wall between development and test patients.
        parts: Knees of each part.
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
        """What is held out, as one says it."""
        data = self.config.data
        if data.fold is None:
            return "fit on all development patients"
        return f"fold {data.fold} of {data.folds}"

    @property
    def stamp(self) -> str | None:
        """What has to stand on everything that is made; see `RunConfig.stamp`."""
        return self.config.stamp(phantom=self.cohort.phantom)

    def refit(self, folder: Path) -> "Prepared":
        """The same setting on all development patients, in another folder."""
        data = self.config.data.model_copy(update={"fold": None})
        return replace(
            self,
            config=self.config.model_copy(update={"data": data}),
            folder=folder,
            parts=split_cell(self.config, self.cohort, self.split, fold=None),
        )


def prepare(config: RunConfig, folder: Path) -> Prepared:
    """Read and split the cohort, and print what it is; nothing is written.

    Args:
        config: What to train.
        folder: Of the training; if a stopped one is there, the cohort has to be the same.

    Raises:
        InputError: Hardware, scans or split are not as expected.
    """
    require_accelerator(config.trainer.accelerator)
    require_precision(config.trainer.precision, training_device(config))
    use_precision(config.trainer.precision)
    keep_freed_memory()
    threads = use_threads(config.trainer.threads if config.kind == "run" else THREADS_IN_SWEEP)
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
    say_cohort(cohort, summaries, grade_warnings(summaries))
    return prepared


def write_inputs(prepared: Prepared) -> None:
    """Leave the configuration and who is where, and decide on the blocks, before the first step."""
    use_blocks(prepared.top)
    write_whole(prepared.folder / CONFIG_NAME, prepared.config.as_yaml())
    save_split(
        prepared.folder,
        prepared.split,
        part_summaries(prepared.cohort, prepared.parts),
        fingerprint=prepared.fingerprint,
    )
