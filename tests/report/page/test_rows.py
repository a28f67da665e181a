"""Tables of the page: every figure in its place, marks where they belong, nothing made up."""

from dataclasses import replace
from pathlib import Path

from djd.grades import GRADE_NAMES
from djd.report.answer import Answer
from djd.report.findings import Findings
from djd.report.page.rows import (
    MARK,
    MOST_SHOWN,
    MOST_UNFOLDED,
    SCORES,
    Table,
    grades_table,
    ranking_table,
    scores_table,
)
from tests.report.page.parsed import columns_of, require_figure
from tests.sweeps.invented_answers import leave_run, tell


def columns(table: Table) -> dict[str, list[str]]:
    return columns_of([table.head, *(list(row.cells) for row in table.rows)])


def table_of(answer: Answer) -> Table:
    table = ranking_table(answer)
    assert table
    return table


def test_every_setting_has_its_own_figures_and_rank(answer: Answer, findings: Findings) -> None:
    table = table_of(answer)
    read = columns(table)
    minimal = sum(grade == 1 for *_, grade in findings.evidence.knees)
    assert table.head == [
        "rank",
        "depth",
        "optimizer",
        "epochs",
        "kappa",
        "accuracy",
        f"minimal recall ({minimal} knees)",
        "test kappa",
        "seconds a training",
        "ms a knee",
    ]
    for each, seconds, knee in zip(
        findings.settings, read["seconds a training"], read["ms a knee"], strict=False
    ):
        # Invented trainings take a second; two folds of three are trained on.
        trained_on = len(findings.evidence.knees) * 2 / 3
        assert seconds == f"{each.setting.epochs / 100:.1f}"
        assert knee == f"{1000 / (100 * trained_on):.2f}"
    assert set(read["ms a knee"][len(findings.settings) :]) == {"-"}
    for place, each in enumerate(findings.settings):
        assert read["rank"][place].removesuffix(f" {MARK}") == str(place + 1)
        assert read["depth"][place] == str(each.setting.axes["model.depth"])
        assert read["optimizer"][place] == each.setting.axes["optim"]
        assert read["epochs"][place] == str(each.setting.epochs)
        scores = each.scores
        require_figure(read["kappa"][place], scores["kappa"].value)
        require_figure(read["accuracy"][place], scores["accuracy"].value)
        require_figure(read[table.head[6]][place], scores["recall_minimal"].value)


def test_the_mark_stands_on_those_that_can_not_be_told_apart_alone(
    answer: Answer, findings: Findings
) -> None:
    settings = [
        replace(each, in_best_set=rank in (0, 2)) for rank, each in enumerate(findings.settings)
    ]
    changed = replace(findings, settings=tuple(settings))
    rows = table_of(replace(answer, findings=changed)).rows[: len(settings)]
    assert [rank for rank, row in enumerate(rows) if MARK in row.cells[0]] == [0, 2]
    assert [rank for rank, row in enumerate(rows) if row.kind == "best"] == [0, 2]


def test_test_kappas_stand_beside_those_that_were_opened_alone(
    answer: Answer, findings: Findings
) -> None:
    assert answer.tested
    assert answer.second_reader
    told = columns(table_of(answer))["test kappa"]
    first, *others = told[: len(findings.settings)]
    require_figure(
        first, answer.tested.settings[findings.settings[0].setting.name].scores["kappa"][0]
    )
    assert set(others) == {"-"}
    uptake, reader = told[len(findings.settings) :]
    require_figure(uptake, answer.tested.baselines["uptake"].scores["kappa"].value)
    require_figure(reader, answer.second_reader["test"].scores["kappa"].value)
    closed = replace(answer, tested=None, second_reader=None)
    assert set(columns(table_of(closed))["test kappa"]) == {"-"}


def test_baselines_and_second_reader_have_no_rank_and_no_place_on_any_axis(
    answer: Answer, findings: Findings
) -> None:
    rows = table_of(answer).rows[len(findings.settings) :]
    assert [row.cells[0] for row in rows] == ["uptake", "second reader"]
    for row in rows:
        assert row.kind == "baseline"
        assert list(row.cells[1:4]) == ["-"] * 3
    assert answer.second_reader
    require_figure(rows[1].cells[4], answer.second_reader["out of fold"].scores["kappa"].value)
    require_figure(rows[1].cells[5], answer.second_reader["out of fold"].scores["accuracy"].value)
    unread = replace(answer, second_reader={})
    assert [row.cells[0] for row in table_of(unread).rows][-1] == "uptake"


