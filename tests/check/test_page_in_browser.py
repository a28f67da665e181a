"""The page of a check in a browser: on a phone, on a desk, on paper, and without scripts."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from djd.check.cohort_problems import Choices, checked
from djd.check.looks import look_at
from djd.check.page import check_page
from djd.check.pictures import HEIGHT, WIDTH, set_black
from djd.data.scan import Scan, ScanFiles
from djd.data.scan_files import ScanFolder
from tests.browser import Browser, started_browser
from tests.invented import cycling_grades, invented_cohort
from tests.predict.invented_scans import invented_scan

pytestmark = pytest.mark.slow

SHOWN = (
    """return [...document.querySelectorAll(".scan:not([hidden]) h3")].map(e => e.textContent)"""
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with started_browser() as started:
        yield started


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve scans: the third is upside down, the fifth has swapped views."""
    folder = tmp_path_factory.mktemp("점검 (1)")
    cohort = invented_cohort(cycling_grades(12))
    counts = invented_scan(101, "soft").counts
    turned = {cohort.scans[2]: counts[:, ::-1, ::-1], cohort.scans[4]: counts[::-1]}
    looks = {}
    for scan in cohort.scans:
        image = np.ascontiguousarray(turned.get(scan, counts))
        read = Scan(scan, image, (None, None), None)
        files = ScanFiles(scan, ())
        looks[scan] = look_at(files, read, placement="study", pictures=folder)
        set_black(folder / looks[scan].picture, 60.0)
    found = checked(cohort, looks, Choices(test_count=2))
    files_of = tuple(ScanFiles(name, (cohort.root / f"{name}.mat",)) for name in cohort.scans)
    scans = ScanFolder(cohort.root, files_of)
    text = check_page(found, scans, pictures=".", black=60.0, train_line="python train.py")
    (folder / "check.html").write_text(text, encoding="utf-8")
    return folder / "check.html"


def choose(browser: Browser, name: str, value: str) -> None:
    browser.ask(
        "const field = document.querySelector('.choose').elements[arguments[0]];"
        "field.value = arguments[1];"
        "field.dispatchEvent(new Event(field.tagName === 'INPUT' ? 'input' : 'change'))",
        *(name, value),
    )


def test_scans_are_sorted_and_chosen(browser: Browser, page: Path) -> None:
    browser.open(page, width=1280)
    names = [f"{number:07d}" for number in range(1, 13)]
    suspicious = ["0000003", "0000005"]
    rest = [name for name in names if name not in suspicious]
    assert browser.ask(SHOWN) == suspicious + rest
    choose(browser, "sort", "name")
    assert browser.ask(SHOWN) == names
    choose(browser, "sort", "grade")
    assert browser.ask(SHOWN)[:2] == ["0000003", "0000005"], "grades 0 1, 2 3, 4 0, 1 2, 3 4"
    assert browser.ask(SHOWN)[-1] == "0000011", "grades 0 1 again"
    choose(browser, "kind", "any")
    choose(browser, "sort", "suspicion")
    assert browser.ask(SHOWN) == suspicious
    choose(browser, "kind", "none")
    assert browser.ask(SHOWN) == rest
    choose(browser, "find", "0000003")
    assert browser.ask(SHOWN) == []
    assert browser.ask("return document.querySelector('.empty').checkVisibility()")
    assert browser.ask("return document.querySelector('output').textContent") == "0 of 12 shown"
    browser.ask("document.querySelector('.problems td a[href^=\"#scan\"]').click()")
    browser.ask("return new Promise(done => setTimeout(done, 200))")
    assert browser.ask(SHOWN) == suspicious + rest, "a link to a hidden scan shows all"


def test_problems_are_sorted_by_their_heads(browser: Browser, page: Path) -> None:
    browser.open(page, width=1280)
    scans = (
        "return [...document.querySelectorAll('.problems tbody tr')].map(e => e.cells[3].innerText)"
    )
    assert browser.ask(scans) == ["0000003", "0000005"]
    head = "document.querySelectorAll('.problems thead button')[3].click()"
    browser.ask(head)
    assert browser.ask(scans) == ["0000005", "0000003"]


@pytest.mark.parametrize("width", [360, 390, 1280])
def test_nothing_scrolls_sideways_and_pictures_keep_their_place(
    browser: Browser, page: Path, width: int
) -> None:
    browser.open(page, width=width)
    assert browser.ask("return document.documentElement.scrollWidth") == width
    size = browser.ask(
        "const box = document.querySelector('.scan img').getBoundingClientRect();"
        "return [box.width, box.height]"
    )
    assert size[0] <= width - 32
    assert size[1] / size[0] == pytest.approx(HEIGHT / WIDTH, rel=0.02)
    browser.keep_screenshot(f"check-{width}")


def test_every_picture_is_printed_with_its_colours(browser: Browser, page: Path) -> None:
    browser.open(page, width=1280)
    printed = browser.pdf()
    assert printed.count(b"/Subtype /Image") >= 12
    browser.open(page, width=794, on_paper=True)
    kept = "return getComputedStyle(document.querySelector('.scan img')).printColorAdjust"
    assert browser.ask(kept) == "exact"
    assert not browser.ask("return document.querySelector('.choose').checkVisibility()")


def test_without_scripts_all_scans_are_shown_and_no_field_that_does_nothing(
    browser: Browser, page: Path
) -> None:
    browser.open(page, width=1280, scripts=False)
    assert len(browser.ask(SHOWN)) == 12
    assert not browser.ask("return document.querySelector('.choose').checkVisibility()")


def test_fields_have_labels_and_are_reached_by_the_keyboard(browser: Browser, page: Path) -> None:
    browser.open(page, width=1280)
    fields = browser.ask(
        "return [...document.querySelectorAll('.choose select, .choose input')]"
        ".map(e => [e.labels.length, e.tabIndex])"
    )
    assert fields == [[1, 0]] * 3
    pictures = browser.ask(
        "return [...document.querySelectorAll('.scan img')].map(e => [e.alt.length > 20,"
        " e.closest('a').tabIndex])"
    )
    assert pictures == [[True, 0]] * 12
