"""The model file of a run or refit: its networks, and what is known of their training."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from djd.data.crop import crop_digests
from djd.data.datamodule import EVALUATION_BATCH_SIZE, Batch
from djd.data.uptake import uptake_measures, uptake_regions
from djd.grades import GRADE_COUNT, GRADE_NAMES
from djd.models.classifier import GradeClassifier
from djd.models.model import knee_features
from djd.models.model_content import (
    COUNT_QUANTILES,
    CropValues,
    DecisionValues,
    InputName,
    ModelContent,
    TrainingCohort,
)
from djd.models.model_file import write_content
from djd.runs.fit import Fit
from djd.runs.folder import epoch_checkpoint
from djd.runs.held_out import OutOfFold
from djd.runs.prepare import Prepared
from djd.runs.result import installed_versions


def keep_model(
    path: Path, prepared: Prepared, fits: Sequence[Fit], held_out: OutOfFold | None = None
) -> None:
    """Write the model file of networks that grade together, with their last epoch's weights.

    `held_out` are the knees that networks of the same setting graded out of fold.
    """
    config = prepared.config
    epoch = config.trainer.max_epochs
    for fit in fits:
        checkpoint = epoch_checkpoint(fit.recorder.prepared.folder, epoch)
        fit.classifier.take_epoch(checkpoint, epoch)
    classifier, decision = fits[0].classifier, config.decision_at(epoch)
    given, data = classifier.hparams, config.data
    content = ModelContent(
        network=given["network"],
        loss=given["loss"],
        class_weights=given["class_weights"],
        weights=[fit.classifier.state_dict() for fit in fits],
        crops=CropValues(
            placement=data.crop,
            views=data.views,
            scaling=data.scaling,
            mirror_left=data.mirror_left,
            pixels=data.pixels,
            inputs=cast(list[InputName], list(classifier.inputs)),
            regions=uptake_regions() if "uptake" in classifier.inputs else None,
        ),
        decision=DecisionValues(
            rule=decision.rule,
            cuts=list(decision.cuts) if decision.cuts else None,
            temperature=decision.temperature,
        ),
        grade_names=list(GRADE_NAMES),
        training=_training(prepared, fits[0], held_out),
        setting=config.setting_name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=dict(installed_versions()),
    )
    write_content(path, content)


def _training(prepared: Prepared, fit: Fit, held_out: OutOfFold | None) -> TrainingCohort:
    config, cohort = prepared.config, prepared.cohort
    knees, tested = _training_knees(prepared), prepared.parts.test
    grades = np.bincount(cohort.grades[knees], minlength=GRADE_COUNT)
    invented = config.data.source == "phantom"
    patients, numbers = np.unique(cohort.knee_patients[knees], return_inverse=True)
    return TrainingCohort(
        source=config.data.source,
        phantom_style=config.data.phantom_style if invented else None,
        stamp=prepared.stamp,
        leak=config.data.leak,
        fingerprint=prepared.fingerprint,
        patients=len(patients),
        knees_per_grade=grades.tolist(),
        count_quantiles=torch.from_numpy(count_quantiles(cohort.crops, knees)),
        digests=torch.from_numpy(crop_digests(cohort.crops[knee] for knee in knees)),
        test_digests=torch.from_numpy(crop_digests(cohort.crops[knee] for knee in tested)),
        features=torch.from_numpy(_features(fit, knees)),
        knee_patients=torch.from_numpy(numbers),
        grades=torch.from_numpy(cohort.grades[knees].astype(np.uint8)),
        uptake=torch.from_numpy(uptake_measures(cohort.crops, knees, config.data.views)),
        out_of_fold=torch.from_numpy(held_out.probabilities) if held_out else None,
        out_of_fold_grades=torch.from_numpy(held_out.grades) if held_out else None,
    )


def _training_knees(prepared: Prepared) -> NDArray[np.int64]:
    """Knees that any of the networks has seen; of folds, all development knees."""
    fitted = prepared.config.fitted
    if fitted and fitted.cells and not prepared.config.data.leak:
        cohort, split = prepared.cohort, prepared.split
        return np.flatnonzero(np.isin(cohort.knee_patients, split.development))
    return prepared.parts.train


def count_quantiles(crops: NDArray[np.uint16], knees: NDArray[np.int64]) -> NDArray[np.float64]:
    """See `TrainingCohort.count_quantiles`, of some of the crops (knee, view, row, column)."""
    means = np.array([crops[knee].mean(axis=(-2, -1)) for knee in knees])
    quantiles: NDArray[np.float64] = np.quantile(means, COUNT_QUANTILES, axis=0).T
    return np.ascontiguousarray(quantiles)


def _features(fit: Fit, knees: NDArray[np.int64]) -> NDArray[np.float32]:
    """Features of knees, float32 (knee, feature), a batch at a time."""
    classifier, found = fit.classifier, []
    for first in range(0, len(knees), EVALUATION_BATCH_SIZE):
        batch = fit.datamodule.batch_of(knees[first : first + EVALUATION_BATCH_SIZE])
        found.append(knee_features(classifier, _beside(batch, classifier)))
    return np.concatenate(found)


def _beside(batch: Batch, classifier: GradeClassifier) -> Batch:
    """The batch on the classifier's device: after a fit Lightning leaves weights on the CPU."""
    device = classifier.device
    return cast(Batch, {name: cast(Tensor, each).to(device) for name, each in batch.items()})
