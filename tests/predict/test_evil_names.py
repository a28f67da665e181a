"""Names of scans that are markup, formulas or addresses elsewhere: text in tables and pages."""

import csv
import json
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest

from djd.csv_files import csv_lines
from djd.data.phantom.cohort import make_cohort
from djd.data.tables import read_names
from tests.finished_run import FinishedRun
from tests.report.page.parsed import Element, parsed
from tests.sweeping import rows_of
from tests.test_cli import run_djd

EVIL = (
    *("<img src=x onerror=alert(1)>", "</script>", "\"'&#a%20?", "=1+1", "[red]가[/red]"),
    *("-2+3", "@a\x1b[31mb\n$\\x$"),
)
FOLDER = "<b>스캔 & #1"
"""Names of files; a name with a slash lies in subfolders."""


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("evil")
    make_cohort(place / "one", patients=1, seed=7, style="soft")
    (source,) = (place / "one").glob("*.mat")
    folder = place / FOLDER
    for name in EVIL:
        path = folder / f"{name}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, path)
    (folder / "<i>cut.mat").write_bytes(b"hello")
    return folder


def require_text_alone(page: str, *names: str) -> Element:
    """Of a page: no elements out of names, no scripts but its own, and the names as text."""
    read = parsed(page)
    assert len(read.all("script")) == 1
    assert "alert" not in "".join(map(str, read.first("script").children))
    assert not read.all("i", "b")
    for element in read.everything():
        assert not [key for key in element.attributes if key.startswith("on")]
        for key in ("href", "src"):
            address = element.attributes.get(key) or ""
            assert not address.lower().startswith(("javascript", "x", "http")), address
    for name in names:
        assert name in read.text
    return read


def test_predicted_names_are_text_in_table_page_and_links(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    finished: FinishedRun,
    scans: Path,
    tmp_path: Path,
) -> None:
    command = ("predict", finished.folder, scans, "--out", tmp_path)
    assert run_djd(monkeypatch, *command) == 1  # of the scan that is cut
    said = capsys.readouterr().out
    assert not {"\x1b", "\x07"} & set(said)
    for name in ("predictions.csv", "patients.csv"):
        content = (tmp_path / name).read_bytes()
        assert content.startswith(b"\xef\xbb\xbf")  # of the Korean names
        with (tmp_path / name).open(newline="", encoding="utf-8-sig") as file:
            cells = [cell for line in csv.reader(file) for cell in line]
        assert not [cell for cell in cells if cell[:1] in tuple("=+@\t\r") or cell == "-2+3"]
    head, *lines = csv_lines(tmp_path / "predictions.csv")
    rows = [dict(zip(head, line, strict=True)) for line in lines]
    graded = {row["scan"] for row in rows if not row["error"]}
    assert graded == set(EVIL)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    shown = [name for name in EVIL if "\n" not in name and "/" not in name]
    read = require_text_alone(page, *shown, "</script>", "[red]가[/red]", "<i>cut.mat")
    links = [str(each.attributes["href"]) for each in read.all("a")]
    assert len(links) == len(EVIL)
    for link in links:
        assert not {"#", "?", '"', "<", " "} & set(link)
        assert (tmp_path / unquote(link)).is_file()
    before = (tmp_path / "predictions.csv").read_bytes()
    capsys.readouterr()
    assert run_djd(monkeypatch, *command) == 1
    assert (
        f"{len(EVIL)} scans graded ({len(EVIL)} of them before)"
        in capsys.readouterr().out.replace("\n", " ")
    )
    assert (tmp_path / "predictions.csv").read_bytes() == before


def test_scored_names_are_text_in_table_and_page(
    monkeypatch: pytest.MonkeyPatch, finished: FinishedRun, scans: Path, tmp_path: Path
) -> None:
    groups = tmp_path / "groups.csv"
    groups.write_text("scan,patient\n'=1+1,<script>alert(1)</script>\n-2+3,'=A\n")
    command = ("score", finished.folder, scans, "--out", tmp_path, "--groups", groups)
    assert run_djd(monkeypatch, *command) == 1
    patients = {row["scan"]: row["patient"] for row in rows_of(tmp_path / "predictions.csv")}
    assert patients["'=1+1"] == "<script>alert(1)</script>"
    assert patients["'-2+3"] == "'=A"
    page = (tmp_path / "score.html").read_text(encoding="utf-8")
    require_text_alone(page, FOLDER, "<i>cut.mat")
    assert json.loads((tmp_path / "scores.json").read_text())["left_out"]["unreadable"]
    known = {name for name in EVIL if "\n" not in name and "\x1b" not in name and "/" not in name}
    names = tmp_path / "names.csv"
    copied = [row["scan"] for row in rows_of(tmp_path / "predictions.csv")]
    wanted = [name for name in dict.fromkeys(copied) if name.removeprefix("'") in known]
    with names.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["scan"], *([name] for name in wanted)])
    found = read_names(names, key="data.exclude", known=known, what="scan")
    assert set(found) == known
