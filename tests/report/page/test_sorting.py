"""Tables of the page sort by any column, and what is missing never comes first."""

from pathlib import Path

import pytest

from djd.report.page.page import page
from tests.answers import Told
from tests.browser import Browser


@pytest.fixture
def before(browser: Browser, compared: Told, tmp_path: Path) -> list[list[str]]:
    """The ranking as it came, of a page that is open."""
    path = tmp_path / "report.html"
    path.write_text(page(*compared, {}), encoding="utf-8")
    browser.open(path, width=1280)
    return order_of(browser)


def order_of(browser: Browser) -> list[list[str]]:
    rows = browser.ask(
        """
        return [...document.querySelector("table[data-sortable]").tBodies[0].rows].map(
          row => [...row.cells].map(cell => cell.textContent.trim()));
        """
    )
    return [[str(cell) for cell in row] for row in rows]


def press(browser: Browser, column: int) -> list[str]:
    """Sort by a column, and say what each head then tells of the order."""
    states: list[str] = browser.ask(
        """
        const heads = [...document.querySelector("table[data-sortable]").tHead.rows[0].cells];
        heads[arguments[0]].querySelector("button").click();
        return heads.map(head => head.getAttribute("aria-sort"));
        """,
        column,
    )
    return states


def sorted_by_hand(cells: list[str], *, descending: bool) -> list[str]:
    """Numbers by size, then words by alphabet, then what is missing."""
    numbers = [cell for cell in cells if cell.split()[0].replace(".", "").lstrip("-").isdigit()]
    words = [cell for cell in cells if cell not in numbers and cell != "-"]
    numbers.sort(key=lambda cell: float(cell.split()[0]), reverse=descending)
    return [*numbers, *sorted(words, reverse=descending), *(["-"] * cells.count("-"))]


def test_heads_sort_numbers_and_words_and_say_so(browser: Browser, before: list[list[str]]) -> None:
    assert [row[0] for row in before][-2:] == ["uptake", "second reader"]
    for column in range(len(before[0])):
        # The best comes up first: the first rank, the largest of all else.
        states_of = ("ascending", "descending") if column == 0 else ("descending", "ascending")
        for state in states_of:
            states = press(browser, column)
            assert states.pop(column) == state
            assert set(states) == {"none"}
            rows = order_of(browser)
            assert sorted(rows) == sorted(before), "no row is lost or changed"
            cells = [row[column] for row in rows]
            assert cells == sorted_by_hand(cells, descending=state == "descending")
    press(browser, 0)
    assert order_of(browser)[:-2] == before[:-2], "the order that the page came with is found again"


def test_heads_are_buttons_for_the_keyboard_too(browser: Browser, before: list[list[str]]) -> None:
    states = "return [...document.querySelectorAll('th[aria-sort]')].map(e => e.ariaSort)"
    assert set(browser.ask(states)) == {"none"}
    browser.ask("document.querySelectorAll('th button')[1].focus()")
    for kind in ("keyDown", "keyUp"):
        browser.order(
            "Input.dispatchKeyEvent",
            type=kind,
            key="Enter",
            code="Enter",
            text="\r",
            windowsVirtualKeyCode=13,
        )
    assert browser.ask(states)[1] == "descending"
    depths = [row[1] for row in order_of(browser)]
    assert depths == sorted_by_hand(depths, descending=True)


def test_tables_that_have_no_order_of_their_own_have_no_buttons(
    browser: Browser, before: list[list[str]]
) -> None:
    others = "return document.querySelectorAll('table:not([data-sortable]) button').length"
    assert browser.ask("return document.querySelectorAll('table').length") > 2
    assert browser.ask(others) == 0
