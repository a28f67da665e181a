import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from djd.plots.curves import learning_curves_figure
from djd.plots.style import BLUE, ORANGE
from tests.plots.drawn import overlapping, texts

RUNS = [
    {
        "epoch": [1.0, 2.0, 3.0, 4.0],
        "train_loss": [2.0, 1.0, 0.5, 0.25],
        "validation_loss": [2.0, 1.5, 1.0, 1.0],
        "validation_kappa": [0.0, 0.2, 0.4, 0.5],
    },
    {
        "epoch": [1.0, 2.0, 3.0, 4.0, 5.0],
        "train_loss": [4.0, 2.0, 1.0, 0.75, 0.5],
        "validation_loss": [3.0, 2.5, 2.0, 2.0, 2.0],
        "validation_kappa": [0.2, np.nan, 0.6, 0.7, 0.8],
    },
]


def curves(axes: Axes, colour: str, *, thick: bool) -> list[NDArray[np.float64]]:
    return [
        np.asarray(line.get_xydata(), dtype=np.float64)
        for line in axes.lines
        if line.get_color() == colour and (line.get_linewidth() > 1) == thick
    ]


def drawn(runs: list[dict[str, list[float]]] = RUNS, score_epochs: tuple[int, ...] = ()) -> Figure:
    return learning_curves_figure(runs, score_epochs=score_epochs, title="Curves")


def test_every_run_is_a_thin_line() -> None:
    kappa, loss = drawn().axes
    for axes, colour, column in (
        (kappa, ORANGE, "validation_kappa"),
        (loss, ORANGE, "validation_loss"),
        (loss, BLUE, "train_loss"),
    ):
        lines = curves(axes, colour, thick=False)
        assert len(lines) == len(RUNS)
        for line, run in zip(lines, RUNS, strict=True):
            points = np.array([run["epoch"], run[column]])
            np.testing.assert_array_equal(line.T, points[:, ~np.isnan(points[1])])


def test_the_mean_is_thick_and_ends_with_the_shortest_run() -> None:
    (mean,) = curves(drawn().axes[1], BLUE, thick=True)
    np.testing.assert_allclose(mean.tolist(), [[1.0, 3.0], [2.0, 1.5], [3.0, 0.75], [4.0, 0.5]])


def test_the_mean_goes_by_the_epochs_in_which_all_runs_have_a_value() -> None:
    (mean,) = curves(drawn().axes[0], ORANGE, thick=True)
    np.testing.assert_allclose(mean.tolist(), [[1, 0.1], [3, 0.5], [4, 0.6]])


def test_epochs_that_score_are_dotted_lines_in_both_panels() -> None:
    figure = drawn(score_epochs=(2, 4))
    for axes in figure.axes:
        dotted = [
            float(np.asarray(line.get_xdata())[0])
            for line in axes.lines
            if line.get_linestyle() == ":" and len(np.asarray(line.get_xdata()))
        ]
        assert dotted == [2, 4]
    assert "scored" in texts(figure)
    assert "scored" not in texts(drawn())


def test_runs_without_validation_show_training_alone() -> None:
    run = {"epoch": [1.0, 2.0], "train_loss": [2.0, 1.0]}
    figure = drawn([run])
    assert not curves(figure.axes[0], ORANGE, thick=False)
    assert "train, mean" in texts(figure)
    assert "validation, mean" not in texts(figure)


def test_curves_of_one_epoch_and_of_none_are_still_pictures() -> None:
    first = [{column: values[:1] for column, values in run.items()} for run in RUNS]
    markers = [line.get_marker() for line in drawn(first).axes[1].lines if line.get_xydata().size]  # type: ignore[union-attr]
    assert set(markers) == {"o"}
    assert not overlapping(drawn(first))
    assert not overlapping(drawn([]))
