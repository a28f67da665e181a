"""The summary of a check on the terminal, and the line to train with."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rich.table import Table

from djd.check.cohort_problems import Checked
from djd.check.kinds import MISPLACED, NO_GRADES, ONE_VIEW, SAME_NAME, UNREADABLE
from djd.check.looks import Look
from djd.check.page import answer, grade_counts, kinds_found
from djd.check.problems import Problem
from djd.console import console
from djd.data.formats import reader_of
from djd.data.names import groups_line
from djd.data.scan_files import ScanFolder
from djd.grades import GRADE_NAMES, PHANTOM_STAMP
from djd.runs.command_line import in_quotes
from djd.wording import MOST_NAMES, count_of, first_of, in_shell, printable

_SENTENCES = (UNREADABLE, SAME_NAME, NO_GRADES)


def say_checked(found: Checked) -> None:
    """Print counts, then the problems by kind, then whether training would go on."""
    cohort = found.cohort
    if cohort.phantom:
        console.print(PHANTOM_STAMP)
    counts = f"{count_of(len(cohort), 'graded knee')}, {cohort.unspecified} unspecified"
    console.print(f"{cohort.size}: {counts}", markup=False)
    patients = dict(zip(cohort.scans, cohort.patients, strict=True))
    if line := groups_line(patients):
        console.print(line, markup=False)
    table = Table("side", *(f"{grade} {name}" for grade, name in enumerate(GRADE_NAMES)), "knees")
    for row in grade_counts(found):
        table.add_row(*row)
    console.print(table)
    for line in problem_lines(found.problems):
        console.print(line, markup=False)
    console.print(answer(found), markup=False)


def problem_lines(problems: Sequence[Problem]) -> Iterator[str]:
    """Sentences on what is of the whole cohort or of files, and else a line a kind."""
    for kind, _, effect, number in kinds_found(problems):
        there = [each for each in problems if each.kind == kind]
        sentences = [each.what for each in there if each.scan is None or kind in _SENTENCES]
        prefix = "training would stop" if effect == "stops" else "warning"
        for sentence in sentences[:MOST_NAMES]:
            named = sentence.startswith(kind.name)
            yield f"{prefix}: {sentence}" if named else f"{prefix}: {kind.name}: {sentence}"
        if len(sentences) > MOST_NAMES:
            yield f"{prefix}: {kind.name}: {len(sentences) - MOST_NAMES} more"
        knees = [" ".join(filter(None, (each.scan, each.side))) for each in there]
        if not sentences:
            yield f"{prefix}: {kind.name}, {number}: {first_of(knees)}"


def crop_line(found: Checked) -> str | None:
    """What speaks for another placement of crops; None where nothing does."""
    knees = sum(each.kind is MISPLACED for each in found.problems)
    if not knees:
        return None
    return (
        f"the study's crop looks wrong for {count_of(knees, 'knee')}: data.crop=robust finds each "
        "knee by itself"
    )


def train_line(scans: ScanFolder, keys: Mapping[str, object], found: Checked) -> str:
    """What to type to train on a folder; `keys` are those of `data`, None where they are default.

    Where the study's crop looks wrong, the line has `data.crop=robust`, and where a scan has no
    posterior view, `data.views=anterior`.
    """
    matlab = all(reader_of(path) for each in scans for path in each.paths)
    given = {key: value for key, value in keys.items() if value is not None}
    if crop_line(found):
        given["data.crop"] = "robust"
    if any(each.kind is ONE_VIEW for each in found.problems):
        given["data.views"] = "anterior"
    given = {"data": "mat" if matlab else "dicom", "data.root": scans.root, **given}
    words = [
        f"{key}={value.absolute() if isinstance(value, Path) else value}"
        for key, value in given.items()
    ]
    return in_shell("python", "train.py", *words)


def names_in_brackets(names: Iterable[str]) -> str:
    """A list of names as `data.exclude` takes it; in quotes those that have signs of a list."""
    typed = (in_quotes(each) if re.search(r"[][{},'\"\\]", each) else each for each in names)
    return f"[{','.join(typed)}]"


def name_lines(looks: Iterable[Look]) -> Iterator[str]:
    """Each unknown severity name and how often it stands in the files."""
    names = [name for look in looks for name in look.unknown_names if name is not None]
    for name in sorted(set(names)):
        shown = printable(name) or "(none, or no text)"
        yield f"unknown name: {names.count(name)} x {shown}"
