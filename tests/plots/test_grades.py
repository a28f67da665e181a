from math import nan

import pytest

from djd.grades import GRADE_NAMES
from djd.plots.grades import grades_figure
from djd.plots.style import BLUE, ORANGE
from djd.statistics.intervals import Estimate
from tests.plots.drawn import dots, overlapping, whiskers

UNKNOWN = Estimate(nan)
RECALL = [Estimate(0.85, 0.64, 0.95), Estimate(0.25), Estimate(0.0, 0, 0.2), UNKNOWN, UNKNOWN]
SCORES = {
    **{f"recall_{name}": share for name, share in zip(GRADE_NAMES, RECALL, strict=True)},
    **{f"precision_{name}": Estimate(0.1 * grade) for grade, name in enumerate(GRADE_NAMES)},
}
KNEES = {"test": [20, 24, 17, 0, 11], "out of fold": [70, 43, 26, 16, 10]}


def test_recall_and_precision_of_each_grade_are_percentages_in_its_row() -> None:
    recall, precision = grades_figure({"test": SCORES}, KNEES, title="Grades").axes
    assert [(dot.x, dot.y) for dot in dots(recall)] == [(85, 0), (25, 1), (0, 2)]
    assert whiskers(recall) == [(64, 95, 0), (0, 20, 2)]
    assert [dot.x for dot in dots(precision)] == pytest.approx([0, 10, 20, 30, 40])
    assert [dot.y for dot in dots(precision)] == [0, 1, 2, 3, 4]
    undefined = [text.get_position()[1] for text in recall.texts if text.get_text() == "undefined"]
    assert undefined == [3, 4]
    assert not precision.texts


def test_grades_tell_their_knees_and_only_minimal_is_bold() -> None:
    figure = grades_figure({"out of fold": SCORES, "test": SCORES}, KNEES, title="Grades")
    ticks = figure.axes[0].get_yticklabels()
    assert [tick.get_text() for tick in ticks] == [
        f"{name}\n({count})"
        for name, count in zip(
            GRADE_NAMES, ["70 + 20", "43 + 24", "26 + 17", "16 + 0", "10 + 11"], strict=True
        )
    ]
    bold = [tick.get_text() for tick in ticks if tick.get_fontweight() == "bold"]
    assert bold == ["minimal\n(43 + 24)"]


def test_two_parts_of_a_grade_lie_apart_in_its_row_and_look_different() -> None:
    figure = grades_figure({"out of fold": SCORES, "test": SCORES}, KNEES, title="Grades")
    upper, lower = (
        [dot for dot in dots(figure.axes[0]) if dot.colour == colour] for colour in (BLUE, ORANGE)
    )
    assert [round(dot.y) for dot in upper] == [round(dot.y) for dot in lower] == [0, 1, 2]
    assert all(one.y < other.y for one, other in zip(upper, lower, strict=True))
    assert {dot.filled for dot in upper} == {True}
    assert {dot.filled for dot in lower} == {False}
    assert not overlapping(figure)
