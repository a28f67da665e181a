"""The `djd` command: everything that is not training."""

import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from djd.check.command import check
from djd.console import console, exit_2_on_error
from djd.environment import forget_launcher, show_every_line
from djd.errors import DriveError, InputError
from djd.files import as_stored
from djd.garbage import end_without_collecting
from djd.grades import PHANTOM_STAMP, LabelsFrom, LabelsKind, PhantomFormat, PhantomStyle
from djd.progress import progress_bar
from djd.wording import on_terminal

app = typer.Typer(
    help="Knee grades on whole-body bone scans: cohorts, reports, grades. Research use only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
ModelPath = Annotated[
    Path, typer.Argument(help="A model file, or the folder of a run or sweep: its winner.")
]
More = Annotated[
    list[Path] | None,
    typer.Option("--with", help="A model that grades together with the first; repeat."),
]
Trust = Annotated[
    list[str] | None,
    typer.Option(help="Module of a network or loss of your own, whose code may run; repeat."),
]
ViewOrderOption = Annotated[
    Literal["anterior", "posterior"] | None, typer.Option(help="As data.view_order.")
]


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(help="Folder to make; it may not hold scans yet.")],
    patients: Annotated[int, typer.Option(min=1, help="Patients to invent.")] = 205,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another cohort.")] = 0,
    null: Annotated[bool, typer.Option("--null", help="Grades unrelated to images.")] = False,
    style: Annotated[PhantomStyle, typer.Option(help="As data.phantom_style.")] = "plain",
    file_format: Annotated[
        PhantomFormat, typer.Option("--format", help="MATLAB files, or DICOM and a grades.csv.")
    ] = "mat",
) -> None:
    """Invent a cohort of bone scans in the real file formats."""
    from djd.data.phantom.cohort import make_cohort

    with progress_bar("inventing scans", patients) as on_scan:
        make_cohort(
            out,
            patients=patients,
            seed=seed,
            null=null,
            style=style,
            file_format=file_format,
            on_scan=on_scan,
        )
    console.print(f"{PHANTOM_STAMP}. {patients} scans in {out}", markup=False)


app.command()(check)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a sweep or of a finished run.")],
) -> None:
    """Compute the answer of a sweep or run again, from the files in its folder.

    Ranked settings with intervals, effects, baselines; written to report.html with its plots,
    settings.csv, effects.csv and cells.csv. Missing and damaged files are named, and the answer
    is that of the others.
    """
    from djd.garbage import keeping_all
    from djd.report.report import answer_again, answer_lines, report_line, write_answer
    from djd.sweeps.sweep import read_folder

    folder = as_stored(folder)
    with keeping_all():  # thousands of cells are no garbage
        contents = read_folder(folder)
        answer = answer_again(contents)
    for line in answer_lines(answer):
        console.print(line, markup=False)
    for cell, reason in contents.failed:
        console.print(f"failed: {cell.folder.name}: {reason}", markup=False)
    console.print(". ".join(filter(None, (contents.stamp, "Research use only"))), markup=False)
    write_answer(contents, answer, with_page=True)
    console.print(f"Tables: settings.csv, effects.csv and cells.csv in {folder}", markup=False)
    console.print(report_line(folder), markup=False)


@app.command()
def predict(
    model: ModelPath,
    scans: Annotated[list[Path], typer.Argument(help="Files of scans, or folders of them.")],
    out: Annotated[Path, typer.Option(help="Folder that predictions.csv is written to.")],
    more: More = None,
    trust: Trust = None,
    format_module: Annotated[str | None, typer.Option(help="As data.format_module.")] = None,
    view_order: ViewOrderOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    specificity: Annotated[
        float, typer.Option(help="Share of normal knees that shall not count as diseased.")
    ] = 0.9,
    pictures: Annotated[bool, typer.Option(help="Draw a picture a scan.")] = True,
) -> None:
    """Grade new scans; labels are not needed. Research use only.

    Rows of a stopped command are kept. Exit status 0: all scans are graded, 1: some can't be, 2:
    none is.
    """
    from djd.data.formats import import_formats
    from djd.predict.answer import as_object, say_predicted, write_index, write_patients
    from djd.predict.doubts import model_cut
    from djd.predict.loading import find_sources, load_model
    from djd.predict.pictures import patient_png
    from djd.predict.table import predict_into

    with exit_2_on_error():
        if format_module:
            import_formats(format_module)
        grader = load_model(model, *(more or ()), trust=trust or ())
        grader = replace(grader, view_order=view_order)
        paths = find_sources(scans)
        with progress_bar("grading scans", len(paths)) as on_scan:
            cut = model_cut(grader.models, specificity)
            draw = partial(patient_png, grader=grader, cut=cut) if pictures else None
            predicted = predict_into(as_stored(out), grader, paths, on_scan, draw=draw)
        write_patients(predicted, cut)
        page = write_index(predicted, grader)
    if as_json:
        typer.echo(as_object(predicted, grader))
    else:
        for line in say_predicted(predicted, grader):
            console.print(line, markup=False)
        console.print(f"Page: {page}", markup=False)
    if predicted.failed:
        raise typer.Exit(1 if predicted.graded else 2)


