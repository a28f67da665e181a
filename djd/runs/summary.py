"""Sentences and tables of a run on the terminal and in the log."""

import io
import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from rich import box
from rich.measure import Measurement
from rich.table import Table

from djd.data.cohort import Cohort
from djd.data.crop import Views
from djd.data.names import groups_line
from djd.data.problems import warnings_of
from djd.data.split import PartSummary
from djd.environment import lightning_variables
from djd.grades import GRADE_NAMES
from djd.runs.result import PartScores
from djd.terminal import Terminal
from djd.wording import count_of, in_shell, number, on_terminal, share

log = logging.getLogger("djd")

MOST_COLUMNS = 132
"""Width of tables: five compared axes and three scores with intervals; more axes take more."""

MOST_CHARACTERS = 1000


def say(sentence: str, level: int = logging.INFO) -> None:
    """Log a sentence, which prints it; with Hydra's logs off, print it alone."""
    sentence = on_terminal(sentence)
    to_terminal = any(type(each) is logging.StreamHandler for each in logging.root.handlers)
    is_logged = to_terminal or (log.hasHandlers() and log.isEnabledFor(level))
    if is_logged and not log.disabled:
        log.log(level, "%s", sentence)
        return
    with suppress(OSError):  # as a log on a full disk
        print(sentence, file=sys.stderr if level > logging.INFO else sys.stdout)


def say_cohort(
    cohort: Cohort,
    parts: Mapping[str, PartSummary],
    warnings: Sequence[str],
    *,
    views: Views = "both",
) -> None:
    """Print scans, knees and patients of the cohort and of each part, and warnings."""
    say(
        f"{cohort.size} in {cohort.root}: {len(cohort)} graded knees, "
        f"{cohort.unspecified} unspecified, {count_of(len(cohort.unreadable), 'scan')} unreadable"
    )
    if line := groups_line(dict(zip(cohort.scans, cohort.patients, strict=True))):
        say(line)
    table = Table("part", "patients", "knees", *GRADE_NAMES)
    for part, who in parts.items():
        knees = who.knees_per_grade
        table.add_row(part, str(len(who.patients)), str(sum(knees)), *map(str, knees))
    say(as_text(table))
    sentences = [*warnings, *(f"left out: {each}" for each in cohort.unreadable.values())]
    if cohort.disagreements:
        named = ", ".join(" ".join(knee) for knee in cohort.disagreements)
        sentences.append(f"severity id and name disagree: {named}")
    if variables := lightning_variables():
        named = ", ".join(variables)
        sentences.append(f"ignored, since a training is what its configuration says: {named}")
    for sentence in (*sentences, *warnings_of(cohort, views)):
        say(f"warning: {sentence}", logging.WARNING)


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
    return in_shell("tensorboard", "--logdir", str(folder))


SPARE_FILES = 50
"""Files that TensorBoard has open beside those of runs."""

ENOUGH_FILES = 65536


def open_files_sentence(runs: int) -> str | None:
    """What to type before TensorBoard opens so many runs; None where nothing is needed.

    Its data server keeps a file open for each run. Beyond the terminal's limit it shows some of the
    runs, and starts anew again and again.
    """
    if sys.platform == "win32":
        return None
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or runs + SPARE_FILES <= limit:
        return None
    return (
        f"TensorBoard keeps a file open for each of {runs:,} runs, and this terminal allows "
        f"{limit:,}: type ulimit -n {max(ENOUGH_FILES, 2 * runs)} there first"
    )


def as_text(table: Table) -> str:
    """A table as lines of text."""
    text = io.StringIO()
    console = Terminal(file=text, width=MOST_CHARACTERS)
    if not (sys.stdout.encoding or "").lower().startswith("utf"):
        table.box = box.ASCII  # a western Windows has no lines to draw with
    needed = Measurement.get(console, console.options, table)
    console.print(table, width=max(MOST_COLUMNS, needed.maximum))
    return text.getvalue().rstrip()
