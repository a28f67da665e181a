"""The answer at the end of a run or sweep, and again from a folder: printed and written."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, get_args

from djd.data.cohort import Cohort
from djd.data.split import PatientSplit
from djd.errors import ElsewhereError, InputError
from djd.garbage import keeping_all
from djd.grades import Decide
from djd.progress import progress_bar
from djd.report.answer import CELLS_NAME, REPORT_NAME, Answer, serves, work_out
from djd.report.headline import NOTHING_HELD_OUT, all_folds, reader_sentences
from djd.report.knees import Data, shown_knees
from djd.report.model_card import write_cards
from djd.report.ranking import terminal_tables
from djd.report.sentences import sentences
from djd.report.tables import write_tables
from djd.runs.config import RunConfig
from djd.runs.folder import MODEL_NAME, WINNER, kept_readings
from djd.runs.reading import read_data
from djd.runs.result import RunResult
from djd.runs.summary import open_files_sentence, openings_sentence, say, tensorboard_line
from djd.runs.test_ledger import count_openings
from djd.sweeps.baselines import BaselineName, KeptBaseline, fit_to
from djd.sweeps.compare import Outcome
from djd.sweeps.folder import keep_baselines, kept_baselines
from djd.sweeps.plan import cohort_config, cohort_digest
from djd.sweeps.setting_scores import Evidence, Setting, gather, score_settings
from djd.sweeps.sweep import Sweep, sweep_of_run
from djd.sweeps.winner import OpenedRefit, refit_name, sweep_opened, unusable_winners
from djd.wording import count_of

MOST_FAILURES = 100
"""Failed trainings that are named on the terminal."""

_Kept = TypeVar("_Kept")

Apart = Callable[..., Any]
"""Makes a call, function and arguments, maybe on another machine, and returns its value."""


def _here(work: Callable[..., Any], *arguments: Any) -> Any:
    return work(*arguments)


def report_run(folder: Path, result: RunResult) -> None:
    """Print and write the answer of a run.

    A full disk, or scans that are gone, cost tables or baselines, not the answer.
    """
    sweep = sweep_of_run(folder, result)
    answer = answer_again(sweep)
    for line in answer_lines(answer):
        say(line)
    try:
        say_written(sweep, answer)
    except OSError as error:
        say(f"warning: {error.filename or folder}: can't be written ({error.strerror or error})")
    if result.test_openings:
        say(openings_sentence(result.test_openings))
        _say_model(folder / WINNER / result.setting, result)
    _say_where(folder, sweep.stamp)


def report_sweep(outcome: Outcome, *, apart: Apart | None = None) -> None:
    """Print and write the answer of a sweep; `apart` fits the baselines on another machine.

    Raises:
        OSError: A table or the page can't be written.
    """
    sweep = outcome.sweep
    data = None if apart else (outcome.cohort, outcome.split)
    with keeping_all():  # thousands of cells are no garbage
        answer = answer_now(sweep, outcome.evidence, data, apart=apart or _here)
    for line in answer_lines(answer):
        say(line)
    _say_missing(outcome)
    if outcome.evidence.settings:
        _say_who_decided(outcome)
    _say_winner(outcome)
    # TensorBoard has a run for each score epoch.
    runs = sum(len(cell.config.epochs_to_score) for cell in sweep.trainings)
    stamp = sweep.config.stamp(phantom=outcome.cohort.phantom)
    _say_where(sweep.folder, stamp, runs=runs)
    say_written(sweep, answer, lambda: (outcome.cohort, outcome.split))


def say_written(sweep: Sweep, answer: Answer, data: Data | None = None) -> None:
    """Write the tables and, where the configuration has `report`, the page; print its path."""
    write_answer(sweep, answer, with_page=sweep.config.report, data=data)
    if sweep.config.report:
        say(report_line(sweep.folder))


def answer_now(
    sweep: Sweep,
    evidence: Evidence,
    data: tuple[Cohort, PatientSplit] | None,
    notes: Sequence[str] = (),
    *,
    apart: Apart = _here,
) -> Answer:
    """The answer of finished trainings; baselines are fitted, and kept in the folder."""
    said, folder = list(notes), sweep.folder
    refits = sweep_opened(sweep, evidence.settings)
    if evidence.settings:
        best = evidence.settings[0]
        opened = best.name in {refit.name for refit in refits}
        with progress_bar("fitting baselines"):
            try:
                said += apart(_fit_baselines, folder, best.configs, evidence.rules, opened, data)
            except InputError as error:
                said.append(f"no baselines: {error}")
    kept, damage = _readable(kept_baselines, folder, "baselines")
    return _work_out(sweep, evidence, refits, kept or (), [*said, *damage])


def _fit_baselines(
    folder: Path,
    configs: Sequence[RunConfig],
    rules: Sequence[Decide],
    opens_test: bool,
    data: tuple[Cohort, PatientSplit] | None,
) -> list[str]:
    """Fit and keep the baselines of a setting; why that can't be done, in sentences."""
    try:
        cohort, split = data or read_data(configs[0])
        baselines = fit_to(configs, cohort, split, opens_test=opens_test, rules=rules)
        keep_baselines(folder, baselines, cohort, configs, rules)
    except InputError as error:
        return [f"no baselines: {error}"]
    except OSError as error:
        return [f"no baselines: {error.filename} can't be written ({error.strerror})"]
    return []


