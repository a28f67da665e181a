import io
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from djd.errors import InputError
from djd.grades import GRADE_NAMES
from djd.plots.confusion import confusion_figure, confusion_multiples_figure
from djd.plots.curves import curves_figure, learning_curves_figure
from djd.plots.grades import grades_figure
from djd.plots.kappas import effects_figure, ranking_figure
from djd.plots.reliability import reliability_figure
from djd.plots.style import figure_pixels, figure_png, new_figure, save_figure
from djd.statistics.effects import LevelScores
from djd.statistics.intervals import Estimate
from tests.ordinary_user import as_ordinary_user, posix
from tests.plots.drawn import texts

STAMP = "PHANTOM"
COUNTS = np.diag([7, 6, 0, 4, 3]) + np.eye(5, k=1, dtype=np.int64)


def figures(stamp: str | None) -> list[Figure]:
    metrics = {"epoch": [1.0, 2.0], "train_loss": [2.0, 1.0], "validation_kappa": [0.1, np.nan]}
    title = "Learning curves of depth=3 optim=momentum lr_times=10 batch_size=16 epochs=100"
    scores, level = ("recall", "precision"), LevelScores((Estimate(0.5),), 0)
    shares = {
        f"{score}_{name}": Estimate(0.5, 0.4, 0.6) for score in scores for name in GRADE_NAMES
    }
    return [
        confusion_figure(COUNTS, title="Validation", stamp=stamp),
        curves_figure(metrics, score_epochs=[2], title=title, stamp=stamp),
        learning_curves_figure([metrics], score_epochs=[2], title=title, stamp=stamp),
        confusion_multiples_figure(COUNTS[None], ["1 *\n0.6"], title=title, stamp=stamp),
        reliability_figure([], title=title, stamp=stamp),
        ranking_figure(
            {"depth=1": Estimate(0.5)}, {}, best_set=[], distance=0.1, title=title, stamp=stamp
        ),
        grades_figure({"test": shares}, {"test": [3] * 5}, title=title, stamp=stamp),
        effects_figure([("depth", ["1"], level, level)], title=title, stamp=stamp),
    ]


def test_every_figure_carries_its_stamp_and_none_without_one() -> None:
    assert all(STAMP in texts(figure) for figure in figures(STAMP))
    assert not any(STAMP in texts(figure) for figure in figures(None))


def test_the_stamp_lies_on_the_picture_and_on_nothing_else() -> None:
    """A stamp that is cut off or covers the title is no stamp."""
    for figure in figures("PHANTOM: invented scans, not patients"):
        figure_pixels(figure)
        boxes = {
            text.get_text(): text.get_window_extent()
            for text in figure.findobj(Text)
            if text.get_text() and text.get_visible()
        }
        stamp = boxes.pop("PHANTOM: invented scans, not patients")
        width, height = figure.canvas.get_width_height()
        assert stamp.x0 >= 0
        assert stamp.x1 <= width
        assert stamp.y1 <= height
        assert not any(stamp.overlaps(box) for box in boxes.values())


def test_a_confusion_matrix_shows_counts_row_percentages_and_knees() -> None:
    shown = texts(confusion_figure(COUNTS, title="Validation"))
    assert "Validation: 24 knees" in shown
    assert "7\n88 %" in shown
    assert "1\n12 %" in shown
    assert "normal\n(8)" in shown
    assert "mild\n(1)" in shown


def test_a_grade_without_knees_has_no_percentage() -> None:
    counts = COUNTS.copy()
    counts[2] = 0
    shown = texts(confusion_figure(counts, title="Test"))
    assert shown.count("–") == 5
    assert "mild\n(0)" in shown


def test_the_colours_of_confusion_matrices_have_one_scale() -> None:
    for counts in (COUNTS, np.ones((5, 5), dtype=np.int64)):
        (axes,) = confusion_figure(counts, title="x").axes
        assert axes.images[0].get_clim() == (0, 100)


def test_learning_curves_show_what_was_held_out_and_when_it_was_scored() -> None:
    metrics = {
        "epoch": [1.0, 2.0, 3.0],
        "train_loss": [2.0, 1.0, 0.5],
        "train_kappa": [0.1, 0.2, 0.3],
        "train_accuracy": [0.1, 0.2, 0.3],
    }
    figure = curves_figure(metrics, score_epochs=[3], title="Curves")
    assert {"train", "scored"} <= set(texts(figure))
    assert "validation" not in texts(figure)
    loss = figure.axes[0].lines[0].get_xydata()
    np.testing.assert_array_equal(loss, [[1, 2], [2, 1], [3, 0.5]])


@pytest.mark.slow
def test_a_saved_picture_has_the_colours_of_its_figure(tmp_path: Path) -> None:
    path = tmp_path / "한글 (1).png"
    for figure, again in zip(figures(STAMP), figures(STAMP), strict=True):
        save_figure(figure, path)
        saved = np.asarray(Image.open(path).convert("RGB"), dtype=np.int64)
        pixels = figure_pixels(again)
        assert np.abs(saved - pixels).max() <= 13
        assert (saved[(pixels == 255).all(axis=-1)] == 255).all()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.slow
def test_the_same_figure_is_the_same_picture() -> None:
    for figure, again in zip(figures(STAMP), figures(STAMP), strict=True):
        assert figure_png(figure, width=700) == figure_png(again, width=700)


def test_pictures_are_small() -> None:
    counts = np.random.default_rng(0).integers(0, 30, (36, 5, 5))
    thumbnail = figure_png(confusion_figure(counts[0], title="Validation", stamp=STAMP), width=350)
    assert Image.open(io.BytesIO(thumbnail)).width == 350
    assert len(thumbnail) < 12_000
    multiples = confusion_multiples_figure(counts, ["1 *\n0.62"] * 36, title="All", stamp=STAMP)
    assert len(figure_png(multiples, width=1152)) < 100_000


def test_a_figure_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing.x\.png: can't be written \(No such file"):
        save_figure(new_figure(1, 1, stamp=None), tmp_path / "missing" / "x.png")


@posix
def test_a_read_only_folder_is_one_sentence() -> None:
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        figure = new_figure(1, 1, stamp=None)

        def save() -> str:
            try:
                save_figure(figure, Path(folder) / "x.png")
            except InputError as error:
                return str(error)
            return "saved"

        assert "x.png: can't be written (Permission denied)" in as_ordinary_user(save)
