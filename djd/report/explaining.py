"""What spoke for the grades of some knees, by the networks that did not train on them."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from djd.data.cohort import Cohort
from djd.data.datamodule import Batch, select_views
from djd.data.split import PatientSplit
from djd.errors import InputError
from djd.grades import SIDES
from djd.models.attention import grade_attention
from djd.models.classifier import GradeClassifier
from djd.report.knees import ChosenKnee, Pictures
from djd.runs.fit import build_classifier, build_datamodule
from djd.runs.folder import epoch_checkpoint
from djd.runs.reading import split_cell
from djd.sweeps.cells import FinishedCell
from djd.sweeps.out_of_fold import by_repeat
from djd.sweeps.setting_scores import Setting


def explained(
    best: Setting, chosen: Sequence[ChosenKnee], cohort: Cohort, split: PatientSplit
) -> Pictures:
    """Crops and maps of knees, as in `ShownKnees`, each by the fold of the first repeat.

    Raises:
        InputError: Weights are missing or damaged, or a knee was held out by no fold.
    """
    knees = _indices(chosen, cohort)
    given = np.array([each.given for each in chosen], dtype=np.int64)
    maps: dict[int, NDArray[np.uint8]] = {}
    for cell in by_repeat(best.cells)[0]:
        parts = split_cell(cell.config, cohort, split, fold=cell.config.data.fold)
        held_out = np.flatnonzero(np.isin(knees, parts.validation) & ~np.isin(knees, parts.train))
        if len(held_out):
            classifier = _trained(cell, best.epochs, cohort.grades[parts.train])
            data = build_datamodule(cell.config, cohort, parts, inputs=classifier.inputs)
            batch = data.batch_of(knees[held_out])
            size = (cohort.crops.shape[-2], cohort.crops.shape[-1])
            found = attention_of(classifier, batch, torch.from_numpy(given[held_out]), size)
            maps |= dict(zip(held_out.tolist(), found, strict=True))
    if missing := set(range(len(knees))) - set(maps):
        names = ", ".join(f"{chosen[place].scan} {chosen[place].side}" for place in sorted(missing))
        raise InputError(f"no fold of {best.name} held out {names}")
    looks = best.configs[0].data
    crops = select_views(
        cohort, knees, views=looks.views, scaling="counts", mirror_left=looks.mirror_left
    )
    return crops.astype(np.uint16), np.stack([maps[place] for place in range(len(knees))])


def _indices(chosen: Sequence[ChosenKnee], cohort: Cohort) -> NDArray[np.int64]:
    """The cohort's knees; raises InputError where one is missing."""
    pairs = zip(cohort.scan_index, cohort.side_index, strict=True)
    places: dict[tuple[str, str], int] = {
        (cohort.scans[scan], SIDES[side]): place for place, (scan, side) in enumerate(pairs)
    }
    try:
        return np.array([places[each.scan, each.side] for each in chosen], dtype=np.int64)
    except KeyError as error:
        raise InputError(f"the scans lack the knee {' '.join(error.args[0])}") from error


def _trained(cell: FinishedCell, epochs: int, grades: NDArray[np.int64]) -> GradeClassifier:
    classifier, path = build_classifier(cell.config, grades), epoch_checkpoint(cell.folder, epochs)
    try:
        classifier.take_epoch(path, epochs)
    except Exception as error:  # torch raises many types for a damaged file
        raise InputError(f"{path}: expected the weights of a training, received others") from error
    return classifier


def attention_of(
    classifier: GradeClassifier, batch: Batch, given: Tensor, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """What speaks for a grade of each knee: uint8 (knee, map, row, column), 0 to 255.

    `given` are grades int64 (knee,), `size` rows and columns. No map a knee where no part of the
    network gives a map of features.
    """
    found = grade_attention(classifier, batch, given)
    if found is None:
        return np.zeros((len(given), 0, *size), dtype=np.uint8)
    large = nn.functional.interpolate(found.float(), size=size, mode="bilinear")
    shares: NDArray[np.float32] = large.clamp(0, 1).numpy()
    return np.round(255 * shares).astype(np.uint8)
