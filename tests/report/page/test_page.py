"""The whole page, read as a browser reads it: what must stand there, and what must never."""

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from djd.report.answer import Answer
from djd.report.page.page import page, write_page
from djd.report.page.plots import plots
from djd.report.page.rows import MOST_MISSING
from djd.report.report import answer_again
from djd.runs.result import RunResult
from djd.sweeps.sweep import Sweep, read_folder
from tests.answers import Told
from tests.data.test_cohort_flow import some_flow
from tests.report.page.conftest import DrawnPage
from tests.report.page.parsed import (
    Element,
    cells_of,
    lines_of,
    number_in,
    parsed,
    require_figure,
    section,
)
from tests.sweeps.invented_answers import (
    TEST_PATIENTS,
    contents_of,
    knees_of,
    leave_run,
    leave_tested,
    read_by,
    tell,
)
from tests.sweeps.invented_cells import leave_comparison

RESEARCH = "Research use only, not a medical device."


def read_page(contents: Sweep, answer: Answer) -> Element:
    """The page without its figures, held to what every page must keep."""
    html = page(contents, answer, {})
    read = parsed(html)
    require_sound(read, html)
    return read


def require_sound(read: Element, html: str) -> None:
    ids = [each.attributes["id"] for each in read.everything() if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    labelled = [each.attributes.get("aria-labelledby") for each in read.all("section")]
    assert labelled == [each.attributes["id"] for each in read.all("h2")]
    for table in read.all("table"):
        heads = table.first("thead").all("th")
        assert heads
        assert {each.attributes.get("scope") for each in heads} == {"col"}
        for row in table.first("tbody").all("tr"):
            assert [each.attributes.get("scope") for each in row.all("th")] == ["row"]
            assert len(row.all("th", "td")) == len(heads)
    for region in (each for each in read.everything() if each.has_class("scroll")):
        assert region.attributes.get("role") == "region"
        assert region.attributes.get("aria-label")
        assert region.attributes.get("tabindex") == "0"
    for image in read.all("img"):
        assert image.attributes.get("alt")
        assert str(image.attributes["src"]).startswith("data:image/png;base64,")
    assert not re.search(r"https?://", html)
    assert not read.all("link", "iframe", "object", "embed", "base", "audio", "video")
    assert not re.search(r"@import|url\((?!#)", html)
    assert [sorted(each.attributes) for each in read.all("script")] == [[]]
    for element in read.everything():
        assert not [name for name in element.attributes if name.startswith("on")]
        for name in ("href", "xlink:href", "src", "srcset", "action", "data"):
            if link := element.attributes.get(name):
                assert link[1:] in ids or link.startswith("data:image/png;base64,"), link
    stamps = [each for each in read.everything() if each.has_class("stamp")]
    (top,), foot = stamps, read.first("footer")
    assert top.text == foot.text
    assert top.text.endswith(RESEARCH)
    assert html.index('class="stamp') < html.index("<h1")
    assert read.first("html").attributes["lang"] == "en"
    words = read.text
    assert not re.search(r"\bnan\b|\bNone\b|Undefined|\{\{|\{%", words)
    assert "&lt;" not in words
    assert "&amp;" not in words


def headings(read: Element) -> list[str]:
    return [each.attributes["id"] or "" for each in read.all("h2")]


def warnings_of(read: Element) -> str:
    return " ".join(each.text for each in read.all("ul") if each.has_class("warnings"))


def test_a_page_of_many_settings_is_sound_and_small(large: DrawnPage) -> None:
    require_sound(large.read, large.html)
    assert len(large.html.encode()) < 1_500_000
    assert len(large.read.all("img")) == len(large.drawn)
    rows = [row for each in large.read.all("table") for row in cells_of(each)]
    ranks = [found[0] for row in rows if (found := re.match(r"\d+(?=$| ★)", row[0]))]
    first, all_of = [str(rank) for rank in range(1, 41)], [str(rank) for rank in range(1, 109)]
    assert ranks == [*first, *all_of]
    assert large.read.first("summary").text == "All settings, to be sorted"


def test_a_page_has_a_section_for_everything_there_is(large: DrawnPage) -> None:
    assert headings(large.read) == [
        "answer",
        "hyperparameters",
        "depth",
        "optimizer",
        "settings",
        "grades",
        "scores",
        "sure",
        "openings",
        "made",
        "words",
    ]


def test_every_figure_stands_once_with_its_caption(large: DrawnPage) -> None:
    figures = large.read.all("figure")
    names = {(each.attributes["id"] or "").removeprefix("figure-") for each in figures}
    assert names == set(large.drawn)
    for each in figures:
        assert len(each.all("img")) == 1
        assert len(each.first("figcaption").text) > 20


def test_the_same_answer_makes_the_same_page(compared: Told) -> None:
    first, second = (re.sub(r"written [-\d: ]+UTC", "", page(*compared, {})) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("leak", "stamp"),
    [
        (False, "PHANTOM: invented scans, not patients"),
        (True, "LEAK: fitted on the test patients. PHANTOM: invented scans, not patients"),
    ],
)
def test_what_has_to_stand_on_everything_stands_at_the_top_the_foot_and_in_the_title(
    tmp_path: Path, leak: bool, stamp: str
) -> None:
    leave_run(tmp_path, score_epochs=(), data__leak=leak)
    read = read_page(*tell(tmp_path))
    assert read.first("footer").text == f"{stamp}. {RESEARCH}"
    assert read.first("title").text.endswith(f"({stamp})")
    assert ("LEAK" in read.text) == leak


def test_real_scans_without_a_leak_have_no_stamp_but_the_use(compared: Told) -> None:
    contents, answer = compared
    finished = [
        replace(each, result=each.result.model_copy(update={"phantom": False}))
        for each in contents.finished
    ]
    cells = []
    for each in contents.cells:
        config = each.config
        data = config.data.model_copy(update={"source": "mat", "root": Path("/scans & <b>")})
        cells.append(replace(each, config=config.model_copy(update={"data": data})))
    read = read_page(replace(contents, cells=tuple(cells), finished=tuple(finished)), answer)
    assert read.first("footer").text == RESEARCH
    assert "PHANTOM" not in read.text
    assert "/scans & <b>" in read.text


EVIL = ("a<script>alert(1)</script>.csv", "b & \"c\" 'd' <!-- {{ 7*7 }} {% if %}.csv")


def test_names_that_look_like_html_are_words_and_no_more(compared: Told, tmp_path: Path) -> None:
    contents, answer = compared
    findings = answer.findings
    assert findings
    settings = [
        replace(each, setting=replace(each.setting, axes={"data.groups": value, "optim": "a"}))
        for each, value in zip(findings.settings, EVIL, strict=False)
    ]
    effects = [
        replace(each, levels=EVIL if len(each.levels) == 2 else each.levels)
        for each in findings.effects
    ]
    findings = replace(findings, settings=tuple(settings), effects=tuple(effects))
    notes = ("left out: <img src=x onerror=alert(1)> & more",)
    folder = tmp_path / "s<b>weep & 한글"
    changed = replace(answer, findings=findings, notes=notes)
    html = page(replace(contents, folder=folder), changed, {})
    read = parsed(html)
    (script,) = read.all("script")
    assert "alert" not in "".join(map(str, script.children))
    assert not read.all("img", "b")
    assert "<!-- " not in html
    groups = [line[1] for line in lines_of(read, "settings")[1:]]
    assert groups[:2] == list(EVIL)
    assert "Left out: <img src=x onerror=alert(1)> & more." in warnings_of(read)
    assert "s<b>weep & 한글, written" in read.text
    assert EVIL[0] in (section(read, "depth") or read).text


def test_failed_and_missing_cells_are_listed_with_their_reason(tmp_path: Path) -> None:
    planned = leave_comparison(tmp_path, {"model.depth": (1, 2, 3)}, untrained=["depth=3 fold=2"])
    broken = next(each.folder for each in planned if each.folder.name == "depth=1 fold=1")
    (broken / "result.json").unlink()
    (broken / "error.txt").write_text("ValueError: <1> & 2\n", encoding="utf-8")
    read = read_page(*tell(tmp_path))
    assert lines_of(read, "missing") == [
        ["cell", "state", "reason"],
        ["depth=1 fold=1", "failed", "ValueError: <1> & 2"],
        ["depth=3 fold=2", "not trained", ""],
    ]
    assert "2 of 9 cells have no result (1 failed); settings that lack one" in warnings_of(read)
    depths = {line[1] for line in lines_of(read, "settings")[1:]}
    assert depths == {"2"}


def test_a_whole_comparison_has_no_list_of_missing_cells(compared: Told) -> None:
    read = read_page(*compared)
    assert section(read, "missing") is None
    assert "have no result" not in read.text


def test_where_nothing_is_finished_the_page_says_so_and_lists_the_cells(tmp_path: Path) -> None:
    planned = leave_comparison(tmp_path, {"model.depth": (1, 2)})
    for each in planned:
        (each.folder / "result.json").unlink()
    contents = read_folder(tmp_path)
    read = read_page(contents, answer_again(contents))
    assert headings(read) == ["answer", "missing", "openings", "made", "words"]
    answer = section(read, "answer")
    assert answer
    assert answer.all("p")[0].text.startswith("Nothing finished: ")
    assert len(lines_of(read, "missing")) == 1 + 6
    assert "best" not in answer.text
    path = write_page(contents, answer_again(contents))
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert list((tmp_path / "figures").iterdir()) == []


def test_where_nothing_was_held_out_the_test_patients_are_the_page(tmp_path: Path) -> None:
    config = leave_run(tmp_path, score_epochs=(), data__fold=None)
    epochs = config.trainer.max_epochs
    scores = leave_tested(tmp_path / "winner" / config.setting_name, config, epochs, 0.6)
    result = RunResult.load(tmp_path / "result.json")
    result = result.model_copy(update={"validation": [], "test": [scores]})
    result.save(tmp_path / "result.json")
    contents = contents_of(tmp_path)
    read = read_page(contents, answer_again(contents))
    assert headings(read) == ["answer", "grades", "scores", "openings", "made", "words"]
    answer = section(read, "answer")
    assert answer
    assert "Nothing was held out" in answer.text
    kappa = scores.scores["kappa"]
    assert f"kappa {kappa:.2f} (" in answer.text
    assert "20 test patients" in answer.text
    assert "out of fold" not in answer.text
    head, *rows = lines_of(read, "grades")
    assert head == ["grade", "test: knees", "test: recall", "test: precision"]
    assert [int(row[1]) for row in rows] == [sum(each) for each in scores.confusion]


def test_a_run_that_held_nothing_out_and_opened_nothing_says_so(tmp_path: Path) -> None:
    leave_run(tmp_path, data__fold=None, test="never")
    result = RunResult.load(tmp_path / "result.json").model_copy(update={"validation": []})
    result.save(tmp_path / "result.json")
    contents = contents_of(tmp_path)
    read = read_page(contents, answer_again(contents))
    assert headings(read) == ["answer", "openings", "made", "words"]
    answer = section(read, "answer")
    assert answer
    assert answer.text.count("Nothing was held out (data.fold=null)") == 1
    assert "Nothing finished" not in answer.text


def test_without_baselines_none_is_made_up(tmp_path: Path) -> None:
    leave_comparison(tmp_path, {"model.depth": (1, 2), "data.fold": (0,)})
    read = read_page(*tell(tmp_path))
    ranking = lines_of(read, "settings")[1:]
    assert [row[0].split()[0] for row in ranking] == ["1", "2", "3", "4", "5", "6"]
    answer = section(read, "answer")
    assert answer
    assert "uptake" not in answer.text
    assert lines_of(read, "scores")[0] == ["score", "out of fold"]


def left_with_grades(folder: Path, grades: Iterable[int]) -> None:
    """Patients 0 to 32 have all grades; here only knees of some are in the run's files."""
    leave_run(folder, score_epochs=())
    path = folder / "predictions.csv"
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if int(line.split(",")[3]) in set(grades)]
    path.write_text("\n".join([head, *kept]), encoding="utf-8")
    result = RunResult.load(folder / "result.json")
    confusion = [[0] * 5 for _ in range(5)]
    for line in kept:
        confusion[int(line.split(",")[3])][int(line.split(",")[4])] += 1
    scores = result.validation[0].model_copy(update={"confusion": confusion, "knees": len(kept)})
    result.model_copy(update={"validation": [scores]}).save(folder / "result.json")