def answer_again(sweep: Sweep) -> Answer:
    """The answer of the folder of a sweep or run, also where files are missing.

    Baselines are fitted where the folder has none of the same knees and the scans can be read.
    """
    evidence, notes = _gather(sweep)
    refits = sweep_opened(sweep, evidence.settings)
    kept, damage = _readable(kept_baselines, sweep.folder, "baselines")
    if evidence.settings and not _serve(kept or (), evidence, refits):
        try:
            cohort, split = _data(sweep, evidence.settings[0])
        except (InputError, OSError) as error:
            there = {each.name for each in kept or ()}
            gone = ", ".join(name for name in get_args(BaselineName) if name not in there)
            which = f" ({gone})" if there and gone else ""
            said = f"no baselines fitted{which}: the scans can't be read again ({error})"
            notes += [*damage, said]
        else:
            return answer_now(sweep, evidence, (cohort, split), notes)
    return _work_out(sweep, evidence, refits, kept or (), notes)


def _gather(sweep: Sweep) -> tuple[Evidence, list[str]]:
    """Settings that can be compared, and notes on all others."""
    settings, incomplete = score_settings(sweep.cells, sweep.finished)
    return gather(settings), [*sweep.notes, *_left_out(sweep, settings, incomplete)]


def _left_out(sweep: Sweep, settings: Sequence[Setting], incomplete: int) -> Iterable[str]:
    if sweep.run:
        if not sweep.run.validation:
            yield NOTHING_HELD_OUT
        return
    if incomplete:
        some = count_of(incomplete, "setting")
        yield f"left out: {some} that lack a finished cell, or hold nothing out (cells.csv has all)"
    used = {id(cell) for setting in settings for cell in setting.cells}
    compared = {tuple(setting.axes.values()) for setting in settings}
    left = {
        cell.folder.name: cell.config.members
        for cell in sweep.finished
        if tuple(cell.setting_axes.values()) in compared and id(cell) not in used
        if cell.result.validation
    }
    for name, members in left.items():
        few = f", or fewer than members={members} seeds are left" if members > 1 else ""
        yield f"left out: {name}: another seed of its setting has more folds{few}"
    yield from unusable_winners(sweep.folder)


def _work_out(
    sweep: Sweep,
    evidence: Evidence,
    refits: Sequence[OpenedRefit],
    baselines: Sequence[KeptBaseline],
    notes: Sequence[str],
) -> Answer:
    """The answer, with the second reader of the folder."""
    readings, damage = _readable(kept_readings, sweep.folder, "second reader")
    said = [*sweep.pretrained, *notes, *damage]
    return work_out(evidence, refits=refits, baselines=baselines, notes=said, readings=readings)


def _serve(kept: Sequence[KeptBaseline], evidence: Evidence, refits: Iterable[OpenedRefit]) -> bool:
    """Whether all baselines are there, of the same knees, and of the opened test patients."""
    opened = evidence.settings[0].name in {refit.name for refit in refits}
    whole = {each.name for each in kept} == set(get_args(BaselineName))
    return whole and all(serves(each, evidence) and (each.test or not opened) for each in kept)


def _readable(
    read: Callable[[Path], _Kept], folder: Path, what: str
) -> tuple[_Kept | None, list[str]]:
    """A file of a folder, None where the file is damaged, and a note on the damage."""
    try:
        return read(folder), []
    except InputError as error:
        return None, [f"no {what}: {error}"]


