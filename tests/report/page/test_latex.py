"""`settings.tex`: text that LaTeX prints as it was, whatever stands in a setting."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djd.report.answer import Answer
from djd.report.scores import GraderScores
from djd.report.tables import MOST_IN_LATEX, settings_in_latex
from djd.runs.keys import AxisValue
from djd.statistics.intervals import Estimate
from tests.answers import Told
from tests.report.page.parsed import require_figure
from tests.sweeps.invented_answers import leave_run, tell

PRINTED = {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\&": "&",
    r"\%": "%",
    r"\$": "$",
    r"\#": "#",
    r"\_": "_",
    r"\{": "{",
    r"\}": "}",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
    "$-$": "-",
}
"""What LaTeX prints for what is typed."""

SIGNS = re.compile("|".join(map(re.escape, PRINTED)))


def as_printed(text: str) -> str:
    """What a reader sees; no sign that LaTeX takes for an order may be left."""
    assert not re.search(r"[&%$#_{}~^<>|\\]", SIGNS.sub("", text)), text
    return SIGNS.sub(lambda sign: PRINTED[sign[0]], text)


def rows_of(latex: str) -> list[list[str]]:
    """Cells as they are typed; the head first."""
    lines = [line for line in latex.splitlines() if line.endswith(r" \\")]
    return [re.split(r"(?<!\\) & ", line.removesuffix(r" \\")) for line in lines]


def with_axis(answer: Answer, value: AxisValue, key: str = "data.groups") -> Answer:
    assert answer.findings
    settings = [
        replace(each, setting=replace(each.setting, axes={key: value}))
        for each in answer.findings.settings
    ]
    return replace(answer, findings=replace(answer.findings, settings=tuple(settings)))


def with_scores(answer: Answer, **scores: Estimate) -> Answer:
    assert answer.findings
    first, *others = answer.findings.settings
    settings = (replace(first, scores={**first.scores, **scores}), *others)
    return replace(answer, findings=replace(answer.findings, settings=settings))


def test_every_setting_and_baseline_is_a_line_with_its_figures(answer: Answer) -> None:
    latex = settings_in_latex(answer, stamp=None)
    head, *rows = rows_of(latex)
    assert head == ["rank", "depth", "optim", "epochs", "kappa", "accuracy", "minimal recall"]
    assert answer.findings
    graders: list[GraderScores] = [*answer.findings.settings, *answer.findings.baselines.values()]
    for row, each in zip(rows, graders, strict=True):
        for cell, name in zip(row[4:], ("kappa", "accuracy", "recall_minimal"), strict=True):
            require_figure(as_printed(cell), each.scores[name].value)
    marked = [row[0].endswith("*") for row in rows]
    best = [each.in_best_set for each in answer.findings.settings]
    assert marked == [*best, *(False for _ in answer.findings.baselines)]
    assert rows[-1][:4] == ["uptake", "--", "--", "--"]


def test_columns_are_as_many_as_their_letters_and_everything_opened_is_closed(
    answer: Answer,
) -> None:
    latex = settings_in_latex(answer, stamp="PHANTOM: 100 %")
    (letters,) = re.findall(r"\\begin\{longtable\}\{(l+)\}", latex)
    assert {len(row) for row in rows_of(latex)} == {len(letters)}
    assert latex.count(r"\begin{longtable}") == latex.count(r"\end{longtable}") == 1
    bare = re.sub(r"\\[{}]", "", latex)
    assert bare.count("{") == bare.count("}")
    order = [latex.index(rf"\{rule}") for rule in ("toprule", "endhead", "bottomrule")]
    assert order == sorted(order)
    assert latex.startswith("% Needs ")


@given(st.text(st.characters(exclude_categories=("C", "Z")), min_size=1))
def test_any_text_is_printed_as_it_was(compared: Told, text: str) -> None:
    latex = settings_in_latex(with_axis(compared[1], text), stamp=text)
    caption = next(line for line in latex.splitlines() if line.startswith(r"\caption{"))
    assert as_printed(caption.removeprefix(r"\caption{").partition(". Quadratic")[0]) == text
    for row in rows_of(latex)[1:-1]:
        assert len(row) == 6
        assert as_printed(row[1]) == text


@pytest.mark.parametrize("text", [r"50% & $x$ #1_a {b} ~ ^ \\", "무릎 묶음 (2).csv", "-0.1"])
def test_signs_and_letters_of_all_kinds_are_printed(answer: Answer, text: str) -> None:
    row = rows_of(settings_in_latex(with_axis(answer, text), stamp=None))[1]
    assert as_printed(row[1]) == text


def test_axes_with_underscores_are_escaped_in_the_head(answer: Answer) -> None:
    head = rows_of(settings_in_latex(with_axis(answer, 16, "data.batch_size"), stamp=None))[0]
    assert head[1] == r"batch\_size"


def test_a_minus_is_a_minus_and_a_hyphen_stays_one(answer: Answer) -> None:
    changed = with_scores(answer, kappa=Estimate(-0.25, -0.5, 0.1))
    row = rows_of(settings_in_latex(with_axis(changed, "a-1 x-ray"), stamp=None))[1]
    assert row[3] == "$-$0.25 ($-$0.50 to 0.10)"
    assert row[1] == "a-1 x-ray"


def test_what_is_undefined_is_a_dash(answer: Answer) -> None:
    undefined = Estimate(math.nan)
    exact = Estimate(1.0)
    latex = settings_in_latex(
        with_scores(answer, recall_minimal=undefined, accuracy=exact), stamp=None
    )
    assert rows_of(latex)[1][5:] == [r"100 \%", "-"]
    assert "nan" not in latex


def test_the_stamp_and_the_number_of_patients_open_the_caption(answer: Answer) -> None:
    latex = settings_in_latex(answer, stamp="LEAK: fitted on the test patients")
    (caption,) = [line for line in latex.splitlines() if line.startswith(r"\caption")]
    assert caption.startswith(r"\caption{LEAK: fitted on the test patients. Quadratic weighted")
    assert "(72 knees of 36 patients)" in caption
    assert "An asterisk marks" in caption
    assert caption.endswith(r"Research use only.}\\")


def test_nothing_finished_is_a_comment_alone(answer: Answer) -> None:
    latex = settings_in_latex(replace(answer, findings=None), stamp=None)
    assert latex.startswith("%")
    assert latex.count("\n") == 1


def test_a_single_run_has_no_asterisk(tmp_path: Path) -> None:
    leave_run(tmp_path, score_epochs=())
    _, answer = tell(tmp_path)
    latex = settings_in_latex(answer, stamp=None)
    assert len(rows_of(latex)) == 2
    assert "*" not in latex
    assert "asterisk" not in latex
    assert r"\midrule" in latex
    assert latex.count(r"\midrule") == 1, "a rule below the last setting belongs to baselines"


def test_of_thousands_of_settings_the_table_has_the_best_and_says_so(compared: Told) -> None:
    findings = compared[1].findings
    assert findings
    many = replace(findings, settings=findings.settings * 100)
    text = settings_in_latex(replace(compared[1], findings=many), stamp=None)
    left = len(many.settings) - MOST_IN_LATEX
    assert text.startswith(f"% {left} more settings are in settings.csv alone.")
    ranks = re.findall(r"^(\d+)", text, re.MULTILINE)
    assert ranks == [str(rank + 1) for rank in range(MOST_IN_LATEX)]
