"""The page of a check as text."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from djd.check.cohort_problems import Checked, Choices, checked
from djd.check.kinds import COPY, KINDS
from djd.check.page import check_page
from djd.check.problems import Problem
from djd.data.scan import ScanFiles
from djd.data.scan_files import ScanFolder
from tests.check.test_cohort_problems import LOOK
from tests.invented import cycling_grades, invented_cohort

EVIL = "<img src=x onerror=alert(1)>\"'&"


def page(found: Checked, **changed: object) -> str:
    root = found.cohort.root
    scans = ScanFolder(
        root, tuple(ScanFiles(name, (root / f"{name}.mat",)) for name in found.cohort.scans)
    )
    values = {"pictures": "그림 #1", "black": 50.0, "train_line": "python train.py", **changed}
    return check_page(found, scans, **values)  # type: ignore[arg-type]


def cohort_of(scans: int, names: tuple[str, ...] | None = None) -> Checked:
    cohort = invented_cohort(cycling_grades(scans))
    if names:
        cohort = replace(cohort, scans=names, patients=names)
    return checked(cohort, dict.fromkeys(cohort.scans, LOOK), Choices(test_count=1))


def test_a_cohort_without_problems_says_so() -> None:
    text = page(cohort_of(10))
    assert "no problem was found" in text
    assert "No problem was found." in text
    assert "Every problem" not in text
    assert text.count('class="scan"') == 10


def test_names_are_text_and_addresses_are_quoted() -> None:
    names = tuple(f"{EVIL}{number}" for number in range(9))
    problem = Problem(COPY, EVIL, names[0])
    found = replace(cohort_of(9, names), problems=[problem])
    text = page(found, train_line=EVIL)
    assert "<img src=x" not in text
    assert "onerror" in text
    assert 'src="%EA%B7%B8%EB%A6%BC%20%231/a.png"' in text


def test_the_most_suspicious_scan_comes_first() -> None:
    found = cohort_of(10)
    scans = found.cohort.scans
    problems = [Problem(KINDS[-2], "x", scans[2]), Problem(COPY, "y", scans[5])]
    text = page(replace(found, problems=problems))
    order = re.findall(r"<h3>(\d+)</h3>", text)
    assert order[:2] == [scans[5], scans[2]]
    assert order[2:] == [scan for scan in scans if scan not in order[:2]]
    assert f'href="#scan-{scans.index(scans[5])}"' in text


def test_every_kind_says_why_it_matters_and_what_to_do() -> None:
    problems = [Problem(kind, "x", "0000001") for kind in KINDS]
    text = page(replace(cohort_of(9), problems=problems))
    for kind in KINDS:
        assert kind.why.endswith(".")
        assert kind.to_do.endswith(".")
        assert kind.why.replace("'", "&#39;") in text
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_two_thousand_scans_make_a_page_of_less_than_3_megabytes() -> None:
    scans = tuple(f"{number:07d}" for number in range(1, 2001))
    cohort = replace(
        invented_cohort(cycling_grades(1)),
        scans=scans,
        patients=scans,
        grades=cycling_grades(2000).reshape(-1),
        scan_index=np.repeat(np.arange(2000), 2),
        side_index=np.tile(np.arange(2), 2000),
    )
    problems = [Problem(COPY, "0000001: the same pixels", scan) for scan in scans]
    found = Checked(
        cohort, dict.fromkeys(scans, replace(LOOK, picture=f"{'0' * 16}.png")), problems
    )
    text = page(found, pictures="check_pictures/01234567")
    assert len(text.encode()) < 3e6


def test_the_page_is_in_the_package() -> None:
    folder = Path(__file__).parents[2] / "djd" / "check"
    assert {path.suffix for path in folder.glob("check.*")} == {".css", ".js", ".j2"}