@app.command()
def score(
    model: ModelPath,
    folder: Annotated[Path, typer.Argument(help="Folder of graded scans.")],
    out: Annotated[Path, typer.Option(help="Folder that the files are written to.")] = Path(
        "score"
    ),
    more: More = None,
    trust: Trust = None,
    labels_from: Annotated[LabelsFrom, typer.Option(help="As data.labels_from.")] = "auto",
    exclude: Annotated[list[str] | None, typer.Option(help="A scan to leave out; repeat.")] = None,
    groups: Annotated[Path | None, typer.Option(help="As data.groups.")] = None,
    grade_names: Annotated[Path | None, typer.Option(help="As data.grade_names.")] = None,
    labels: Annotated[Path | None, typer.Option(help="As data.labels.")] = None,
    labels_kind: Annotated[LabelsKind | None, typer.Option(help="As data.labels_kind.")] = None,
    format_module: Annotated[str | None, typer.Option(help="As data.format_module.")] = None,
    view_order: ViewOrderOption = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of the ledger; by default that of the training.")
    ] = None,
) -> None:
    """Score a model on the graded scans of another hospital. Research use only.

    Exit status 0: all scans are scored, 1: files can't be read, 2: nothing can be scored.
    """
    from djd.data.cohort import read_cohort
    from djd.data.formats import import_formats
    from djd.data.labels import given_labels
    from djd.data.problems import require_trainable
    from djd.data.scan_files import find_scans
    from djd.data.tables import read_grade_names, read_groups
    from djd.predict.loading import load_model
    from djd.predict.score_files import require_own_folder, write_scores
    from djd.predict.score_folder import score_cohort
    from djd.predict.score_words import say_scored

    out, folder = as_stored(out), as_stored(folder)
    with exit_2_on_error():
        if format_module:
            import_formats(format_module)
        require_own_folder(out)
        grader = load_model(model, *(more or ()), trust=trust or ())
        grader = replace(grader, view_order=view_order)
        scans = find_scans(folder)
        say_unknown(exclude or (), scans.names)
        patients = read_groups(as_stored(groups), known=set(scans.names)) if groups else {}
        spellings = read_grade_names(as_stored(grade_names)) if grade_names else {}
        graded = given_labels(
            labels and as_stored(labels),
            known=set(scans.names),
            kind=labels_kind,
            grade_names=spellings,
        )
        scans = scans.without(exclude or ())
        with progress_bar("reading scans", len(scans)) as on_scan:
            cohort = read_cohort(
                scans,
                patients=patients,
                placement=grader.models[0].content.crops.placement,
                view_order=view_order,
                labels_from=labels_from,
                grade_names=spellings,
                labels=graded,
                on_scan=on_scan,
            )
        require_trainable(cohort, labels_from=labels_from, on_error="skip", views=grader.views)
        by_name = {files.name: files for files in scans}
        with progress_bar("grading scans", len(scans)) as on_scan:
            found = score_cohort(cohort, grader, by_name, on_scan, cache=cache)
        write_scores(out, found, grader)
    for part in say_scored(found, grader):
        console.print(part, markup=False)
    console.print(f"Page: {out / 'score.html'}", markup=False)
    if cohort.unreadable:
        raise typer.Exit(1)


@app.command()
def export(
    model: ModelPath,
    onnx: Annotated[bool, typer.Option("--onnx", help="As an ONNX graph.")] = False,
    out: Annotated[Path, typer.Option(help="Where the graph goes.")] = Path("model.onnx"),
    trust: Trust = None,
) -> None:
    """Write a model for other programs: from counts to probabilities."""
    from djd.models.model import read_model
    from djd.predict.export import export_onnx
    from djd.predict.loading import find_model

    if not onnx:
        raise InputError("djd export: expected --onnx, the one form so far, received no form")
    read = read_model(find_model(model), trust or ())
    export_onnx(read, out)
    console.print(". ".join(filter(None, (read.stamp, "Research use only"))), markup=False)
    console.print(f"Graph: {out}", markup=False)


def say_unknown(exclude: Sequence[str], scans: Collection[str]) -> None:
    """Print the names of `--exclude` that no scan has."""
    from djd.data.names import one_form, unknown_names

    if unknown := unknown_names(map(one_form, exclude), scans):
        console.print(f"--exclude names no scan: {', '.join(unknown)}", markup=False)


def main() -> None:
    """Run `djd`; an error that a person can mend is one sentence and exit status 1."""
    show_every_line()
    forget_launcher()
    end_without_collecting()
    try:
        app()
    except (InputError, DriveError) as error:
        sys.exit(on_terminal(str(error)))
    except OSError as error:
        sys.exit(on_terminal(f"{error.filename or 'writing a file'}: {error.strerror or error}"))
