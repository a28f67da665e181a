import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator, ImageEvent

from djd.data.datamodule import KneeDataModule
from djd.data.split import split_knees
from djd.grades import GRADE_NAMES, PHANTOM_STAMP
from djd.models.classifier import GradeClassifier
from djd.runs.callbacks.pictures import WIDTH_PIXELS, mistakes_sheet, training_sheet
from djd.runs.config import read_config
from djd.runs.fit import build_classifier, build_datamodule
from djd.runs.reading import read_data
from djd.statistics.held_out import GradedKnees, most_wrong
from tests.conftest import Compose
from tests.finished_run import FinishedRun
from tests.plots.drawn import overlapping, texts
from tests.sweeping import rows_of
from tests.training import run


def images_of(folder: Path) -> dict[str, list[ImageEvent]]:
    events = EventAccumulator(str(folder), {"images": 0})
    events.Reload()
    return {tag: events.Images(tag) for tag in events.Tags()["images"]}


def outcome_of(grades: list[int], probabilities: list[list[float]]) -> GradedKnees:
    return GradedKnees(
        grades=np.array(grades, dtype=np.int64),
        probabilities=np.array(probabilities),
        knees=10 + np.arange(len(grades), dtype=np.int64),
    )


def parts_of(tiny: Compose, *overrides: str) -> tuple[GradeClassifier, KneeDataModule]:
    """What a training starts with."""
    config = read_config(tiny(*overrides))
    cohort, patients = read_data(config)
    parts = split_knees(cohort, patients, folds=3, fold=0, split_seed=0)
    torch.manual_seed(0)
    return build_classifier(config, cohort.grades), build_datamodule(config, cohort, parts)


def drawn_crops(figure: Figure) -> Iterator[NDArray[np.uint8]]:
    """Pixels in the frames of a sheet."""
    axes = figure.axes[0]
    mosaic = np.asarray(axes.images[0].get_array())
    for path in axes.collections[0].get_paths():
        (left, top), (right, bottom) = (
            np.round(end + 0.5).astype(int) for end in path.get_extents().get_points()
        )
        yield mosaic[top:bottom, left:right]


def test_a_run_has_each_picture_at_its_epochs(finished: FinishedRun) -> None:
    steps = {
        tag: [image.step for image in images] for tag, images in images_of(finished.folder).items()
    }
    assert steps == {
        "crops/train": [0],
        "confusion/validation": [1, 2],
        "reliability/validation": [2],
        "mistakes/validation": [2],
    }
    winner = {
        tag: [image.step for image in images] for tag, images in images_of(finished.winner).items()
    }
    assert winner == {"crops/train": [0], "confusion/test": [2]}


def test_pictures_are_as_wide_as_they_are_shown(finished: FinishedRun) -> None:
    for tag, images in images_of(finished.folder).items():
        pixels = np.asarray(Image.open(io.BytesIO(images[0].encoded_image_string)).convert("RGB"))
        assert pixels.shape[:2] == (images[0].height, images[0].width)
        assert images[0].width == WIDTH_PIXELS
        assert pixels.std() > 10, tag


def test_the_last_matrix_is_kept_as_a_file_too(finished: FinishedRun) -> None:
    last = images_of(finished.folder)["confusion/validation"][-1]
    kept = finished.folder / "figures" / "confusion-validation.png"
    assert kept.read_bytes() == last.encoded_image_string


def weights(path: Path) -> dict[str, torch.Tensor]:
    kept = torch.load(path, weights_only=True)
    found: dict[str, torch.Tensor]
    (found,) = kept["content"]["weights"] if path.name == "model.ckpt" else [kept["state_dict"]]
    return found


def test_without_figures_no_training_draws_any(
    finished: FinishedRun, tiny: Compose, tmp_path: Path
) -> None:
    """And their drawing changed nothing, to the last bit."""
    plain = tmp_path / "plain"
    plain.mkdir()
    run(tiny("plots=false", "optim.lr=0.001"), plain)
    assert images_of(plain) == {}
    assert not [*plain.rglob("*.png")]
    for path in finished.folder.rglob("predictions.csv"):
        other = plain / path.relative_to(finished.folder)
        assert path.read_bytes() == other.read_bytes()
    for path in finished.folder.rglob("*.ckpt"):
        if path.name != "last.ckpt":
            kept, same = map(weights, (path, plain / path.relative_to(finished.folder)))
            assert kept.keys() == same.keys()
            assert all(torch.equal(kept[name], same[name]) for name in kept), path
    seconds = {"seconds": None}
    for one, two in zip(
        rows_of(finished.folder / "metrics.csv"), rows_of(plain / "metrics.csv"), strict=True
    ):
        assert one | seconds == two | seconds


