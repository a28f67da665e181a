import numpy as np
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb

from djd.plots.risk_coverage import risk_coverage_figure
from djd.plots.style import BLUE, ORANGE
from djd.statistics.intervals import Estimate
from djd.statistics.risk_coverage import SHARES, RiskCurve
from tests.plots.drawn import overlapping, texts


def curve(height: float) -> RiskCurve:
    risks = [Estimate(height * share, 0.0, height) for share in SHARES]
    return RiskCurve(tuple(risks), Estimate(height / 2))


PANELS = {
    "ranked probability score": {"network": curve(0.1), "uptake": curve(0.2)},
    "wrong grades": {"network": curve(0.5), "uptake": curve(0.6)},
}


def test_lines_are_risks_at_their_shares_and_told_apart_without_colour() -> None:
    figure = risk_coverage_figure(PANELS, title="Error")
    for axes, curves in zip(figure.axes, PANELS.values(), strict=True):
        assert [line.get_color() for line in axes.lines] == [BLUE, ORANGE]
        assert len({line.get_linestyle() for line in axes.lines}) == 2
        for line, (name, each) in zip(axes.lines, curves.items(), strict=True):
            assert line.get_label() == name
            points = [
                (100 * share, risk.value) for share, risk in zip(SHARES, each.risks, strict=True)
            ]
            np.testing.assert_allclose(np.asarray(line.get_xydata()), points)


def test_only_the_first_band_is_filled_and_both_reach_their_intervals() -> None:
    axes = risk_coverage_figure(PANELS, title="Error").axes[1]
    bands = [each for each in axes.collections if isinstance(each, PolyCollection)]
    assert [len(np.asarray(band.get_facecolor())) for band in bands] == [1, 0]
    np.testing.assert_allclose(np.asarray(bands[0].get_facecolor())[0, :3], to_rgb(BLUE))
    for band, height in zip(bands, (0.5, 0.6), strict=True):
        corners = np.concatenate([path.vertices for path in band.get_paths()])
        assert (corners[:, 1].min(), corners[:, 1].max()) == (0, height)


def test_a_panel_may_lack_the_second_grader_and_all_can_be_read() -> None:
    without = {**PANELS, "ranked probability score": {"network": curve(0.1)}}
    for panels in (PANELS, without):
        figure = risk_coverage_figure(panels, title="Error by the share kept", stamp="PHANTOM")
        assert not overlapping(figure)
        shown = texts(figure)
        assert {"PHANTOM", "network", "uptake", *panels} <= set(shown)
