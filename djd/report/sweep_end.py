"""What a sweep says at its end: the answer, what failed, who decided, where everything is."""

from collections.abc import Sequence

from djd.report.report import answer_lines, answer_now, report_line, write_answer
from djd.runs.result import MODEL_NAME
from djd.runs.summary import openings_sentence, say, tensorboard_line
from djd.runs.test_ledger import count_openings
from djd.sweeps.cells import Cell
from djd.sweeps.compare import Comparison
from djd.sweeps.evidence import Evidence
from djd.sweeps.folder import Contents
from djd.sweeps.scored_refits import winners_opened
from djd.sweeps.summary import Outcome
from djd.wording import count_of


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
        answer: What the figures say, in lines.
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
        every = ",".join(str(fold) for fold in range(data.folds))
        say(f"With data.fold={every} in the command, all development patients decide")


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
