"""The answer at the end of a sweep or run, and again from its folder: tables and sentences."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from djd.data.cohort import Cohort
from djd.data.split import PatientSplit
from djd.errors import InputError
from djd.report.answer import Answer, serves, work_out
from djd.report.cell_rows import cell_rows
from djd.report.headline import NOTHING_HELD_OUT
from djd.report.ranking import MOST_ROWS, effects_table, grade_table, ranked_table
from djd.report.reader_sentences import reader_sentences
from djd.report.sentences import sentences
from djd.report.tables import REPORT_NAME, SETTINGS_NAME, write_tables
from djd.runs.for_report import kept_readings
from djd.runs.reading import read_data
from djd.runs.result import RunResult
from djd.runs.summary import as_text
from djd.sweeps.baseline_files import KeptBaseline, fit_to, keep_baselines, kept_baselines
from djd.sweeps.evidence import Evidence, gather
from djd.sweeps.folder import Contents, run_contents
from djd.sweeps.plan import Plan, cohort_digest
from djd.sweeps.scored_refits import OpenedRefit, run_opened, unusable_winners, winners_opened
from djd.sweeps.settings import Setting, score_settings
from djd.wording import count_of


def answer_now(
    folder: Path,
    evidence: Evidence,
    refits: Sequence[OpenedRefit],
    *,
    cohort: Cohort,
    split: PatientSplit,
    notes: Iterable[str] = (),
) -> Answer:
    """The answer of what has just been trained; its baselines are fitted and kept beside it.

    Args:
        folder: Of the sweep or run.
        evidence: Settings whose cells are all finished, the best first.
        refits: Settings that were scored on the test patients, the winner first.
        cohort: The knees.
        split: The wall between development and test patients.
        notes: What the caller knows to be missing.
    """
    said = list(notes)
    if evidence.settings:
        best = evidence.settings[0]
        try:
            baselines = fit_to(best, cohort, split, opens_test=_is_opened(best, refits))
            keep_baselines(folder, baselines, cohort, best)
        except InputError as error:
            said.append(f"no baselines: {error}")
        except OSError as error:
            said.append(f"no baselines: {error.filename} can't be written ({error.strerror})")
    kept, damage = _kept(folder)
    return _work_out(folder, evidence, refits, kept, notes=[*said, *damage])


def answer_again(contents: Contents) -> Answer:
    """The answer of a folder that was left by a sweep or run, whatever is missing in it.

    Baselines are taken as they lie there; where they don't, or are of other knees, they are fitted,
    if the scans are still at hand.
    """
    settings, incomplete = score_settings(contents.cells, contents.states.finished)
    evidence = gather(settings)
    notes = [*contents.notes, *_missing(contents, settings, incomplete)]
    if contents.run:
        refits = run_opened(contents.folder, contents.run, evidence.settings)
    else:
        refits = winners_opened(contents.folder, contents.cells, evidence.settings)
    kept, damage = _kept(contents.folder)
    if evidence.settings and not _serve(kept, evidence, refits):
        try:
            cohort, split = _data(contents, evidence.settings[0])
        except (InputError, OSError) as error:
            notes += [*damage, f"no baselines fitted: the scans can't be read again ({error})"]
        else:
            return answer_now(
                contents.folder, evidence, refits, cohort=cohort, split=split, notes=notes
            )
    return _work_out(contents.folder, evidence, refits, kept, notes=notes)


def _work_out(
    folder: Path,
    evidence: Evidence,
    refits: Sequence[OpenedRefit],
    baselines: Sequence[KeptBaseline],
    *,
    notes: Sequence[str],
) -> Answer:
    """The answer, with the second reader as the folder has it."""
    readings, damage = None, []
    try:
        readings = kept_readings(folder)
    except InputError as error:
        damage = [f"no second reader: {error}"]
    return work_out(
        evidence, refits=refits, baselines=baselines, notes=[*notes, *damage], readings=readings
    )


def _missing(contents: Contents, settings: Sequence[Setting], incomplete: int) -> Iterable[str]:
    """What is left out before anything is compared."""
    if contents.run:
        if not contents.run.validation:
            yield NOTHING_HELD_OUT
        return
    if incomplete:
        some = count_of(incomplete, "setting")
        yield f"left out: {some} that lack a finished cell, or hold nothing out (cells.csv has all)"
    used = {id(cell) for setting in settings for cell in setting.cells}
    compared = {tuple(setting.axes.values()) for setting in settings}
    for cell in contents.states.finished:
        place = tuple(cell.setting_axes.values())
        if place in compared and id(cell) not in used and cell.result.validation:
            name = cell.folder.name
            yield f"left out: {name}: another seed of its setting has more folds"
    yield from unusable_winners(contents.folder)


def _is_opened(best: Setting, refits: Iterable[OpenedRefit]) -> bool:
    """Whether this very setting has been scored on the test patients, and so its baselines may."""
    return any(refit.name == best.name for refit in refits)


def _serve(kept: Sequence[KeptBaseline], evidence: Evidence, refits: Iterable[OpenedRefit]) -> bool:
    """Whether baselines are of the same knees, and of the test patients where those were opened."""
    best = evidence.settings[0]
    opened = _is_opened(best, refits)
    return bool(kept) and all(serves(each, evidence) and (each.test or not opened) for each in kept)


def _kept(folder: Path) -> tuple[tuple[KeptBaseline, ...], list[str]]:
    """Baselines as they lie there, and what is wrong with them."""
    try:
        return kept_baselines(folder), []
    except InputError as error:
        return (), [f"no baselines: {error}"]


def _data(contents: Contents, best: Setting) -> tuple[Cohort, PatientSplit]:
    """The cohort that a folder was trained on.

    Raises:
        InputError: It is another one now, or can't be read.
    """
    cohort, split = read_data(best.cells[0].config)
    if contents.run:
        same = cohort.fingerprint() == contents.run.fingerprint
    else:
        same = cohort_digest(cohort, split) == Plan.load(contents.folder).cohort_digest
    if not same:
        raise InputError(f"{cohort.root} holds other scans than those that were compared")
    return cohort, split


def tell_run(folder: Path, result: RunResult, cohort: Cohort, split: PatientSplit) -> Iterable[str]:
    """What a single run's scores mean, in lines for the terminal; its tables are written.

    A disk that takes no more costs tables and baselines, not the run.
    """
    contents = run_contents(folder, result)
    settings, incomplete = score_settings(contents.cells, contents.states.finished)
    evidence = gather(settings)
    refits = run_opened(folder, result, evidence.settings)
    notes = _missing(contents, settings, incomplete)
    answer = answer_now(folder, evidence, refits, cohort=cohort, split=split, notes=notes)
    yield from answer_lines(answer)
    with_page = contents.cells[0].config.report
    try:
        write_answer(contents, answer, with_page=with_page)
    except OSError as error:
        yield f"warning: {error.filename or folder}: can't be written ({error.strerror or error})"
    except InputError as error:
        yield f"warning: {error}"
    else:
        if with_page:
            yield report_line(folder)


def write_answer(contents: Contents, answer: Answer, *, with_page: bool) -> None:
    """Write the tables of an answer, and the page that tells it, into its folder.

    Args:
        contents: What is in the folder.
        answer: What was worked out of it.
        with_page: Whether the page and its figures are written too.

    Raises:
        OSError: They can't be written.
        InputError: A figure can't be written.
    """
    write_tables(contents.folder, answer, cell_rows(contents.states), stamp=contents.stamp)
    if with_page:
        from djd.report.page.page import write_page  # matplotlib takes half a second

        write_page(contents, answer)


def report_line(folder: Path) -> str:
    """Where the page is."""
    return f"Report: {folder / REPORT_NAME}"


def answer_lines(answer: Answer) -> list[str]:
    """The answer for the terminal: ranked settings, effects, sentences."""
    lines = []
    if answer.findings:
        lines.append(as_text(ranked_table(answer.findings)))
        if (more := len(answer.findings.settings) - MOST_ROWS) > 0:
            lines.append(f"... and {count_of(more, 'more setting')} ({SETTINGS_NAME} has all)")
        if table := effects_table(answer.findings):
            lines.append(as_text(table))
    if answer.is_of_one:
        lines.append(as_text(grade_table(answer)))
    return [*lines, *sentences(answer), *reader_sentences(answer.second_reader)]
