"""The page of a sweep in a browser: on a phone, on a desk, on paper, and without scripts."""

import re
import zlib
from pathlib import Path

import pytest

from tests.browser import Browser
from tests.report.page.parsed import Element, cells_of, parsed
from tests.sweeping import Sweep

PHONE, DESK = 360, 1280

VISIBLE_TEXTS = """
const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode, element = node.parentElement;
  if (!node.textContent.trim() || element.closest("script, style")) continue;
  if (!element.checkVisibility()) continue;
  const style = getComputedStyle(element);
  let behind = element, background = "rgba(0, 0, 0, 0)";
  while (behind && background === "rgba(0, 0, 0, 0)") {
    background = getComputedStyle(behind).backgroundColor;
    behind = behind.parentElement;
  }
  if (background === "rgba(0, 0, 0, 0)") background = "rgb(255, 255, 255)";
  found.push([node.textContent.trim(), style.color, background, parseFloat(style.fontSize)]);
}
return found;
"""


@pytest.fixture(scope="module")
def path(sweep: Sweep) -> Path:
    return sweep.folder / "report.html"


@pytest.fixture(scope="module")
def html(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_nothing_sticks_out_of_windows_of_other_widths(browser: Browser, path: Path) -> None:
    for width in (390, 768, 1000, 1920):
        browser.open(path, width=width)
        require_fit(browser, width)


@pytest.fixture(params=[PHONE, DESK])
def width(request: pytest.FixtureRequest, browser: Browser, path: Path) -> int:
    """The page is open this wide."""
    browser.open(path, width=request.param)
    return int(request.param)


def test_the_page_fits_its_window_and_is_kept_as_a_picture(browser: Browser, width: int) -> None:
    browser.keep_screenshot(f"report-{width}")
    require_fit(browser, width)


def require_fit(browser: Browser, width: int) -> None:
    """Make sure that nothing sticks out of the window but what can be scrolled to."""
    assert browser.ask("return innerWidth") == width
    assert browser.ask("return document.documentElement.scrollWidth") <= width
    beyond = browser.ask(
        """
        return [...document.body.querySelectorAll("*")].filter(each =>
          !each.closest(".scroll > *, details:not([open]) > :not(summary)") &&
          each.getBoundingClientRect().right > innerWidth + 1
        ).map(each => each.outerHTML.slice(0, 80));
        """
    )
    assert beyond == []


def test_a_desktop_is_used_from_side_to_side(browser: Browser, path: Path) -> None:
    browser.open(path, width=DESK)
    boxes = browser.ask(
        """
        return [...document.querySelectorAll("main section")].map(each => {
          const parts = [...each.querySelectorAll("p, li, img, table, dl")];
          const boxes = parts.map(part => part.getBoundingClientRect());
          return [each.querySelector("h2").id, Math.min(...boxes.map(box => box.left)),
            Math.max(...boxes.map(box => box.right))];
        });
        """
    )
    sides = {name: (left, right) for name, left, right in boxes}
    for name in ("answer", "flow", "settings", "grades", "knees", "scores"):
        left, right = sides[name]
        assert right - left > 0.85 * DESK, name
    assert sides["made"][0] < DESK / 3
    assert sides["words"][1] > 0.9 * DESK
    lines = browser.ask(
        "return [...document.querySelectorAll('p:not(.stamp)')].map(e => "
        "e.getBoundingClientRect().width / parseFloat(getComputedStyle(e).fontSize))"
    )
    assert max(lines) <= 53, "a line of text that can be read"


def test_answer_and_stamp_are_on_the_first_screen(browser: Browser, width: int) -> None:
    for selector in (".stamp", "h1", ".answer"):
        box = browser.ask(
            "return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()", selector
        )
        assert box["height"] > 0
        assert box["top"] >= 0, selector
        assert box["bottom"] <= 740, selector


def test_text_is_large_and_dark_enough(browser: Browser, width: int) -> None:
    texts = browser.ask(VISIBLE_TEXTS)
    assert len(texts) > 100
    assert [each for each in texts if each[3] < 12] == []
    faint = [each for each in texts if contrast(each[1], each[2]) < 4.5]
    assert faint == []


def contrast(one: str, other: str) -> float:
    """Ratio of luminances, from 1 to 21; the formula of WCAG 2."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    found = re.fullmatch(r"rgb\((\d+), (\d+), (\d+)\)", colour)
    assert found, f"{colour}: only colours that nothing shines through can be judged"
    parts = [int(part) / 255 for part in found.groups()]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_the_measure_of_contrast_is_that_of_the_standard() -> None:
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("rgb(119, 119, 119)", "rgb(255, 255, 255)") == pytest.approx(4.48, abs=0.01)


def test_wide_tables_scroll_inside_their_own_region(browser: Browser, width: int) -> None:
    regions = browser.ask(
        """
        return [...document.querySelectorAll("table")].map(table => {
          const region = table.closest("[role=region]"), wide = region.scrollWidth;
          region.scrollLeft = 10000;
          const box = region.getBoundingClientRect();
          return [wide - region.clientWidth, region.scrollLeft, box.left, box.right, scrollX];
        });
        """
    )
    assert len(regions) >= 4
    for hidden, scrolled, left, right, page_scrolled in regions:
        assert scrolled == pytest.approx(hidden, abs=1)
        assert left >= 0
        assert right <= width + 0.5
        assert page_scrolled == 0
    assert any(hidden > 0 for hidden, *_ in regions) == (width == PHONE)


def test_figures_are_as_wide_as_there_is_room(browser: Browser, width: int) -> None:
    sizes = browser.ask(
        """
        return [...document.querySelectorAll("img")].map(each => {
          const box = each.getBoundingClientRect();
          return [box.left, box.right, box.height];
        });
        """
    )
    assert len(sizes) > 5
    for left, right, height in sizes:
        assert 0 <= left < right <= width
        assert right - left >= 250
        assert height > 100


def test_without_scripts_nothing_is_missing(browser: Browser, path: Path, html: str) -> None:
    browser.open(path, width=PHONE)
    assert browser.ask("return document.querySelectorAll('th button').length") > 0
    with_scripts = shown(browser)
    browser.open(path, width=PHONE, scripts=False)
    try:
        bare = shown(browser)
        assert not bare.all("button")
        assert bare.text == with_scripts.text == parsed(html).first("body").text
        assert [cells_of(each) for each in bare.all("table")] == [
            cells_of(each) for each in parsed(html).all("table")
        ]
        assert len(bare.all("img")) == html.count("<img ")
    finally:
        browser.order("Emulation.setScriptExecutionDisabled", value=False)


def shown(browser: Browser) -> Element:
    """The page as the browser has it now."""
    root = browser.order("DOM.getDocument", depth=0)["root"]
    outer = browser.order("DOM.getOuterHTML", nodeId=root["nodeId"])["outerHTML"]
    return parsed(outer).first("body")


def test_it_prints_on_a_few_pages_none_of_them_blank(browser: Browser, path: Path) -> None:
    browser.open(path, width=DESK)
    pages = printed_pages(browser.pdf())
    assert 3 <= len(pages) <= 16
    for number, content in enumerate(pages, start=1):
        drawn = len(re.findall(rb"\bT[jJ]\b", content))
        assert drawn >= 3, f"page {number} of {len(pages)} has {drawn} pieces of text"


def printed_pages(pdf: bytes) -> list[bytes]:
    """What is drawn on each page of a PDF as Chromium writes it, which hides no objects."""
    objects = {
        int(found[1]): found[2]
        for found in re.finditer(rb"(?s)\n(\d+) 0 obj\s*(.*?)\s*endobj", pdf)
    }
    pages = [each for each in objects.values() if re.search(rb"/Type\s*/Page\b", each)]
    (count,) = [
        int(found[1]) for each in objects.values()
        if re.search(rb"/Type\s*/Pages\b", each) and b"/Parent" not in each
        and (found := re.search(rb"/Count (\d+)", each))
    ]  # fmt: skip
    assert len(pages) == count
    return [_stream(objects[int(_one(rb"/Contents (\d+) 0 R", page))]) for page in pages]


def _one(pattern: bytes, text: bytes) -> bytes:
    (found,) = re.findall(pattern, text)
    return bytes(found)


def _stream(content: bytes) -> bytes:
    head, _, body = content.partition(b"stream\n")
    return zlib.decompress(body) if b"/FlateDecode" in head else body