@pytest.mark.parametrize("grades", [(0, 3), (1,), (0, 2, 3, 4)])
def test_grades_that_nobody_has_are_dashes_and_no_traceback(
    tmp_path: Path, grades: tuple[int, ...]
) -> None:
    left_with_grades(tmp_path, grades)
    contents, answer = tell(tmp_path)
    read = read_page(contents, answer)
    assert plots(answer, stamp=None)
    for grade, row in enumerate(lines_of(read, "grades")[1:]):
        assert (row[1] == "0") == (row[2] == "-") == (grade not in grades)


def test_several_seeds_are_averaged_and_said_to_be_several(tmp_path: Path) -> None:
    leave_comparison(tmp_path, {"model.depth": (1, 2), "seed": (0, 1), "data.fold": (0,)})
    contents, answer = tell(tmp_path, uptake=0.3)
    read = read_page(contents, answer)
    assert plots(answer, stamp=None)
    made = section(read, "made")
    assert made
    assert "seeds 0, 1" in made.text
    said = section(read, "answer")
    assert said
    assert "with other seeds (standard deviations)" in said.text
    assert answer.findings
    for row, each in zip(lines_of(read, "settings")[1:], answer.findings.settings, strict=False):
        repeats = [
            cell.result.validation[(25, 50, 100).index(each.setting.epochs)].scores["kappa"]
            for cell in each.setting.cells
        ]
        assert len(repeats) == 2
        require_figure(row[3], sum(filter(None, repeats)) / 2)


