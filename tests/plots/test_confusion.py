import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from djd.grades import GRADE_NAMES
from djd.plots.confusion import confusion_figure, confusion_multiples_figure, row_shares
from djd.plots.style import figure_pixels
from tests.plots.drawn import overlapping, texts

COUNTS = np.random.default_rng(0).integers(1, 9, (36, 5, 5))
CAPTIONS = [f"{index + 1} *\n-0.{index:02d}" for index in range(36)]


def mosaic_of(figure: Figure) -> NDArray[np.float64]:
    return np.ma.MaskedArray(figure.axes[0].images[0].get_array()).filled(np.nan)


def test_row_shares_are_percentages_of_each_true_grade() -> None:
    counts = np.array([[1, 3, 0, 0, 0], [0] * 5, [0, 0, 2, 0, 0], [1] * 5, [0, 0, 0, 0, 7]])
    shares = row_shares(counts)
    np.testing.assert_array_equal(shares[0], [25, 75, 0, 0, 0])
    assert np.isnan(shares[1]).all()
    np.testing.assert_array_equal(shares[3], [20] * 5)


def test_each_matrix_stands_above_its_own_caption() -> None:
    figure = confusion_multiples_figure(COUNTS, CAPTIONS, title="All")
    axes = figure.axes[0]
    mosaic = mosaic_of(figure)
    places = {text.get_text(): text.get_position() for text in axes.texts}
    assert set(places) == set(CAPTIONS)
    for counts, caption in zip(COUNTS, CAPTIONS, strict=True):
        x, y = places[caption]
        top, left = round(y + 0.2) - 5, round(x - 2)
        shares = 100 * counts / counts.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(mosaic[top : top + 5, left : left + 5], shares)
    assert np.isfinite(mosaic).sum() == COUNTS.size


def test_all_matrices_and_the_large_ones_share_one_scale() -> None:
    figure = confusion_multiples_figure(COUNTS, CAPTIONS, title="All")
    large = confusion_figure(COUNTS[0], title="One").axes[0].images[0]
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(images) == 2
    for image in images:
        assert image.get_clim() == large.get_clim() == (0, 100)
        assert image.get_cmap() == large.get_cmap() == colormaps["Blues"]


def test_a_grade_without_knees_is_an_empty_row() -> None:
    counts = COUNTS[:1].copy()
    counts[0, 2] = 0
    mosaic = mosaic_of(confusion_multiples_figure(counts, ["1"], title="One"))
    assert np.isnan(mosaic[2, :5]).all()
    assert np.isfinite(mosaic[[0, 1, 3, 4], :5]).all()


def test_one_key_tells_rows_columns_and_the_scale() -> None:
    figure = confusion_multiples_figure(COUNTS, CAPTIONS, title="All")
    shown = texts(figure)
    for explained in (*GRADE_NAMES, "true grade", "predicted grade, same order"):
        assert explained in shown
    key = figure.axes[1]
    np.testing.assert_array_equal(key.images[0].get_array(), 100 * np.eye(5))
    figure_pixels(figure)
    assert [tick.get_text() for tick in key.get_yticklabels()] == list(GRADE_NAMES)
    scale = figure.axes[2]
    assert [tick.get_text() for tick in scale.get_xticklabels()] == ["0", "25", "50", "75", "100"]


def test_cells_are_square_and_captions_cover_nothing() -> None:
    for count, columns in ((36, 6), (7, 5), (1, 6)):
        figure = confusion_multiples_figure(
            COUNTS[:count],
            [f"rank {index}\nk -0.{index:02d}" for index in range(count)],
            title="Confusion of all settings that were compared with each other " * 2,
            columns=columns,
            stamp="PHANTOM",
        )
        assert not overlapping(figure)
        to_cells = figure.axes[0].transData.inverted()
        for caption in figure.axes[0].texts:
            low, high = sorted(to_cells.transform_bbox(caption.get_window_extent()).intervaly % 8)
            assert low > 4.5
            assert high < 7.5
        cell = np.diff(figure.axes[0].transData.transform([(0, 0), (1, 1)]), axis=0)
        np.testing.assert_allclose(abs(cell[0, 0]), abs(cell[0, 1]), rtol=1e-6)
