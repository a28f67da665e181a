"""Sentences and tables of a run on the terminal and in the log."""

import io
import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from djd.data.cohort import Cohort, copies_warning, names_warning
from djd.data.crop import Views
from djd.data.oddities import oddity_warnings
from djd.data.split import PartSummary
from djd.grades import GRADE_NAMES
from djd.runs.result import PartScores
from djd.wording import number, share

log = logging.getLogger("djd")

MOST_COLUMNS = 132
"""Width of tables: five compared axes and three scores with intervals; more axes take more."""

MOST_CHARACTERS = 1000


def say(sentence: str) -> None:
    """Print a sentence and log it."""
    log.info(sentence)


def say_cohort(
    cohort: Cohort,
    parts: Mapping[str, PartSummary],
    warnings: Sequence[str],
    *,
    views: Views = "both",
) -> None:
    """Print scans, knees and patients of the cohort and of each part, and warnings."""
    say(
        f"{len(cohort.scans)} scans in {cohort.root}: {len(cohort)} graded knees, "
        f"{cohort.unspecified} unspecified, {len(cohort.unreadable)} scans unreadable"
    )
    table = Table("part", "patients", "knees", *GRADE_NAMES)
    for part, who in parts.items():
        knees = who.knees_per_grade
        table.add_row(part, str(len(who.patients)), str(sum(knees)), *map(str, knees))
    say(as_text(table))
    sentences = [*warnings, *(f"left out: {each}" for each in cohort.unreadable.values())]
    if cohort.disagreements:
        named = ", ".join(" ".join(knee) for knee in cohort.disagreements)
        sentences.append(f"severity id and name disagree: {named}")
    sentences += oddity_warnings(cohort.oddities, views)
    for sentence in filter(None, [*sentences, copies_warning(cohort), names_warning(cohort)]):
        log.warning("warning: %s", sentence)


def in_one_line(scores: PartScores) -> str:
    """The main scores of one part."""
    values = scores.scores
    return (
        f"kappa {number(values['kappa'])}, accuracy {share(values['accuracy'])}, "
        f"balanced accuracy {share(values['balanced_accuracy'])}, "
        f"off by one at most {share(values['off_by_one'])}, MAE {number(values['mae'])} grades "
        f"({scores.knees} knees of {scores.patients} patients, epoch {scores.epoch})"
    )


def openings_sentence(openings: int) -> str:
    """The number of times that the test patients have been opened."""
    times = "once" if openings == 1 else f"{openings} times"
    return (
        f"The test patients of this cohort have been opened {times} so far; while still trying "
        "things out, say test=never"
    )


def tensorboard_line(folder: Path) -> str:
    """The command that opens this folder's dashboard."""
    return f"tensorboard --logdir {shlex.quote(str(folder))}"


def as_text(table: Table) -> str:
    """A table as lines of text."""
    text = io.StringIO()
    console = Console(file=text, width=MOST_CHARACTERS)
    if not (sys.stdout.encoding or "").lower().startswith("utf"):
        table.box = box.ASCII  # a western Windows has no lines to draw with
    needed = Measurement.get(console, console.options, table)
    console.print(table, width=max(MOST_COLUMNS, needed.maximum))
    return text.getvalue().rstrip()
