from math import nan

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from djd.plots.reliability import ReliabilityBin, reliability_bins, reliability_figure
from djd.statistics.intervals import Estimate
from tests.plots.drawn import overlapping, texts

BINS = [
    ReliabilityBin((0.0, 0.1), 0.05, Estimate(0.2, 0.1, 0.4), 30),
    ReliabilityBin((0.4, 0.5), 0.44, Estimate(0.5), 7),
    ReliabilityBin((0.9, 1.0), 0.97, Estimate(nan), 0),
]


def test_bins_hold_every_knee_once_in_tenths() -> None:
    random = np.random.default_rng(0)
    probabilities = random.random(500)
    diseased = random.random(500) < probabilities
    bins = reliability_bins(probabilities, diseased)
    assert sum(each.knees for each in bins) == 500
    for index, each in enumerate(bins):
        inside = (probabilities * 10).astype(int) == index
        assert each.edges == (index / 10, (index + 1) / 10)
        assert each.knees == inside.sum()
        assert each.predicted == pytest.approx(probabilities[inside].mean())
        assert each.observed.value == pytest.approx(diseased[inside].mean())
        assert not each.observed.has_interval


def test_bins_without_knees_are_left_out_and_edges_belong_above() -> None:
    bins = reliability_bins(np.array([0.0, 0.3, 1.0]), np.array([False, True, True]))
    assert [(each.edges[0], each.knees) for each in bins] == [(0.0, 1), (0.3, 1), (0.9, 1)]
    assert reliability_bins(np.array([]), np.array([], dtype=bool)) == []


def test_dots_and_whiskers_are_observed_shares_where_they_were_predicted() -> None:
    axes = reliability_figure(BINS, title="Any disease").axes[0]
    diagonal, whisker, dots = (np.asarray(line.get_xydata()).tolist() for line in axes.lines)
    assert diagonal == [[0, 0], [100, 100]]
    assert whisker == [[5, 10], [5, 40]]
    assert dots == [[5, 20], [44, 50]]


def test_bars_tell_how_many_knees_each_bin_holds() -> None:
    axes = reliability_figure(BINS, title="Any disease").axes[1]
    bars = [bar for bar in axes.patches if isinstance(bar, Rectangle)]
    assert [(bar.get_x(), bar.get_width(), bar.get_height()) for bar in bars] == [
        (0, 10, 30),
        (40, 10, 7),
        (90, 10, 0),
    ]
    assert [text.get_text() for text in axes.texts] == ["30", "7", "0"]


def test_only_drawn_intervals_are_named() -> None:
    assert "diseased knees, observed (%), 95 % interval" in texts(
        reliability_figure(BINS, title="")
    )
    assert "diseased knees, observed (%)" in texts(reliability_figure(BINS[1:], title=""))


def test_full_and_empty_figures_can_be_read() -> None:
    full = [
        ReliabilityBin((i / 10, (i + 1) / 10), i / 10 + 0.02, Estimate(1 - i / 10), 1000 + i)
        for i in range(10)
    ]
    assert not overlapping(reliability_figure(full, title="Any disease", stamp="PHANTOM"))
    assert not overlapping(reliability_figure([], title="Any disease"))
