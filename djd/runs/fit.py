"""The fit of one network."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities import rank_zero_only
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from numpy.typing import NDArray
from torch import Tensor

from djd.data.cohort import Cohort
from djd.data.crop import VIEW_INDICES, network_views
from djd.data.datamodule import Batch, KneeDataModule
from djd.data.split import Parts
from djd.data.uptake import MEASURES
from djd.environment import as_configured
from djd.grades import GRADE_COUNT
from djd.models.build import build_augmentation
from djd.models.classifier import GradeClassifier
from djd.models.losses import balanced_weights
from djd.runs.callbacks.checkpoints import LastEpoch, WholeCheckpointIO, finished_epochs
from djd.runs.callbacks.epoch_recorder import EpochRecorder
from djd.runs.callbacks.loggers import ScoreLogger, build_loggers, end_runs
from djd.runs.callbacks.pictures import Pictures
from djd.runs.callbacks.progress import ProgressLine
from djd.runs.callbacks.tensorboard import Dashboard
from djd.runs.callbacks.weight_average import WeightAverage
from djd.runs.config import RunConfig
from djd.runs.folder import BEST_CHECKPOINT, LAST_CHECKPOINT
from djd.runs.hardware import precision_plugin, training_device
from djd.runs.prepare import Prepared


@dataclass(frozen=True, eq=False)
class Fit:
    """A finished training in memory."""

    trainer: lightning.Trainer
    classifier: GradeClassifier
    datamodule: KneeDataModule
    recorder: EpochRecorder

    @property
    def device_name(self) -> str:
        """The name of the GPU, or `cpu` or `mps`."""
        device = self.trainer.strategy.root_device
        return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


@as_configured()
def fit_network(prepared: Prepared, start: Mapping[str, Tensor] | None = None) -> Fit:
    """Train one network; metrics, predictions, weights and loggers' files go to its folder.

    A stopped training goes on from the folder's last epoch and ends with the weights of one that
    was never stopped. A run by itself also keeps its best validation epoch (optimistic). `start`
    has values of the classifier's state that replace those of the seed.
    """
    config, folder, parts = prepared.config, prepared.folder, prepared.parts
    # Lightning may have taken a launcher's rank when another program imported Lightning.
    setattr(rank_zero_only, "rank", 0)  # noqa: B010
    lightning.seed_everything(config.seed, verbose=False)
    classifier = build_classifier(config, prepared.cohort.grades[parts.train])
    classifier.load_state_dict(start or {}, strict=False)
    datamodule = build_datamodule(config, prepared.cohort, parts, inputs=classifier.inputs)
    held_out = bool(len(parts.validation))
    last = folder / LAST_CHECKPOINT
    resumed_epochs = finished_epochs(last)
    with quiet_lightning():
        loggers = build_loggers(prepared, resumed_epochs=resumed_epochs)
    has_tensorboard = any(isinstance(each, TensorBoardLogger) for each in loggers)
    recorder = EpochRecorder(prepared)
    averaged = config.trainer.weight_average == "exponential"
    callbacks = [
        *([WeightAverage()] if averaged else []),
        recorder,
        *([Dashboard(recorder)] if has_tensorboard else []),
        ScoreLogger(recorder),
        *([Pictures(recorder)] if config.plots else []),
        ProgressLine(recorder),
        *([_best_epoch(folder)] if config.kind == "run" and held_out else []),
        LastEpoch(last),
    ]
    trainer = build_trainer(config, folder, callbacks, loggers=loggers, held_out=held_out)
    resumed = last if resumed_epochs else None
    try:
        with quiet_lightning():
            trainer.fit(classifier, datamodule=datamodule, ckpt_path=resumed)
    except BaseException:
        end_runs(loggers)
        raise
    if held_out:  # otherwise test patients may be scored next
        end_runs(loggers)
    return Fit(trainer, classifier, datamodule, recorder)


def build_classifier(config: RunConfig, train_grades: NDArray[np.int64]) -> GradeClassifier:
    """The untrained module of a configuration, with class weights by int64 (knee,) grades 0 to 4.

    Raises InputError where the network, loss or optimizer can't be made as the configuration says.
    """
    plain = config.plain()
    balanced = config.loss.class_weights == "balanced"
    return GradeClassifier(
        network=plain["model"],
        loss={key: value for key, value in plain["loss"].items() if key != "class_weights"},
        optimizer={"_target_": config.optim.target, **config.optim.arguments},
        learning_rate=config.optim.learning_rate,
        schedule=config.optim.schedule,
        warmup=config.optim.warmup,
        epochs=config.trainer.max_epochs,
        gradient_clip_val=config.trainer.gradient_clip_val,
        views=network_views(config.data.views),
        each_view=config.data.views == "each",
        pixels=config.data.pixels,
        class_weights=balanced_weights(train_grades) if balanced else None,
        decision=asdict(config.decision_at(config.trainer.max_epochs)),
    )


def build_datamodule(
    config: RunConfig, cohort: Cohort, parts: Parts, *, inputs: tuple[str, ...] = ()
) -> KneeDataModule:
    """The batches of a configuration, with `extra_inputs` of its network beside crops."""
    data = config.data
    return KneeDataModule(
        cohort,
        parts,
        views=data.views,
        scaling=data.scaling,
        mirror_left=data.mirror_left,
        pixels=data.pixels,
        batch_size=data.batch_size,
        seed=config.seed,
        augment=build_augmentation(config.plain()["augment"]),
        inputs=inputs,
    )


def noise_batch(config: RunConfig, device: torch.device) -> Batch:
    """A training batch of noise with every grade in turn, for timing."""
    knees, views = config.data.batch_size, len(VIEW_INDICES[config.data.views])
    crop = torch.rand(knees, views, config.data.pixels, config.data.pixels)
    crop = crop.contiguous(memory_format=torch.channels_last).to(device)
    index = torch.arange(knees, device=device)
    return Batch(
        crop=crop,
        grade=index % GRADE_COUNT,
        knee=index,
        uptake=torch.rand(knees, views * len(MEASURES), device=device),
        other_knee=crop.flip(0),
        has_other_knee=index % 2 == 0,
    )


def build_trainer(
    config: RunConfig,
    folder: Path,
    callbacks: list[Callback],
    *,
    loggers: list[Logger],
    held_out: bool,
) -> lightning.Trainer:
    """A Lightning trainer whose steps do nothing but train."""
    device, wanted = training_device(config), config.trainer.accelerator
    precision = precision_plugin(config.trainer.precision, device)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)  # greetings and advertisements
    return lightning.Trainer(
        accelerator=device.type if wanted == "auto" else wanted,
        devices=1,
        max_epochs=config.trainer.max_epochs,
        logger=loggers,
        callbacks=callbacks,
        # Lightning would choose Slurm's environment by itself: ranks, requeueing.
        plugins=[WholeCheckpointIO(), precision, LightningEnvironment()],
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
    """Lightning without warnings that nobody can act on."""
    messages = (
        ".*LeafSpec.* is deprecated",  # by torch 2.13; lightning 2.6 calls it
        "The dirpath has changed from",  # a stopped run's folder was moved
        "The `srun` command is available",  # on every machine of a Slurm cluster
        ".* directory .* exists and is not empty",  # checkpoints and csv of a stopped run
    )
    with warnings.catch_warnings():
        for message in messages:
            warnings.filterwarnings("ignore", message=message)
        yield


def _best_epoch(folder: Path) -> ModelCheckpoint:
    return ModelCheckpoint(
        dirpath=(folder / BEST_CHECKPOINT).parent,
        filename=Path(BEST_CHECKPOINT).stem,
        monitor="validation/kappa",
        mode="max",
        save_weights_only=True,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