def test_the_sheet_shows_the_batches_of_the_training(tiny: Compose) -> None:
    """Flipped, scaled and with all views."""
    _, datamodule = parts_of(tiny, "data.mirror_left=true", "data.views=both")
    figure = training_sheet(datamodule, PHANTOM_STAMP)
    captions = [text.get_text() for text in figure.axes[0].texts]
    cohort, train = datamodule.cohort, datamodule.parts.train
    names = [
        f"{cohort.scans[cohort.scan_index[knee]]} {('right', 'left')[cohort.side_index[knee]]}"
        f"\n{GRADE_NAMES[cohort.grades[knee]]}"
        for knee in train
    ]
    assert any("left" in caption for caption in captions)
    for caption, shown in zip(captions, drawn_crops(figure), strict=True):
        knee = train[[names.index(caption)]]
        crop = datamodule.batch_of(knee)["crop"][0].numpy()
        assert shown.shape == (128, 2 * 128 + 2, 3)
        for view, pixels in zip(crop, (shown[:, :128], shown[:, -128:]), strict=True):
            assert np.corrcoef(view.ravel(), pixels[..., 0].ravel())[0, 1] < -0.9, caption
    assert PHANTOM_STAMP in texts(figure)
    assert "standard deviations" in " ".join(texts(figure)).replace("\n", " ")


@pytest.mark.parametrize("views", ["anterior", "both"])
def test_no_words_of_a_sheet_cover_each_other(tiny: Compose, views: str) -> None:
    classifier, datamodule = parts_of(tiny, f"data.views={views}")
    knees = datamodule.parts.validation
    outcome = GradedKnees(knees, datamodule.cohort.grades[knees], np.full((len(knees), 5), 0.2))
    sheets = (
        training_sheet(datamodule, PHANTOM_STAMP),
        mistakes_sheet(classifier, outcome, datamodule, 100, PHANTOM_STAMP),
    )
    for figure in sheets:
        assert not overlapping(figure)
        assert PHANTOM_STAMP in texts(figure)


def test_the_worst_mistakes_are_the_farthest_then_the_surest() -> None:
    rows: list[list[float]] = np.eye(5)[[4, 1, 1, 0, 1, 1]].tolist()
    chances: Any = (np.array(rows) * np.array([[0.3, 0.6, 0.9, 0.9, 0.9, 0.9]]).T).tolist()
    outcome = outcome_of([0, 0, 0, 3, 1, 2], chances)
    assert most_wrong(outcome, 9).tolist() == [0, 3, 2, 5, 1]
    assert most_wrong(outcome, 2).tolist() == [0, 3]


def test_mistakes_are_told_with_grade_prediction_and_probability(tiny: Compose) -> None:
    classifier, datamodule = parts_of(tiny)
    knees = datamodule.parts.validation[:2]
    outcome = GradedKnees(
        knees, np.array([3, 1]), np.array([[0.0, 0.75, 0, 0.25, 0], [0, 1, 0, 0, 0]])
    )
    figure = mistakes_sheet(classifier, outcome, datamodule, 7, None)
    (caption,) = (text.get_text() for text in figure.axes[0].texts)
    name, _, rest = caption.partition(": ")
    assert name.split()[0] == datamodule.cohort.scans[datamodule.cohort.scan_index[knees[0]]]
    assert rest == "moderate\npredicted minimal (75 %)"
    (shown,) = drawn_crops(figure)
    crop, look = shown[:, :128].astype(int), shown[:, -128:].astype(int)
    assert (crop.max(axis=-1) == crop.min(axis=-1)).all(), "grey"
    assert (look[..., 0] - look[..., 2]).max() > 100, "orange over it"


def test_a_network_without_mistakes_has_an_empty_sheet(tiny: Compose) -> None:
    classifier, datamodule = parts_of(tiny)
    outcome = GradedKnees(datamodule.parts.validation[:1], np.array([1]), np.eye(5)[[1]])
    figure = mistakes_sheet(classifier, outcome, datamodule, 7, PHANTOM_STAMP)
    assert not figure.axes[0].texts
    assert not overlapping(figure)