def test_a_second_reader_has_a_row_and_a_sentence(compared: Told) -> None:
    contents, answer = compared
    read = read_page(contents, answer)
    (row,) = [line for line in lines_of(read, "settings") if line[0] == "second reader"]
    assert answer.second_reader
    require_figure(row[4], answer.second_reader["out of fold"].scores["kappa"].value)
    said = section(read, "answer")
    assert said
    assert f"A second reader agrees with the grades at kappa {row[4]}, accuracy {row[5]} on " in (
        said.text
    )
    assert "on 36 of the 72 held-out knees" in said.text
    nobody = read_page(contents, replace(answer, second_reader=None))
    assert "second reader" not in nobody.text


def test_a_second_reader_of_test_knees_alone_has_no_figure_out_of_fold(tmp_path: Path) -> None:
    leave_run(tmp_path, score_epochs=())
    readings = read_by(knees_of(TEST_PATIENTS), 0.7)
    read = read_page(*tell(tmp_path, tested=0.6, readings=readings))
    (row,) = [line for line in lines_of(read, "settings") if line[0] == "second reader"]
    head = lines_of(read, "settings")[0]
    place = next(place for place, name in enumerate(head) if name.startswith("test kappa"))
    assert set(row[1:place] + row[place + 1 :]) == {"-"}
    assert -1 <= number_in(row[place]) <= 1


