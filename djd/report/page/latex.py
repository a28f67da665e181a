"""`settings.tex`: the ranked settings as a table for a manuscript."""

import re
from collections.abc import Iterable, Mapping, Sequence

from djd.report.answer import Answer
from djd.report.out_of_fold import Findings
from djd.report.scoreboard import Figures
from djd.report.wording import scored
from djd.runs.keys import as_typed, short_names

LATEX_NAME = "settings.tex"

_NEEDS = "% Needs \\usepackage{booktabs,longtable} and a font with the letters of its names.\n"

_ESCAPES: Mapping[str, str] = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def settings_in_latex(answer: Answer, *, stamp: str | None) -> str:
    """The ranked settings and baselines as a LaTeX table; a comment where there are none.

    Args:
        answer: What was worked out.
        stamp: What has to stand on everything; it opens the caption.
    """
    if answer.findings is None:
        return "% No setting is finished: there is nothing to compare.\n"
    findings = answer.findings
    names = list(short_names(findings.settings[0].setting.axes).values())
    head = ["rank", *names, "epochs", "kappa", "accuracy", "minimal recall"]
    return "\n".join(
        [
            f"{_NEEDS}{{\\small\\setlength{{\\tabcolsep}}{{4pt}}",
            f"\\begin{{longtable}}{{{'l' * len(head)}}}",
            f"\\caption{{{_caption(findings, stamp)}}}\\\\",
            "\\toprule",
            _line([_escaped(name) for name in head]),
            "\\midrule",
            "\\endhead",
            *_rows(findings),
            "\\bottomrule",
            "\\end{longtable}}",
            "",
        ]
    )


def _caption(findings: Findings, stamp: str | None) -> str:
    figures = findings.settings[0].figures
    starred = "An asterisk marks settings that can't be told apart from the best. "
    return (
        f"{_escaped(stamp) + '. ' if stamp else ''}Quadratic weighted kappa, accuracy and recall "
        f"of minimal disease out of fold, with 95\\,\\% intervals over patients "
        f"({figures.knees} knees of {figures.patients} patients). "
        f"{starred if len(findings.settings) > 1 else ''}Research use only."
    )


def _rows(findings: Findings) -> Iterable[str]:
    for rank, each in enumerate(findings.settings, start=1):
        mark = "*" if each.in_best_set and len(findings.settings) > 1 else ""
        places = [as_typed(value) for value in each.setting.axes.values()]
        cells = [f"{rank}{mark}", *places, str(each.setting.epochs)]
        yield _line([*map(_escaped, cells), *_scores(each.figures)])
    if findings.baselines:
        yield "\\midrule"
    blanks = ["--"] * (len(findings.settings[0].setting.axes) + 1)
    for name, figures in findings.baselines.items():
        yield _line([name, *blanks, *_scores(figures)])


def _scores(figures: Figures) -> Iterable[str]:
    scores = figures.scores
    yield _escaped(scored(scores["kappa"]))
    yield _escaped(scored(scores["accuracy"], percent=True))
    yield _escaped(scored(scores["recall_minimal"], percent=True))


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _escaped(text: str) -> str:
    """Text as LaTeX prints it: its own signs escaped, a minus as a minus."""
    plain = "".join(_ESCAPES.get(sign, sign) for sign in text)
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", plain)
