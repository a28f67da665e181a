"""The page over all graded scans."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from djd.predict.pages import index_page
from tests.browser import Browser, started_browser

STAMP = "PHANTOM: invented scans, not patients"


def knee(scan: str, side: str, grade: int, expected: float, flags: str = "") -> dict[str, str]:
    names = ("normal", "minimal", "mild", "moderate", "severe")
    values = {"predicted": str(grade), "name": names[grade], "expected": str(expected)}
    picture = "pictures/무릎 #1.png" if scan == "0000001" else ""
    there = {"scan": scan, "file": f"/{scan}.mat", "picture": picture}
    return {**there, "side": side, "flags": flags, "error": "", **values}


def rows() -> list[dict[str, str]]:
    return [
        knee("0000001", "right", 1, 1.2),
        knee("0000001", "left", 3, 2.6, "flat; unlike"),
        knee("무릎 <b>", "right", 0, 0.3),
        knee("무릎 <b>", "left", 0, 0.1),
        {**dict.fromkeys(knee("", "", 0, 0), ""), "scan": "bad", "error": "bad.mat: <cut>"},
    ]


def page(**changed: object) -> str:
    return index_page(rows(), **{"model": "model 1234", "stamp": STAMP, **changed})  # type: ignore[arg-type]


def test_a_scan_is_a_row_with_its_worse_knee_and_flags() -> None:
    found = re.findall(r"<tr( class=\"\w+\")?><th scope=\"row\"", page())
    assert found == [' class="doubtful"', ""]
    cells = re.findall(r"<td>(.*?)</td>", page())
    assert cells[:6] == [
        *("3 moderate (2.6)", "left", "1 minimal (1.2)", "3 moderate (2.6)"),
        *("1.4", "flat, unlike"),
    ]
    assert cells[6:] == ["0 normal (0.3)", "right", "0 normal (0.3)", "0 normal (0.1)", "0.2", "-"]


def test_names_and_errors_are_text_and_no_markup() -> None:
    assert "<b>" not in page()
    assert "무릎 &lt;b&gt;" in page()
    assert "bad.mat: &lt;cut&gt;" in page()


def test_every_page_says_research_use_only_and_its_stamp() -> None:
    assert f"{STAMP}. Research use only, not a medical device." in page()
    assert "PHANTOM" not in page(stamp=None)
    assert "Research use only" in page(stamp=None)


def test_what_was_graded_is_counted() -> None:
    assert "2 scans graded, 1 with a doubtful knee." in page()
    assert "Not graded" in page()
    assert "0 scans graded" in index_page([], model="m", stamp=None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started_browser() as started:
        yield started


@pytest.mark.slow
def test_a_click_shows_the_picture_and_a_head_sorts(browser: Browser, tmp_path: Path) -> None:
    other = [{**row, "picture": "2.png"} if "무릎" in row["scan"] else row for row in rows()]
    (tmp_path / "index.html").write_text(index_page(other, model="m", stamp=STAMP))
    browser.open(tmp_path / "index.html", width=1280)
    browser.ask("document.querySelector('tbody a').click()")
    shown = "return document.querySelector('dialog[open] img').getAttribute('src')"
    assert browser.ask(shown) == "pictures/%EB%AC%B4%EB%A6%8E%20%231.png"
    browser.ask("document.querySelector('[value=next]').click()")
    assert browser.ask(shown) == "2.png"
    browser.ask("document.querySelector('dialog').close()")
    browser.ask("document.querySelectorAll('thead button')[1].click()")
    grades = (
        "return [...document.querySelectorAll('tbody tr')].map(row => row.cells[1].textContent)"
    )
    assert browser.ask(grades) == ["3 moderate (2.6)", "0 normal (0.3)"]
    browser.ask("document.querySelectorAll('thead button')[1].click()")
    assert browser.ask(grades) == ["0 normal (0.3)", "3 moderate (2.6)"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_never_scrolls_sideways(browser: Browser, tmp_path: Path, width: int) -> None:
    (tmp_path / "index.html").write_text(page())
    browser.open(tmp_path / "index.html", width=width)
    assert browser.ask("return document.documentElement.scrollWidth") == width
    browser.keep_screenshot(f"graded-{width}")