def test_who_was_in_it_stands_in_lines_and_a_table(compared: Told, tmp_path: Path) -> None:
    some_flow().save(tmp_path)
    read = read_page(replace(compared[0], folder=tmp_path), compared[1])
    assert lines_of(read, "flow") == [
        ["part", "patients", "knees", "normal", "minimal", "mild", "moderate", "severe"],
        ["development", "6", "12", "2", "2", "3", "3", "2"],
        ["test", "2", "3", "1", "1", "0", "0", "1"],
    ]
    there = section(read, "flow")
    assert there
    assert "12 scans found; 2 excluded by name; 1 could not be read; 9 read." in there.text


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[1]", None])
def test_a_damaged_flow_costs_its_section_alone(
    compared: Told, tmp_path: Path, content: bytes | None
) -> None:
    if content is None:
        (tmp_path / "cohort.json").mkdir()
    else:
        (tmp_path / "cohort.json").write_bytes(content)
    read = read_page(replace(compared[0], folder=tmp_path), compared[1])
    assert section(read, "flow") is None
    assert section(read, "settings")


def test_openings_of_the_test_patients_are_told_and_counted(compared: Told, tmp_path: Path) -> None:
    contents = replace(compared[0], folder=tmp_path)
    never = section(read_page(contents, replace(compared[1], tested=None)), "openings")
    assert never
    assert "the test patients stayed closed" in never.text
    assert not never.all("table")
    lost = section(read_page(contents, compared[1]), "openings")
    assert lost
    assert "It isn't known: test_openings.jsonl is missing or damaged" in lost.text
    lines = [
        json.dumps({"when": f"2026-01-0{day}T03:04:05+00:00", "setting": f"depth={day} <&>"})
        for day in (1, 2)
    ]
    for count, words in ((1, "once"), (2, "2 times")):
        text = "\n".join(["{damaged", *lines[:count]])
        (tmp_path / "test_openings.jsonl").write_text(text, encoding="utf-8")
        read = read_page(contents, compared[1])
        there = section(read, "openings")
        assert there
        assert f"From this folder {words}." in there.text
        assert lines_of(read, "openings") == [
            ["when (UTC)", "setting"],
            *([f"2026-01-0{day} 03:04:05", f"depth={day} <&>"] for day in range(1, count + 1)),
        ]


