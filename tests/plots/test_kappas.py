"""Plots of kappas with intervals: ranking and effects."""

from math import nan

import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from djd.plots.kappas import AxisLevels, effects_figure, ranking_figure
from djd.plots.style import BLUE, GREY, ORANGE
from djd.statistics.effects import LevelScores
from djd.statistics.intervals import Estimate
from tests.plots.drawn import dots, overlapping, texts, values, whiskers

UNKNOWN = Estimate(nan)
DEPTH: AxisLevels = (
    "depth",
    ["1", "2", "3"],
    LevelScores((Estimate(0.5, 0.45, 0.55), Estimate(0.6, 0.52, 0.66), UNKNOWN), 0.05),
    LevelScores((Estimate(0.62, 0.4, 0.7), Estimate(-0.1), Estimate(0.64, 0.5, 0.75)), 0.1),
)
EPOCHS: AxisLevels = (
    "epochs",
    ["25"],
    LevelScores((Estimate(0.3),), 0),
    LevelScores((Estimate(0.4, 0.2, 0.5),), 0),
)
LONG = "12  depth=3 optim=momentum lr_times=10 batch_size=16 epochs=100"
RANKED = {
    "1  depth=2": Estimate(0.61, 0.4, 0.7),
    "2  depth=1": Estimate(0.5),
    "3  depth=3": Estimate(-0.2, -0.3, 0.1),
    "4  depth=5": UNKNOWN,
}
BEST_SET = ["1  depth=2", "2  depth=1"]
BASELINES = {"majority": Estimate(0.0)}


def ranking() -> Figure:
    return ranking_figure(RANKED, BASELINES, best_set=BEST_SET, distance=0.2, title="Settings")


def test_effects_show_mean_and_best_of_each_level_in_its_row() -> None:
    (axes,) = effects_figure([DEPTH], title="Depth").axes
    rows = dict(zip([tick.get_text() for tick in axes.get_yticklabels()], range(3), strict=True))
    assert list(rows) == ["1", "2", "3"]
    means = [dot for dot in dots(axes) if dot.filled]
    bests = [dot for dot in dots(axes) if not dot.filled]
    assert [(dot.x, round(dot.y)) for dot in means] == [(0.5, 0), (0.6, 1)]
    assert [(dot.x, round(dot.y)) for dot in bests] == [(0.62, 0), (-0.1, 1), (0.64, 2)]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_effects_mark_levels_that_cannot_be_told_from_the_best() -> None:
    (axes,) = effects_figure([DEPTH], title="Depth").axes
    written = [text for text, _ in sorted(values(axes), key=lambda value: value[1])]
    assert written == ["0.50", "0.62 *", "0.60 *", "-0.10", "undefined", "0.64 *"]
    heights = {text.removesuffix(" *"): y for text, y in values(axes)}
    assert all(dot.y == heights[f"{dot.x:.2f}"] for dot in dots(axes))
    assert {dot.x: dot.colour for dot in dots(axes)} == {
        0.5: GREY,
        0.62: ORANGE,
        0.6: BLUE,
        -0.1: GREY,
        0.64: ORANGE,
    }


def test_a_whisker_is_an_interval_and_there_is_none_without_one() -> None:
    (axes,) = effects_figure([DEPTH], title="Depth").axes
    drawn = {(whisker.low, whisker.high): whisker.y for whisker in whiskers(axes)}
    assert set(drawn) == {(0.45, 0.55), (0.4, 0.7), (0.52, 0.66), (0.5, 0.75)}
    heights = {dot.x: dot.y for dot in dots(axes)}
    assert drawn[0.45, 0.55] == heights[0.5]
    assert drawn[0.5, 0.75] == heights[0.64]


def test_several_axes_stand_on_one_scale_that_holds_all() -> None:
    figure = effects_figure([EPOCHS, DEPTH], title="All")
    upper, lower = figure.axes
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["epochs", "depth"]
    assert upper.get_xlim() == lower.get_xlim()
    assert upper.get_xlim()[0] < -0.1
    assert upper.get_xlim()[1] > 0.75


def test_a_ranking_has_a_row_for_each_setting_from_the_top() -> None:
    (axes,) = ranking_figure(
        RANKED, BASELINES, best_set=BEST_SET, distance=0.2, title="Settings"
    ).axes
    labels = [text for text in axes.texts if text.get_position()[0] < 1]
    assert [text.get_text() for text in labels] == [
        *RANKED,
        "majority",
    ]
    heights = [text.get_position()[1] for text in labels]
    places = [y for _, y in values(axes)]
    assert heights == sorted(heights)
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert all(label < place for label, place in zip(heights, places, strict=True))
    assert all(place < label for place, label in zip(places, heights[1:], strict=False))