def _data(sweep: Sweep, best: Setting) -> tuple[Cohort, PatientSplit]:
    """The cohort, cropped as for a setting; an `InputError` where its scans are others now."""
    cohort, split = read_data(best.configs[0])
    if sweep.run:
        same = cohort.fingerprint() == sweep.run.fingerprint
    else:
        plan, compared = sweep.plan, cohort
        if (config := cohort_config(sweep.cells)).data.crop != best.configs[0].data.crop:
            compared, _ = read_data(config)
        same = plan is not None and cohort_digest(compared, split) == plan.cohort_digest
    if not same:
        raise InputError(f"{cohort.root} holds other scans than those that were compared")
    return cohort, split


def write_answer(
    sweep: Sweep, answer: Answer, *, with_page: bool, data: Data | None = None
) -> None:
    """Write the tables of an answer, the page with its plots, and cards of winners into its folder.

    Pictures of knees need the scans once, from `data` or else read again; see `shown_knees`.

    Raises:
        OSError: A file can't be written.
    """
    write_tables(sweep, answer)
    if with_page:
        from djd.report.page.page import write_page  # matplotlib takes half a second

        shown = with_knees(sweep, answer, data)  # may show a bar of its own
        with progress_bar("drawing the report"):
            write_page(sweep, shown)
    write_cards(sweep, answer)


def with_knees(sweep: Sweep, answer: Answer, data: Data | None = None) -> Answer:
    """The answer with pictures of knees, or with a note why there are none."""
    if answer.findings is None:
        return answer
    evidence = answer.findings.evidence
    read = data or (lambda: _data(sweep, evidence.settings[0]))
    knees, note = shown_knees(sweep.folder, evidence, read)
    return replace(answer, knees=knees, notes=(*answer.notes, *([note] if note else [])))


def report_line(folder: Path) -> str:
    """The path of the page, in a sentence."""
    return f"Report: {folder / REPORT_NAME}"


def answer_lines(answer: Answer) -> list[str]:
    """The answer on the terminal: ranked settings, effects, grades, sentences."""
    return [*terminal_tables(answer), *sentences(answer), *reader_sentences(answer.second_reader)]


def _say_model(folder: Path, result: RunResult) -> None:
    """Print the model file, and how many networks in it grade together."""
    fitted = result.config.get("fitted") or {}
    several = len(fitted.get("cells") or fitted.get("seeds") or ())
    whole = f"{several} networks, which grade together, of" if several > 1 else "Model of"
    of = "the folds" if result.config.get("winner") == "folds" else "all development patients"
    say(f"{whole} {of}: {folder / MODEL_NAME}")


def _say_where(folder: Path, stamp: str | None, *, runs: int = 1) -> None:
    say(". ".join(filter(None, (stamp, "Research use only"))))
    say(f"Everything is in {folder}")
    say(f"Dashboard: {tensorboard_line(folder)}")
    if sentence := open_files_sentence(runs):
        say(sentence)


def _say_missing(outcome: Outcome) -> None:
    if outcome.incomplete:
        some = count_of(outcome.incomplete, "setting")
        say(f"{some} left out: not all cells are finished, or nothing was held out")
    if elsewhere := outcome.elsewhere:
        some = count_of(len(elsewhere), "training")
        say(
            f"{some} in another process's hands, the last one to finish will choose the winner "
            f"(exit status {ElsewhereError.exit_status}): {', '.join(elsewhere)}"
        )
    failures = outcome.failures
    for name, reason in failures[:MOST_FAILURES]:
        say(f"failed: {name}: {reason}")
    if (more := len(failures) - MOST_FAILURES) > 0:
        say(f"... and {more} more failed ({CELLS_NAME} has all cells)")
    if failures:
        say("Each failed folder holds error.txt and run.log; the same command tries them again")


def _say_who_decided(outcome: Outcome) -> None:
    evidence, folds = outcome.evidence, outcome.sweep.config.data.folds
    held_out = {cell.config.data.fold for cell in outcome.sweep.cells} - {None}
    knees = count_of(len(evidence.knees), "knee")
    patients = count_of(len(evidence.patients), "patient")
    say(f"Scores are out of fold: {knees} of {patients} decide")
    if len(held_out) < folds:
        say(f"With {all_folds(folds)} in the command, all development patients decide")


def _say_winner(outcome: Outcome) -> None:
    winner, best = outcome.winner, outcome.best
    if winner is None:
        if best:
            say(f"Best out of fold: {best.name}. The test patients stay closed (test=never)")
    elif result := outcome.sweep.result_of(winner):
        cache = outcome.sweep.config.paths.cache
        say(openings_sentence(count_openings(cache, outcome.cohort, outcome.split)))
        _say_model(winner.folder, result)
    elif refit_name(winner) not in dict(outcome.failures):
        say(f"The winner {refit_name(winner)} is in another process's hands")