def test_a_page_is_written_with_its_figures_as_files(tmp_path: Path) -> None:
    leave_run(tmp_path, score_epochs=())
    contents, answer = tell(tmp_path, uptake=0.4)
    (tmp_path / "report.html").write_text("an earlier one", encoding="utf-8")
    path = write_page(contents, answer)
    assert path == tmp_path / "report.html"
    html = path.read_text(encoding="utf-8")
    require_sound(parsed(html), html)
    files = {each.name for each in (tmp_path / "figures").iterdir()}
    stems = {Path(name).stem for name in files}
    assert files == {f"{stem}.png" for stem in stems}
    assert len(parsed(html).all("img")) == len(stems)
    for each in (tmp_path / "figures").iterdir():
        assert base64.b64encode(each.read_bytes()).decode() in html
    assert (tmp_path / "settings.tex").read_text(encoding="utf-8").startswith("% Needs")
    assert not [each for each in tmp_path.rglob("*") if each.name.endswith((".tmp", ".part"))]


def test_the_page_of_thousands_of_settings_and_missing_cells_stays_small(
    large: DrawnPage,
) -> None:
    findings, contents = large.answer.findings, large.contents
    assert findings
    pictures = sum(map(len, re.findall(r"data:image/png;base64,[^\"]+", large.html)))
    many = replace(large.answer, findings=replace(findings, settings=findings.settings[:12] * 500))
    missing = tuple((cell, "RuntimeError: no") for cell in contents.cells) * 100
    html = page(replace(contents, failed=missing), many, {})
    assert len(html.encode()) + pictures < 5_000_000
    read = parsed(html)
    assert len(lines_of(read, "missing")) == 1 + MOST_MISSING
    left = f"{len(missing) - MOST_MISSING} more are in cells.csv alone."
    assert left in (section(read, "missing") or read).text
