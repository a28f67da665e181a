"""The answer at the end of a sweep or run, and again from its folder: tables and sentences."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from djd.comparison.baseline_files import KeptBaseline, fit_to, keep_baselines, kept_baselines
from djd.comparison.cells import axes_name
from djd.comparison.findings.answer import Answer, OpenedRefit, work_out
from djd.comparison.findings.cell_rows import cell_rows
from djd.comparison.findings.ranking import MOST_ROWS, effects_table, grade_table, ranked_table
from djd.comparison.findings.sentences import sentences
from djd.comparison.findings.tables import SETTINGS_NAME, write_tables
from djd.comparison.folder import Contents, run_contents
from djd.comparison.plan import Plan, cohort_digest
from djd.comparison.refits import WINNER, Refit, each_refit, winner_refit
from djd.comparison.settings import Setting, score_settings
from djd.comparison.states import States
from djd.errors import InputError
from djd.resume_latest import RESULT_NAME
from djd.scans.cohort import Cohort
from djd.training.reading import read_data
from djd.training.result import RunResult
from djd.training.split import PatientSplit
from djd.training.summary import as_text, count_of


def answer_now(
    folder: Path,
    settings: Sequence[Setting],
    refits: Sequence[OpenedRefit],
    *,
    cohort: Cohort,
    split: PatientSplit,
) -> Answer:
    """The answer of what has just been trained; its baselines are fitted and kept beside it.

    Args:
        folder: Of the sweep or run.
        settings: Those whose cells are all finished, the best first.
        refits: Settings that were scored on the test patients, the winner first.
        cohort: The knees.
        split: The wall between development and test patients.
    """
    notes: list[str] = []
    if settings:
        try:
            baselines = fit_to(settings[0], cohort, split, opens_test=bool(refits))
            config = settings[0].cells[0].planned.cell.config
            keep_baselines(folder, baselines, cohort, config)
        except InputError as error:
            notes.append(f"no baselines: {error}")
        except OSError as error:
            notes.append(f"no baselines: {error.filename} can't be written ({error.strerror})")
    return work_out(settings, refits=refits, baselines=_kept(folder, notes), notes=notes)


def answer_again(contents: Contents) -> Answer:
    """The answer of a folder that was left by a sweep or run, whatever is missing in it.

    Baselines are taken as they lie there; where they don't, they are fitted, if the scans are still
    at hand.
    """
    settings, incomplete = score_settings(contents.planned, contents.states.finished)
    notes = list(contents.notes)
    if incomplete and not contents.run:
        notes.append(
            f"left out: {count_of(incomplete, 'setting')} not all of whose cells are finished"
        )
    refits = _opened_before(contents, settings)
    kept = _kept(contents.folder, notes)
    if settings and not (kept and all(each.test or not refits for each in kept)):
        try:
            cohort, split = _data(contents, settings[0])
        except (InputError, OSError) as error:
            notes.append(f"no baselines: the scans can't be read again ({error})")
        else:
            return answer_now(contents.folder, settings, refits, cohort=cohort, split=split)
    return work_out(settings, refits=refits, baselines=kept, notes=notes)


def _kept(folder: Path, notes: list[str]) -> tuple[KeptBaseline, ...]:
    try:
        return kept_baselines(folder)
    except InputError as error:
        notes.append(f"no baselines: {error}")
        return ()


def _data(contents: Contents, best: Setting) -> tuple[Cohort, PatientSplit]:
    """The cohort that a folder was trained on.

    Raises:
        InputError: It is another one now, or can't be read.
    """
    cohort, split = read_data(best.cells[0].planned.cell.config)
    if contents.run:
        same = cohort.fingerprint() == contents.run.fingerprint
    else:
        same = cohort_digest(cohort, split) == Plan.load(contents.folder).cohort_digest
    if not same:
        raise InputError(f"{cohort.root}: expected the cohort that was compared, received another")
    return cohort, split


def opened_refits(best: Setting, winner: Refit, others: Iterable[Refit]) -> list[OpenedRefit]:
    """Refits that have been scored on the test patients, the winner first.

    Args:
        best: The setting that the winner is.
        winner: Its refit.
        others: Those of `test=each`, which have all score epochs.
    """
    opened = []
    if result := winner.result():
        opened.append(OpenedRefit(best.name, winner.folder, result.test[-1]))
    for refit in others:
        result = refit.result()
        for scores in result.test if result else ():
            name = axes_name({**refit.axes, "epochs": scores.epoch})
            if name != best.name:
                opened.append(OpenedRefit(name, refit.folder, scores))
    return opened


def _opened_before(contents: Contents, settings: Sequence[Setting]) -> list[OpenedRefit]:
    if contents.run:
        return run_opened(contents.folder, contents.run, settings)
    if not settings:
        return []
    best = settings[0]
    opened = opened_refits(
        best,
        winner_refit(contents.folder, best),
        each_refit(contents.folder, contents.planned),
    )
    there = {refit.folder for refit in opened}
    earlier = [
        path.parent
        for path in sorted(contents.folder.glob(f"{WINNER}/*/{RESULT_NAME}"))
        if path.parent not in there
    ]
    return opened + [refit for folder in earlier for refit in _earlier_winner(folder)]


def _earlier_winner(folder: Path) -> Iterable[OpenedRefit]:
    """A setting that was the winner once, when less had been compared."""
    try:
        result = RunResult.load(folder / RESULT_NAME)
    except (InputError, OSError):
        return
    if result.test:
        yield OpenedRefit(folder.name, folder, result.test[-1])


def run_opened(folder: Path, result: RunResult, settings: Sequence[Setting]) -> list[OpenedRefit]:
    """What a single run left of the test patients."""
    if not result.test:
        return []
    name = settings[0].name if settings else result.setting
    return [OpenedRefit(name, folder / WINNER / result.setting, result.test[-1])]


def tell_run(folder: Path, result: RunResult, cohort: Cohort, split: PatientSplit) -> Iterable[str]:
    """What a single run's scores mean, in lines for the terminal; its tables are written.

    A disk that takes no more costs tables and baselines, not the run.
    """
    contents = run_contents(folder, result)
    settings, _ = score_settings(contents.planned, contents.states.finished)
    refits = run_opened(folder, result, settings)
    answer = answer_now(folder, settings, refits, cohort=cohort, split=split)
    yield as_text(grade_table(answer))
    yield from sentences(answer)
    try:
        write_answer(folder, answer, contents.states, stamp=contents.stamp)
    except OSError as error:
        yield f"warning: {error.filename or folder}: can't be written ({error.strerror or error})"


def write_answer(folder: Path, answer: Answer, states: States, *, stamp: str | None) -> None:
    """Write the tables of an answer into its folder.

    Raises:
        OSError: They can't be written.
    """
    write_tables(folder, answer, cell_rows(states), stamp=stamp)


def answer_lines(answer: Answer) -> list[str]:
    """The answer for the terminal: ranked settings, effects, sentences."""
    lines = []
    if answer.findings and len(answer.findings.settings) == 1:
        lines.append(as_text(grade_table(answer)))
    elif answer.findings:
        lines.append(as_text(ranked_table(answer.findings)))
        if (more := len(answer.findings.settings) - MOST_ROWS) > 0:
            lines.append(f"... and {count_of(more, 'more setting')} ({SETTINGS_NAME} has all)")
        if table := effects_table(answer.findings):
            lines.append(as_text(table))
    return [*lines, *sentences(answer)]
