from pathlib import Path

from djd.report.ranking import MOST_LINES, effects_table, grade_table, ranked_table
from djd.runs.summary import as_text
from tests.report.test_findings import answer_of, better_when_deep
from tests.sweeps.invented_cells import leave_comparison


def columns(line: str) -> list[str]:
    return [cell.strip() for cell in line.replace("┃", "│").split("│")[1:-1]] or [""]


def test_the_ranked_table_has_every_setting_with_its_mark(tmp_path: Path) -> None:
    leave_comparison(tmp_path, {"model.depth": (1, 2)}, skill=better_when_deep)
    answer = answer_of(tmp_path)
    findings = answer.findings
    assert findings
    lines = as_text(ranked_table(answer, findings)).splitlines()
    rows = [columns(line) for line in lines if columns(line)[0][:1].isdigit()]
    assert [row[0] for row in rows] == ["1 *", "2 *", "3 *", "4", "5", "6"]
    assert [row[1] for row in rows] == ["2", "2", "2", "1", "1", "1"]
    for row, each in zip(rows, findings.settings, strict=True):
        kappa, low, high = each.scores["kappa"]
        assert row[3] == f"{kappa:.2f} ({low:.2f} to {high:.2f})"
    minimal = sum(grade == 1 for _, _, _, grade in findings.evidence.knees)
    assert f"({minimal} knees)" in "".join(lines)


def test_the_terminal_shows_the_best_alone_of_very_many(tmp_path: Path) -> None:
    leave_comparison(tmp_path, {"model.depth": (1, 2), "data.batch_size": (8, 16, 32, 64)})
    answer = answer_of(tmp_path)
    findings = answer.findings
    assert findings
    assert len(findings.settings) == 24
    lines = as_text(ranked_table(answer, findings)).splitlines()
    assert sum(columns(line)[0][:1].isdigit() for line in lines) == MOST_LINES


def test_the_effects_table_marks_the_levels_that_may_be_best(tmp_path: Path) -> None:
    leave_comparison(tmp_path, {"model.depth": (1, 2)}, skill=better_when_deep)
    findings = answer_of(tmp_path).findings
    assert findings
    rows = [columns(line) for line in as_text(effects_table(findings)).splitlines()]
    marks = {row[1]: (row[3], row[5]) for row in rows if len(row) == 6 and row[1] in ("1", "2")}
    assert marks == {"1": ("", ""), "2": ("*", "*")}


def test_grades_of_a_single_setting_are_told_one_by_one(tmp_path: Path) -> None:
    leave_comparison(tmp_path, {"model.depth": (1,)})
    answer = answer_of(tmp_path)
    assert answer.findings
    rows = [columns(line) for line in as_text(grade_table(answer)).splitlines()]
    knees = {row[0]: row[1] for row in rows if row[0][:1].isdigit()}
    scores = answer.findings.settings[0]
    assert list(knees.values()) == [str(count) for count in scores.knees_of_grades]
    assert list(knees) == ["0 normal", "1 minimal", "2 mild", "3 moderate", "4 severe"]
