"""The page of very many settings in a browser: nothing runs out of it, on screen or on paper."""

from dataclasses import replace
from pathlib import Path

import pytest

from djd.report.page.page import page
from tests.browser import Browser
from tests.report.page.conftest import DrawnPage
from tests.report.page.test_page import EVIL
from tests.test_report_in_browser import printed_pages, require_fit


@pytest.fixture
def path(large: DrawnPage, tmp_path: Path) -> Path:
    path = tmp_path / "report.html"
    path.write_text(large.html, encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [360, 1280])
def test_very_many_settings_fit_folded_and_unfolded(
    browser: Browser, large: DrawnPage, path: Path, width: int
) -> None:
    browser.open(path, width=width)
    require_fit(browser, width)
    browser.keep_screenshot(f"large-{width}")
    rows = (
        "return [...document.querySelectorAll('tbody tr')].filter(e => e.checkVisibility()).length"
    )
    folded = browser.ask(rows)
    browser.ask("document.querySelector('summary').click()")
    assert (
        browser.ask(rows)
        == folded + 108 + len(large.answer.findings.baselines if large.answer.findings else ()) + 1
    )
    require_fit(browser, width)


def test_long_names_and_reasons_are_broken_not_cut(
    browser: Browser, large: DrawnPage, tmp_path: Path
) -> None:
    findings = large.answer.findings
    assert findings
    axes = {f"a.{'very_' * 6}long_key_{n}": f"{EVIL[1]}{'x' * 60}" for n in range(6)}
    settings = [
        replace(each, setting=replace(each.setting, axes=axes)) for each in findings.settings[:3]
    ]
    effects = [replace(each, name="k" * 90) for each in findings.effects]
    findings = replace(findings, settings=tuple(settings), effects=tuple(effects))
    notes = (f"left out: {'/a_very_long_path' * 12}: no",)
    answer = replace(large.answer, findings=findings, notes=notes)
    failed = ((large.contents.cells[0], f"E: {'y' * 300}"),)
    path = tmp_path / "report.html"
    path.write_text(page(replace(large.contents, failed=failed), answer, {}), encoding="utf-8")
    browser.open(path, width=360)
    require_fit(browser, 360)


def test_very_many_settings_are_printed_without_a_blank_page(browser: Browser, path: Path) -> None:
    browser.open(path, width=1280)
    pages = printed_pages(browser.pdf())
    assert 5 <= len(pages) <= 20
    for number, content in enumerate(pages, start=1):
        assert content.count(b"Tj") + content.count(b"TJ") >= 3, f"page {number} is blank"


A4 = 688
"""CSS pixels between the margins."""


def test_tables_and_figures_are_not_cut_on_paper(browser: Browser, path: Path) -> None:
    browser.open(path, width=A4, on_paper=True)
    browser.ask("document.querySelector('details').open = true")
    require_fit(browser, A4)
    wide = browser.ask(
        """
        return [...document.querySelectorAll("table, img")].map(
          each => each.getBoundingClientRect().right).filter(right => right > innerWidth + 1);
        """
    )
    assert wide == []


@pytest.mark.parametrize(("width", "on_paper"), [(1280, False), (A4, True)])
def test_why_a_cell_failed_can_be_read_without_scrolling(
    browser: Browser, large: DrawnPage, tmp_path: Path, width: int, on_paper: bool
) -> None:
    reason = f"InputError: /scans/{'x' * 150}.mat: expected {'a number and ' * 20}received none"
    path = tmp_path / "report.html"
    contents = replace(large.contents, failed=((large.contents.cells[0], reason),))
    path.write_text(page(contents, large.answer, {}), encoding="utf-8")
    browser.open(path, width=width, on_paper=on_paper)
    right, font_size, height = browser.ask(
        """
        const cell = document.querySelector("section[aria-labelledby=missing] td:last-child");
        const size = parseFloat(getComputedStyle(cell).fontSize);
        const box = cell.getBoundingClientRect();
        return [box.right, size, box.height];
        """
    )
    assert right <= width
    assert 2 * font_size < height < 15 * font_size, "some lines, and no column of letters"
