"""The answer at the end of a run or sweep, and again from a folder: printed and written."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from djd.data.cohort import Cohort
from djd.data.split import PatientSplit
from djd.errors import InputError
from djd.report.answer import REPORT_NAME, Answer, serves, work_out
from djd.report.headline import NOTHING_HELD_OUT, all_folds, reader_sentences
from djd.report.ranking import terminal_tables
from djd.report.sentences import sentences
from djd.report.tables import write_tables
from djd.runs.config import RunConfig
from djd.runs.folder import MODEL_NAME, WINNER, kept_readings
from djd.runs.prepare import read_data
from djd.runs.result import RunResult
from djd.runs.summary import openings_sentence, say, tensorboard_line
from djd.runs.test_ledger import count_openings
from djd.sweeps.baseline_files import KeptBaseline, fit_to, keep_baselines, kept_baselines
from djd.sweeps.cells import Cell
from djd.sweeps.compare import Comparison
from djd.sweeps.evidence import Evidence, gather
from djd.sweeps.folder import Contents, run_contents
from djd.sweeps.plan import Plan, cohort_digest
from djd.sweeps.scored_refits import OpenedRefit, run_opened, unusable_winners, winners_opened
from djd.sweeps.settings import Setting, score_settings
from djd.sweeps.summary import Outcome
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
    """The answer of what has just been trained; baselines are fitted and kept beside it.

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
    """The answer of a folder that a sweep or run has left, whatever is missing in the folder.

    Baselines are read from the folder; where the folder has none, or those of other knees, they
    are fitted, if the scans are still at hand.
    """
    evidence, refits, notes = _gather(contents)
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


def _gather(contents: Contents) -> tuple[Evidence, list[OpenedRefit], list[str]]:
    """Settings that can be compared, those scored on the test patients, and what is left out."""
    settings, incomplete = score_settings(contents.cells, contents.states.finished)
    evidence = gather(settings)
    if contents.run:
        refits = run_opened(contents.folder, contents.run, evidence.settings)
    else:
        refits = winners_opened(contents.folder, contents.cells, evidence.settings)
    return evidence, refits, [*contents.notes, *_missing(contents, settings, incomplete)]


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


def report_run(config: RunConfig, folder: Path, result: RunResult) -> None:
    """Print the answer of a run as that of a comparison of one setting; write tables and page.

    A disk that takes no more costs tables and baselines, not the run.

    Args:
        config: Of the run.
        folder: Of the run.
        result: What came of it.
    """
    contents = run_contents(folder, result)
    evidence, refits, notes = _gather(contents)
    cohort, split = read_data(config)
    answer = answer_now(folder, evidence, refits, cohort=cohort, split=split, notes=notes)
    for line in answer_lines(answer):
        say(line)
    try:
        write_answer(contents, answer, with_page=config.report)
    except OSError as error:
        say(f"warning: {error.filename or folder}: can't be written ({error.strerror or error})")
    else:
        if config.report:
            say(report_line(folder))
    if result.test_openings:
        say(openings_sentence(result.test_openings))
        say(f"Model of all development patients: {folder / WINNER / result.setting / MODEL_NAME}")
    _say_where(folder, contents.stamp)


def write_answer(contents: Contents, answer: Answer, *, with_page: bool) -> None:
    """Write the tables of an answer, and the page, into its folder.

    Args:
        contents: What is in the folder.
        answer: What was worked out of the contents.
        with_page: Whether the page and its plots are written too.

    Raises:
        OSError: A file can't be written.
    """
    write_tables(contents.folder, answer, contents.states, stamp=contents.stamp)
    if with_page:
        from djd.report.page.page import write_page  # matplotlib takes half a second

        write_page(contents, answer)


def report_line(folder: Path) -> str:
    """Where the page is."""
    return f"Report: {folder / REPORT_NAME}"


def answer_lines(answer: Answer) -> list[str]:
    """The answer for the terminal: ranked settings, effects, grades, sentences."""
    return [*terminal_tables(answer), *sentences(answer), *reader_sentences(answer.second_reader)]


def report_sweep(comparison: Comparison, outcome: Outcome) -> None:
    """Print the answer of a sweep and write its tables and page.

    Args:
        comparison: The sweep.
        outcome: What came of it.

    Raises:
        OSError: A table or the page can't be written.
    """
    config, folder = comparison.cells[0].config, comparison.folder
    evidence = outcome.evidence
    refits = winners_opened(folder, comparison.cells, evidence.settings)
    answer = answer_now(folder, evidence, refits, cohort=comparison.cohort, split=comparison.split)
    say_end(
        outcome,
        comparison.cells,
        answer_lines(answer),
        stamp=config.stamp(phantom=comparison.cohort.phantom),
        openings=count_openings(config.paths.cache, comparison.cohort, comparison.split),
    )
    contents = Contents(folder, tuple(comparison.cells), outcome.states, None, ())
    write_answer(contents, answer, with_page=config.report)
    if config.report:
        say(report_line(folder))


def say_end(
    outcome: Outcome,
    cells: Sequence[Cell],
    answer: Sequence[str],
    *,
    stamp: str | None,
    openings: int,
) -> None:
    """The answer, what failed, who decided, and where everything is.

    Args:
        outcome: What came of it.
        cells: Its cells.
        answer: The answer in lines.
        stamp: What has to stand on everything.
        openings: How often the cohort's test patients have been opened so far.
    """
    folder = cells[0].folder.parent
    for line in answer:
        say(line)
    _say_missing(outcome)
    if outcome.evidence.settings:
        _say_who_decided(outcome.evidence, cells)
    _say_winner(outcome, openings)
    _say_where(folder, stamp)


def _say_where(folder: Path, stamp: str | None) -> None:
    say(". ".join(filter(None, (stamp, "Research use only"))))
    say(f"Everything is in {folder}")
    say(f"Dashboard: {tensorboard_line(folder)}")


def _say_missing(outcome: Outcome) -> None:
    if outcome.incomplete:
        say(
            f"{count_of(outcome.incomplete, 'setting')} left out: not all cells are finished, or "
            "nothing was held out"
        )
    if outcome.states.elsewhere:
        say(
            f"{count_of(len(outcome.states.elsewhere), 'cell')} in another process's hands: the "
            "last one to finish will choose the winner"
        )
    for name, reason in outcome.failures:
        say(f"failed: {name}: {reason}")
    if outcome.failures:
        say("Each failed folder holds error.txt and run.log; the same command tries them again")


def _say_who_decided(evidence: Evidence, cells: Sequence[Cell]) -> None:
    data = cells[0].config.data
    folds = {cell.config.data.fold for cell in cells} - {None}
    knees = count_of(len(evidence.knees), "knee")
    patients = count_of(len(evidence.patients), "patient")
    say(f"Scores are out of fold: {knees} of {patients} decide")
    if len(folds) < data.folds:
        say(f"With {all_folds(data.folds)} in the command, all development patients decide")


def _say_winner(outcome: Outcome, openings: int) -> None:
    if outcome.best and not outcome.winner:
        say(f"Best out of fold: {outcome.best.name}. The test patients stay closed (test=never)")
    if not outcome.winner:
        return
    result = outcome.winner.result()
    if result is None:
        if not outcome.winner.reason():
            say(f"The winner {outcome.winner.name} is in another process's hands")
        return
    say(openings_sentence(openings))
    say(f"Model of all development patients: {outcome.winner.folder / MODEL_NAME}")
