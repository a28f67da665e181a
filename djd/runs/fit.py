"""One training: crops to a fitted network and the files of its folder."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray

from djd.data.cohort import Cohort
from djd.data.crop import VIEW_INDICES
from djd.data.datamodule import KneeDataModule
from djd.data.split import Parts
from djd.errors import InputError
from djd.machine import usable_cores
from djd.models.classifier import GradeClassifier
from djd.models.losses import grade_weights
from djd.runs.callbacks.checkpoint import WholeCheckpointIO
from djd.runs.callbacks.dashboard import Dashboard
from djd.runs.callbacks.epoch_recorder import EpochRecorder
from djd.runs.callbacks.event_file import forget_events
from djd.runs.callbacks.hparams import SCORE_RUNS
from djd.runs.callbacks.last_epoch import LastEpoch, finished_epochs
from djd.runs.callbacks.pictures import Pictures
from djd.runs.callbacks.progress import ProgressLine
from djd.runs.config import RunConfig
from djd.runs.device import training_device
from djd.runs.precision import precision_plugin

LAST_CHECKPOINT = "checkpoints/last.ckpt"
"""What a stopped training goes on from, in its folder."""


class EventsLogger(TensorBoardLogger):
    """Lightning's, without its hparams.yaml: config.yaml says it all."""

    def save(self) -> None:
        """Leave it at the events, which are flushed by themselves."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A finished training, still in memory."""

    trainer: lightning.Trainer
    classifier: GradeClassifier
    datamodule: KneeDataModule
    recorder: EpochRecorder


def fit_cell(
    config: RunConfig,
    cohort: Cohort,
    parts: Parts,
    folder: Path,
    *,
    fold: int | None,
    name: str,
    fingerprint: str,
    keep_best: bool = False,
) -> Fit:
    """Train one network and leave metrics, predictions, weights and TensorBoard events in `folder`.

    Where the folder holds the last epoch of a training that was stopped, this goes on from there
    and ends with the very weights of one that never was.

    Args:
        config: What to train.
        cohort: The knees.
        parts: Who is trained on and who is held out.
        folder: The cell's folder.
        fold: The validation fold, for the predictions' column; None where nothing is held out.
        name: What the progress line calls it.
        fingerprint: Of the cohort.
        keep_best: Whether the epoch with the best validation score is kept, too (optimistic).
    """
    lightning.seed_everything(config.seed, verbose=False)
    classifier = build_classifier(config, cohort.grades[parts.train])
    datamodule = build_datamodule(config, cohort, parts)
    held_out = bool(len(parts.validation))
    recorder = EpochRecorder(
        folder,
        cohort,
        score_epochs=config.epochs_to_score,
        fold=fold,
        seed=config.seed,
        stamp=config.stamp(phantom=cohort.phantom),
    )
    callbacks: list[Callback] = [
        recorder,
        Dashboard(config, recorder, fingerprint=fingerprint),
        *([Pictures(config, recorder)] if config.logger.figures else []),
        ProgressLine(name, recorder, config.trainer.progress),
        *_checkpoints(folder, best=keep_best and held_out),
    ]
    last = folder / LAST_CHECKPOINT
    resumed_epochs = finished_epochs(last)
    if not resumed_epochs:
        forget_events(folder, runs_below=SCORE_RUNS)
    trainer = build_trainer(
        config,
        folder,
        callbacks,
        held_out=held_out,
        resumed_epochs=resumed_epochs,
    )
    with quiet_lightning():
        trainer.fit(classifier, datamodule=datamodule, ckpt_path=last if resumed_epochs else None)
    return Fit(trainer, classifier, datamodule, recorder)


def build_classifier(config: RunConfig, train_grades: NDArray[np.int64]) -> GradeClassifier:
    """The untrained module of a configuration.

    Args:
        config: What to train.
        train_grades: int64 (knee,), 0 to 4; class weights follow from them.
    """
    return GradeClassifier(
        network={
            "depth": config.model.depth,
            "width": config.model.width,
            "channels": len(VIEW_INDICES[config.data.views]),
            "clip_logits": config.model.clip_logits,
        },
        optimizer={
            "target": config.optim.target,
            "learning_rate": config.optim.learning_rate,
            "arguments": config.optim.arguments,
        },
        class_weights=grade_weights(config.loss.class_weights, train_grades),
        cosine_epochs=config.trainer.max_epochs if config.optim.schedule == "cosine" else None,
    )


def build_datamodule(config: RunConfig, cohort: Cohort, parts: Parts) -> KneeDataModule:
    """The batches of a configuration."""
    return KneeDataModule(
        cohort,
        parts,
        views=config.data.views,
        scaling=config.data.scaling,
        mirror_left=config.data.mirror_left,
        batch_size=config.data.batch_size,
        seed=config.seed,
    )


def build_trainer(
    config: RunConfig,
    folder: Path,
    callbacks: list[Callback],
    *,
    held_out: bool,
    resumed_epochs: int = 0,
) -> lightning.Trainer:
    """A Lightning trainer with everything off that costs time in each step.

    Args:
        config: What to train.
        folder: Where events go.
        callbacks: In the order in which they are to be called.
        held_out: Whether there is a validation part.
        resumed_epochs: Epochs that are finished; events of later ones, of which a stopped training
            may have left some, are dropped.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # greetings and advertisements
    return lightning.Trainer(
        accelerator=config.trainer.accelerator,
        devices=1,
        max_epochs=config.trainer.max_epochs,
        gradient_clip_val=config.trainer.gradient_clip_val,
        logger=EventsLogger(
            folder, name="", version="", purge_step=resumed_epochs + 1 if resumed_epochs else None
        ),
        callbacks=callbacks,
        plugins=[
            WholeCheckpointIO(),
            precision_plugin(config.trainer.precision, training_device(config)),
        ],
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        limit_val_batches=None if held_out else 0,
        log_every_n_steps=1,  # nothing is logged by steps; a larger number warns of short epochs
    )


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Lightning without the warnings that no person can act on."""
    with warnings.catch_warnings():
        # lightning 2.6 calls what torch 2.13 deprecates
        warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")
        # a run folder that was moved while it was stopped
        warnings.filterwarnings("ignore", message="The dirpath has changed from")
        # it is where a stopped run goes on
        warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
        yield


def require_accelerator(accelerator: str) -> None:
    """Stop where the hardware that was asked for isn't there.

    Raises:
        InputError: No such hardware, or PyTorch can't use it.
    """
    there = {"gpu": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(accelerator, True):
        raise InputError(
            f"trainer.accelerator: expected hardware that PyTorch {torch.__version__} finds here, "
            f"received {accelerator}; say trainer.accelerator=auto or cpu"
        )


def use_threads(threads: int | str) -> int:
    """Set the CPU threads of a training step; `auto` takes all cores that this process may use.

    Returns:
        How many they are: the same number gives the same results to the last bit, another number
        does not.
    """
    if threads == "auto":
        threads = usable_cores()
    torch.set_num_threads(int(threads))
    return int(threads)


def _checkpoints(folder: Path, *, best: bool) -> list[Callback]:
    """One to go on from, and where asked for one of the best validation epoch (optimistic)."""
    last = LastEpoch(folder / LAST_CHECKPOINT)
    if not best:
        return [last]
    best_epoch = ModelCheckpoint(
        dirpath=folder / "checkpoints",
        filename="best",
        monitor="validation/kappa",
        mode="max",
        save_weights_only=True,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    return [best_epoch, last]