def test_a_ranking_draws_kappas_at_their_rows_and_nothing_for_an_undefined_one() -> None:
    (axes,) = ranking_figure(
        RANKED, BASELINES, best_set=BEST_SET, distance=0.2, title="Settings"
    ).axes
    heights = [y for _, y in values(axes)]
    assert [text for text, _ in values(axes)] == ["0.61 *", "0.50 *", "-0.20", "undefined", "0.00"]
    best, tied, behind, _, majority = heights
    assert dots(axes) == [
        (0.61, best, BLUE, True),
        (0.5, tied, BLUE, True),
        (-0.2, behind, GREY, False),
        (0.0, majority, ORANGE, False),
    ]
    assert whiskers(axes) == [(0.4, 0.7, best), (-0.3, 0.1, behind)]


def test_baselines_stand_below_a_line() -> None:
    (axes,) = ranking_figure(
        RANKED, BASELINES, best_set=BEST_SET, distance=0.2, title="Settings"
    ).axes
    (line,) = [line for line in axes.lines if line.get_transform() != axes.transData]
    heights = [y for _, y in values(axes)]
    assert heights[-2] < float(line.get_ydata()[0]) < heights[-1]  # type: ignore[index, arg-type]
    (axes,) = ranking_figure(RANKED, {}, best_set=BEST_SET, distance=0.2, title="Settings").axes
    assert all(line.get_transform() == axes.transData for line in axes.lines)


def test_a_band_reaches_from_the_best_to_the_least_that_cannot_be_told_from_it() -> None:
    figure = ranking()
    (band,) = figure.axes[0].patches
    assert isinstance(band, Rectangle)
    assert band.get_x() == pytest.approx(0.41)
    assert band.get_x() + band.get_width() == pytest.approx(0.61)
    assert "less than 0.20 behind the best" in texts(figure)


def test_without_a_distance_there_is_no_band() -> None:
    figure = ranking_figure(RANKED, {}, best_set=BEST_SET, distance=nan, title="Settings")
    assert not figure.axes[0].patches
    assert not any("less than" in text for text in texts(figure))


def test_a_legend_explains_only_what_is_drawn() -> None:
    best = {name: RANKED[name] for name in BEST_SET}
    both = texts(ranking_figure(best, {}, best_set=BEST_SET, distance=nan, title="Both"))
    assert "* can't be told apart from the best" in both
    assert not {"behind the best", "baseline"} & set(both)


def test_settings_that_were_not_compared_are_the_best_of_nothing() -> None:
    one = {"depth=2": Estimate(0.61, 0.4, 0.7)}
    figure = ranking_figure(one, BASELINES, best_set=None, distance=nan, title="One")
    assert [dot.colour for dot in dots(figure.axes[0])] == [BLUE, ORANGE]
    alone = texts(figure)
    assert not any("the best" in text or "*" in text for text in alone)
    assert "baseline" in alone


@pytest.mark.parametrize("count", [1, 40])
def test_long_labels_of_many_settings_can_all_be_read(count: int) -> None:
    rows = {f"{LONG}{i:02}": Estimate(0.9 - 0.04 * i, -0.9, 0.95) for i in range(count)}
    title = "Settings by kappa, all of them trained on the same folds and seeds"
    figure = ranking_figure(
        rows, BASELINES, best_set=[], distance=0.2, title=title, stamp="PHANTOM"
    )
    assert set(rows) <= set(texts(figure))
    assert not overlapping(figure)


def test_labels_too_long_for_a_line_are_broken_and_hide_nothing() -> None:
    rows = {f"{LONG} data.views=both loss.class_weights=balanced{i}": UNKNOWN for i in range(3)}
    figure = ranking_figure(rows, {}, best_set=[], distance=0.2, title="Settings")
    assert any("\n" in text and text.startswith(LONG) for text in texts(figure))
    assert not overlapping(figure)
    (axes,) = figure.axes
    labels = [text.get_window_extent() for text in axes.texts if text.get_text() != "undefined"]
    places = [axes.transData.transform((0, y))[1] for _, y in values(axes)]
    assert all(place < label.y0 for place, label in zip(places, labels, strict=True))
    assert all(place > label.y1 for place, label in zip(places, labels[1:], strict=False))


def test_effects_of_long_names_can_all_be_read() -> None:
    figure = effects_figure([DEPTH, EPOCHS] * 3, title="Effects of everything " * 5)
    assert not overlapping(figure)
