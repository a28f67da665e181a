"""`djd check`: what is in a folder of scans, and what is wrong with it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from djd.console import console, exit_2
from djd.errors import DriveError, InputError, file_sentence
from djd.files import as_stored
from djd.grades import LabelsFrom, LabelsKind, OnError
from djd.progress import progress_bar

if TYPE_CHECKING:
    from djd.check.cohort_problems import Checked, Choices
    from djd.check.problems import Problem
    from djd.data.cohort import Labels
    from djd.data.scan import GradeNames
    from djd.data.scan_files import ScanFolder

INTERRUPTED = 130
"""Exit status after Ctrl-C, as of shells."""


def check(
    folder: Annotated[Path, typer.Argument(help="Folder of scans.")],
    out: Annotated[
        Path, typer.Option(help="Folder for check.html, its pictures and check.csv.")
    ] = Path(),
    test_count: Annotated[int, typer.Option(min=1, help="As data.test_count.")] = 40,
    crop: Annotated[Literal["study", "robust"], typer.Option(help="As data.crop.")] = "study",
    views: Annotated[
        Literal["anterior", "posterior", "both", "each"], typer.Option(help="As data.views.")
    ] = "each",
    labels_from: Annotated[LabelsFrom, typer.Option(help="As data.labels_from.")] = "auto",
    on_error: Annotated[OnError, typer.Option(help="As data.on_error.")] = "stop",
    exclude: Annotated[list[str] | None, typer.Option(help="A scan to leave out; repeat.")] = None,
    groups: Annotated[Path | None, typer.Option(help="As data.groups.")] = None,
    grade_names: Annotated[Path | None, typer.Option(help="As data.grade_names.")] = None,
    labels: Annotated[Path | None, typer.Option(help="As data.labels.")] = None,
    labels_kind: Annotated[LabelsKind | None, typer.Option(help="As data.labels_kind.")] = None,
    view_order: Annotated[
        Literal["anterior", "posterior"] | None, typer.Option(help="As data.view_order.")
    ] = None,
    format_module: Annotated[str | None, typer.Option(help="As data.format_module.")] = None,
    show_names: Annotated[
        bool,
        typer.Option("--show-names", help="Print unknown severity names; they may name patients."),
    ] = False,
) -> None:
    """Check a folder of scans: counts, every problem, and a page with every scan.

    Exit status 0: training would go on, 1: it would stop, 2: nothing could be checked.
    """
    from djd.check.cohort_problems import Choices
    from djd.check.summary import names_in_brackets
    from djd.data.formats import import_formats

    choices = Choices(crop, views, labels_from, on_error, test_count, view_order)
    tables = _Tables(groups, grade_names, labels, labels_kind)
    keys = {
        **choices.changed,
        "data.exclude": names_in_brackets(exclude) if exclude else None,
        **tables.keys,
        "data.format_module": format_module,
    }
    try:
        if format_module:
            import_formats(format_module)
        given = _Given.of(as_stored(folder), exclude or (), tables)
        found = _check(given, choices, as_stored(out), keys, show_names=show_names)
    except (InputError, DriveError) as error:
        exit_2(str(error))
    except OSError as error:
        exit_2(file_sentence(error, out))
    except KeyboardInterrupt:
        console.print("Stopped; no page was written.")
        raise typer.Exit(INTERRUPTED) from None
    if found.stops:
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Tables:
    """The tables of `data`, by path."""

    groups: Path | None
    grade_names: Path | None
    labels: Path | None
    labels_kind: LabelsKind | None

    @property
    def keys(self) -> dict[str, object]:
        return {f"data.{each.name}": getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, eq=False)
class _Given:
    """The scans of a folder, what the tables say of them, and what is wrong with the tables.

    `needs_labels` is False where a table was to grade them.
    """

    scans: "ScanFolder"
    patients: Mapping[str, str]
    grade_names: "GradeNames"
    labels: "Labels | None"
    needs_labels: bool
    problems: "Sequence[Problem]"

    @classmethod
    def of(cls, folder: Path, exclude: Sequence[str], tables: _Tables) -> "_Given":
        from djd.check.cohort_problems import unknown_exclusions
        from djd.check.kinds import FOLDER, SAME_NAME
        from djd.check.problems import Problem
        from djd.data.labels import given_labels
        from djd.data.scan_files import find_scans
        from djd.data.tables import read_grade_names, read_groups

        problems: list[Problem] = []

        def on_fault(sentence: str, scan: str | None) -> None:
            problems.append(Problem(SAME_NAME if scan else FOLDER, sentence, scan, stops=True))

        scans = find_scans(folder, on_fault=on_fault)
        known = set(scans.names)
        problems += unknown_exclusions(exclude, scans.names)
        patients: Mapping[str, str] = {}
        grade_names: GradeNames = {}
        labels: Labels | None = None
        with _problem_of(problems):
            if tables.groups:
                patients = read_groups(as_stored(tables.groups), known=known)
        with _problem_of(problems):
            if tables.grade_names:
                grade_names = read_grade_names(as_stored(tables.grade_names))
        with _problem_of(problems):
            labels = given_labels(
                tables.labels and as_stored(tables.labels),
                known=known,
                kind=tables.labels_kind,
                grade_names=grade_names,
            )
        needs_labels = tables.labels is None
        kept = scans.without(exclude)
        return cls(kept, patients, grade_names, labels, needs_labels, problems)


@contextmanager
def _problem_of(problems: "list[Problem]") -> Iterator[None]:
    """What is wrong with a table stops training, and not the check."""
    from djd.check.kinds import TABLE
    from djd.check.problems import Problem

    try:
        yield
    except InputError as error:
        problems.append(Problem(TABLE, str(error), stops=True))


def _check(
    given: _Given, choices: "Choices", out: Path, keys: Mapping[str, object], *, show_names: bool
) -> "Checked":
    """Read the scans once, write what was found and print it."""
    from djd.check.cohort_problems import checked
    from djd.check.looks import Look, look_at
    from djd.check.summary import crop_line, name_lines, say_checked, train_line
    from djd.check.written import TABLE_NAME, new_pictures, write_check
    from djd.data.cohort import examine_cohort
    from djd.data.scan_knees import ReadOptions

    options = ReadOptions(
        choices.crop,
        choices.labels_from,
        given.grade_names,
        choices.view_order,
        needs_labels=given.needs_labels,
    )
    with new_pictures(out) as pictures:
        look = partial(look_at, placement=choices.crop, pictures=pictures)
        with progress_bar("reading scans", len(given.scans)) as on_scan:
            cohort, examined = examine_cohort(
                given.scans,
                options,
                look,
                patients=given.patients,
                labels=given.labels,
                on_scan=on_scan,
            )
        each = zip(cohort.scans, examined, strict=True)
        looks = {scan: seen for scan, seen in each if isinstance(seen, Look)}
        found = checked(cohort, looks, choices, given.problems)
        line = train_line(given.scans, keys, found)
        page = write_check(out, pictures, found, given.scans, train_line=line)
    say_checked(found)
    for said in name_lines(looks.values()) if show_names else ():
        console.print(said, markup=False)
    console.print(f"Page: {page}; table: {out / TABLE_NAME}", markup=False)
    for said in filter(None, (crop_line(found), f"To train: {line}")):
        console.print(said, markup=False)
    return found
