"""Grades out of a table, in place of those in the files of scans: `data.labels`."""

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from djd.data.cohort import Labels
from djd.data.scan import GradeNames, shortened
from djd.data.tables import READINGS_COLUMNS, TableLine, table_lines
from djd.errors import InputError
from djd.grades import (
    GRADE_COUNT,
    GRADE_NAMES,
    GRADE_OF_ID,
    GRADE_OF_NAME,
    SIDES,
    Grade,
    LabelsKind,
    Side,
)
from djd.wording import count_of

KEY = "data.labels"

MOST_LINES = 10
"""Wrong lines that a sentence names."""

_NUMBER = re.compile(r"-?\d{1,9}([.,]0+)?", re.ASCII)  # a column with a gap becomes 2.0

_GRADE_OF_NUMBER: Mapping[str, Mapping[float, Grade | None]] = {
    "ids": GRADE_OF_ID,
    "grades": {grade: grade for grade in range(GRADE_COUNT)},
    "names": {},
}
_EXPECTED = {
    "ids": f"an id of {', '.join(f'{each:g}' for each in GRADE_OF_ID)}, or a severity name",
    "grades": f"a grade of 0 to {GRADE_COUNT - 1}, or a severity name",
    "names": f"a severity name ({', '.join(GRADE_NAMES)}, unspect, or one of data.grade_names)",
}
_SPELLINGS: GradeNames = {
    **{name: grade for grade, name in enumerate(GRADE_NAMES)},
    **GRADE_OF_NAME,
    "none": None,
}


def given_labels(
    path: Path | None,
    *,
    known: Collection[str],
    kind: LabelsKind | None,
    grade_names: GradeNames,
) -> Labels | None:
    """As `read_labels`; None where no table is given. A kind without a table is an InputError."""
    if path:
        return read_labels(path, known=known, kind=kind, grade_names=grade_names)
    if kind:
        received = f"{KEY}_kind={kind} alone"
        raise InputError(f"{KEY}: expected a table with {KEY}_kind, received {received}")
    return None


def read_labels(
    path: Path,
    *,
    known: Collection[str],
    kind: LabelsKind | None = None,
    grade_names: GradeNames | None = None,
) -> Labels:
    """The grade of each knee: columns scan, right and left, or scan, side and grade.

    Severity names need no `kind`: those of files, those of the grades, and `grade_names`, whatever
    their case. Numbers are ids or grades as `kind` says. A knee with an empty cell has no grade.

    Raises:
        InputError: The file can't be read, lacks a column, or grades no knee; it holds numbers,
            and `kind` is None; or lines are wrong, of which the first `MOST_LINES` are named.
    """
    lines = list(table_lines(path, KEY, READINGS_COLUMNS, ("scan", *SIDES)))
    spellings = {**_SPELLINGS, **(grade_names or {})}
    if kind is None:
        _require_no_numbers(lines, spellings)
    labels: dict[tuple[str, Side], Grade | None] = {}
    wrong: list[str] = []
    for line in lines:
        try:
            scan = line.name("scan", known, guess=len(wrong) < MOST_LINES)
            for side, column in _columns(line).items():
                if (scan, side) in labels:
                    raise line.wrong("each knee once", f"{scan} {side} again")
                labels[scan, side] = _grade(line, column, kind or "names", spellings)
        except InputError as error:
            wrong.append(str(error).removeprefix(f"{KEY}: {path}, "))
    if wrong:
        more = f"; and {len(wrong) - MOST_LINES} more" if len(wrong) > MOST_LINES else ""
        said = "; ".join(wrong[:MOST_LINES])
        raise InputError(f"{KEY}: {path}: {count_of(len(wrong), 'wrong line')}: {said}{more}")
    if all(grade is None for grade in labels.values()):
        raise InputError(f"{KEY}: {path}: expected a graded knee, received none")
    return labels


def _columns(line: TableLine) -> Mapping[Side, str]:
    """The column of the grade of each side that is in a line."""
    return {line.side(): "grade"} if "side" in line.cells else {side: side for side in SIDES}


def _require_no_numbers(lines: Iterable[TableLine], spellings: GradeNames) -> None:
    for line in lines:
        for column in ("grade",) if "side" in line.cells else SIDES:
            text = line.text(column)
            if _NUMBER.fullmatch(text) and text not in spellings:
                raise InputError(
                    f"{KEY}_kind: expected ids or grades where {KEY} holds numbers, since 2, 3 and "
                    f"4 are both, received null ({line.path}, line {line.number}: {text}); say "
                    f"{KEY}_kind=ids where 2 is normal, or {KEY}_kind=grades where 0 is"
                )


def _grade(line: TableLine, column: str, kind: LabelsKind, spellings: GradeNames) -> Grade | None:
    text = line.text(column)
    if not text:
        return None
    numbers = _GRADE_OF_NUMBER[kind]
    if numbers and _NUMBER.fullmatch(text):
        value = float(text.replace(",", "."))
        if value in numbers:
            return numbers[value]
    elif text.casefold() in spellings:
        return spellings[text.casefold()]
    raise line.wrong(_EXPECTED[kind], shortened(text))
