from dataclasses import dataclass, replace

import pytest

from djd.plots.style import figure_png
from djd.report.answer import Answer
from djd.report.page.page import image, page
from djd.report.page.plots import Plot, plots
from djd.sweeps.sweep import Sweep
from tests.answers import Told
from tests.report.page.parsed import Element, parsed


@dataclass(frozen=True, eq=False)
class DrawnPage:
    """A page with all its figures."""

    contents: Sweep
    answer: Answer
    drawn: dict[str, Plot]
    html: str
    read: Element


@pytest.fixture(scope="session")
def large(compared: Told) -> DrawnPage:
    """The page of more than a hundred settings with every figure; not to be changed."""
    contents, answer = compared
    assert answer.findings
    settings = answer.findings.settings * 9
    assert len(settings) > 100
    answer = replace(answer, findings=replace(answer.findings, settings=settings))
    drawn = plots(answer, stamp=contents.stamp)
    images = {
        name: image(figure_png(each.figure, width=each.width), alt=each.alt)
        for name, each in drawn.items()
    }
    html = page(contents, answer, images)
    return DrawnPage(contents, answer, drawn, html, parsed(html))
