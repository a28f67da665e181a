"""A picture a patient: the whole body, both knees, what spoke for their grades."""

import numpy as np
import torch
from numpy.typing import NDArray

from djd.data.crop import CROP_SIZE, VIEW_INDICES
from djd.grades import GRADE_NAMES, RESEARCH, SIDES
from djd.models.model import Model
from djd.plots.graded import patient_figure
from djd.plots.sheets import counts_window
from djd.plots.style import figure_png
from djd.predict.grading import GradedScan, Grader
from djd.predict.patient import DiseaseCut, patient_sentences
from djd.report.explaining import attention_of
from djd.statistics.deciding import expected_grade
from djd.wording import capital, number


def patient_png(graded: GradedScan, grader: Grader, *, cut: DiseaseCut | None = None) -> bytes:
    """A scan's picture as a PNG; attention is that of the first network."""
    model = grader.models[0]
    said = patient_sentences(graded.probabilities, graded.predicted.tolist(), cut)
    view = VIEW_INDICES[model.content.crops.views][0]
    crops = graded.crops[:, view]
    figure = patient_figure(
        graded.counts,
        graded.places.corners,
        crops,
        _attention(graded, model),
        _captions(graded),
        graded.predicted.tolist(),
        graded.probabilities,
        window=counts_window(crops),
        title=f"{graded.name}. {'. '.join(said)}",
        stamp=". ".join(filter(None, (grader.stamp, capital(RESEARCH)))),
    )
    return figure_png(figure)


def _captions(graded: GradedScan) -> list[list[str]]:
    lines = []
    for side, name in enumerate(SIDES):
        given, chances = int(graded.predicted[side]), graded.probabilities[side]
        mean = number(float(expected_grade(chances[None])[0]), decimals=1)
        lines.append(
            [
                f"{name}: {GRADE_NAMES[given]}",
                f"grade {given}; expected grade {mean}",
                *([f"doubtful: {'; '.join(graded.flags[side])}"] if graded.flags[side] else []),
            ]
        )
    return lines


def _attention(graded: GradedScan, model: Model) -> NDArray[np.uint8]:
    """uint8 (side 2, map 1 or none, row, column) of the first view."""
    batch = model.batch(graded.crops[None], graded.present[None])
    given = torch.from_numpy(graded.predicted)
    maps = attention_of(model.networks[0], batch, given, size=(CROP_SIZE, CROP_SIZE))[:, :1]
    if model.content.crops.mirror_left:
        maps[1] = maps[1, ..., ::-1]
    return maps