def test_very_many_settings_are_folded_away_and_none_is_lost(
    answer: Answer, findings: Findings
) -> None:
    many = replace(findings, settings=findings.settings * 9)
    table = table_of(replace(answer, findings=many))
    assert [row.cells[0] for row in table.rows[MOST_SHOWN:]] == ["uptake", "second reader"]
    for rows, count in ((table.rows, MOST_SHOWN), (table.more, 12 * 9)):
        *ranks, uptake, reader = (row.cells[0] for row in rows)
        assert [rank.split()[0] for rank in ranks] == [str(rank + 1) for rank in range(count)]
        assert (uptake, reader) == ("uptake", "second reader")
    exactly = replace(findings, settings=many.settings[:MOST_SHOWN])
    assert not table_of(replace(answer, findings=exactly)).more


def test_a_single_setting_is_neither_marked_nor_called_one_of_many(tmp_path: Path) -> None:
    leave_run(tmp_path, score_epochs=())
    _, answer = tell(tmp_path)
    table = table_of(answer)
    assert table.rows[0].cells[0] == "1"
    assert MARK not in table.explained
    assert table.title == "The setting and the baselines"
    assert len(table.rows) == 1
    assert table.head[1:6] == ["network", "optimizer", "depth", "learning rate", "batch size"]


def test_grades_are_told_of_both_parts_with_their_knees(answer: Answer) -> None:
    table = grades_table(answer)
    assert table
    assert answer.findings
    assert answer.tested
    parts = [
        answer.findings.settings[0],
        next(iter(answer.tested.settings.values())),
    ]
    assert [row.cells[0] for row in table.rows] == [
        f"{grade} {name}" for grade, name in enumerate(GRADE_NAMES)
    ]
    assert [row.kind for row in table.rows] == ["", "minimal", "", "", ""]
    for grade, (name, row) in enumerate(zip(GRADE_NAMES, table.rows, strict=True)):
        for figures, (knees, recall, precision) in zip(
            parts, (row.cells[1:4], row.cells[4:7]), strict=True
        ):
            assert knees == str(figures.confusion.sum(axis=1)[grade].round().astype(int))
            require_figure(recall, figures.scores[f"recall_{name}"].value)
            require_figure(precision, figures.scores[f"precision_{name}"].value)
    name = answer.findings.settings[0].setting.name
    assert table.explained.startswith(f"Out of fold ({name}) and test ({name}). ")


def test_one_part_alone_has_no_columns_of_the_other(answer: Answer) -> None:
    closed, unheld = (
        grades_table(replace(answer, tested=None)),
        grades_table(replace(answer, findings=None)),
    )
    assert closed
    assert unheld
    assert closed.head == [
        "grade",
        *(f"out of fold: {column}" for column in ("knees", "recall", "precision")),
    ]
    assert unheld.head == ["grade", "test: knees", "test: recall", "test: precision"]
    assert grades_table(replace(answer, findings=None, tested=None)) is None
    assert scores_table(replace(answer, findings=None, tested=None)) is None


def test_every_score_has_a_line_and_every_grader_a_column(answer: Answer) -> None:
    table = scores_table(answer)
    assert table
    assert answer.findings
    assert answer.tested
    graders = [
        answer.findings.settings[0],
        next(iter(answer.tested.settings.values())),
        answer.findings.baselines["uptake"],
        answer.tested.baselines["uptake"],
    ]
    assert table.head == ["score", "out of fold", "test", "uptake, out of fold", "uptake, test"]
    *rows, knees = table.rows
    for (name, (words, percent)), row in zip(SCORES.items(), rows, strict=True):
        assert row.cells[0] == words
        for cell, figures in zip(row.cells[1:], graders, strict=True):
            require_figure(cell, figures.scores[name].value)
            assert ("%" in cell) == percent
    assert list(knees.cells) == ["knees, patients", "72, 36", "40, 20", "72, 36", "40, 20"]


def test_every_score_that_is_worked_out_is_shown_somewhere(findings: Findings) -> None:
    """One that is added to the scores and forgotten on the page fails here."""
    of_grades = {f"{kind}_{name}" for kind in ("recall", "precision") for name in GRADE_NAMES}
    left_out = set(findings.settings[0].scores) - set(SCORES) - of_grades
    assert left_out <= {f"f1_{name}" for name in GRADE_NAMES}


def test_of_thousands_of_settings_the_page_has_the_best_and_says_so(
    answer: Answer, findings: Findings
) -> None:
    many = replace(findings, settings=findings.settings * 200)
    table = table_of(replace(answer, findings=many))
    ranks = [row.cells[0].split()[0] for row in table.more]
    assert ranks == [*map(str, range(1, MOST_UNFOLDED + 1)), "uptake", "second"]
    left = len(many.settings) - MOST_UNFOLDED
    assert f"best {MOST_UNFOLDED} settings" in table.summary
    assert f"{left} more are in settings.csv" in table.summary
    exactly = replace(findings, settings=many.settings[:MOST_UNFOLDED])
    assert table_of(replace(answer, findings=exactly)).summary == "All settings, to be sorted"
