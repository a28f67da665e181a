"""What a comparison says at its head and at its end."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from djd.data.cohort import Cohort
from djd.data.split import PatientSplit, grade_warnings, side_summaries
from djd.runs.folder import RESULT_NAME
from djd.runs.keys import as_typed, short_names
from djd.runs.summary import say, say_cohort
from djd.sweeps.cells import Cell
from djd.sweeps.evidence import Evidence
from djd.sweeps.forecast import Forecast
from djd.sweeps.job import LOST
from djd.sweeps.refits import Refit
from djd.sweeps.settings import Setting, by_setting
from djd.sweeps.states import States
from djd.wording import count_of, in_bytes, in_words


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of a comparison.

    Attributes:
        states: Of its cells.
        settings: Those whose cells are all finished, the best first.
        evidence: Those of them that can be compared.
        incomplete: Settings that lack a cell.
        best: The setting that validation chose; None while cells are missing.
        winner: Its refit; None where the test patients stay closed.
        refits: All refits, the winner's among them.
        stopped_early: Whether a failure ended it before all cells were tried.
    """

    states: States
    settings: Sequence[Setting]
    evidence: Evidence
    incomplete: int
    best: Setting | None
    winner: Refit | None
    refits: Sequence[Refit]
    stopped_early: bool

    @property
    def failures(self) -> list[tuple[str, str]]:
        """Folder and reason of everything that failed."""
        cells = [(cell.folder.name, reason) for cell, reason in self.states.failed]
        if not self.stopped_early:
            cells += [(cell.folder.name, LOST) for cell in self.states.to_do]
        refits = [(refit.name, reason) for refit in self.refits if (reason := refit.reason())]
        return cells + refits

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do, here or elsewhere."""
        cells = not self.states.to_do and not self.states.elsewhere
        return cells and all(refit.result() for refit in self.refits)

    def plain(self) -> dict[str, Any]:
        """The same as plain values, for the comparison's `result.json`."""
        winner = self.winner.result() if self.winner else None
        return {
            "best": self.best.name if self.best else None,
            "winner": self.winner.name if self.winner else None,
            "test": [scores.model_dump() for scores in winner.test] if winner else [],
            "settings": [_plain(setting) for setting in self.settings],
        }


def _plain(setting: Setting) -> dict[str, Any]:
    scores = {name: None if math.isnan(value) else value for name, value in setting.scores.items()}
    return {
        "name": setting.name,
        "axes": dict(setting.axes),
        "epochs": setting.epochs,
        "repeats": setting.repeats,
        "patients": setting.patients,
        "knees": setting.knees,
        "cells": [cell.folder.name for cell in setting.cells],
        "scores": scores,
    }


def say_head(
    cohort: Cohort,
    split: PatientSplit,
    cells: Sequence[Cell],
    states: States,
    expected: Forecast,
) -> None:
    """What is compared, on whom, and what it will take."""
    config = cells[0].config
    if stamp := config.stamp(phantom=cohort.phantom):
        say(stamp)
    summaries = side_summaries(cohort, split)
    say_cohort(cohort, summaries, grade_warnings(summaries))
    settings = sum(len(cells[0].config.epochs_to_score) for cells in by_setting(cells))
    counts = f"{count_of(settings, 'setting')} in {count_of(len(cells), 'cell')}"
    say(f"{counts}: {_axes_in_words(cells)}")
    to_do = len(states.to_do) + len(states.failed)
    counts = f"{count_of(len(states.finished), 'cell')} done, {to_do} to do"
    if states.failed:
        counts += f" ({len(states.failed)} of them failed before and will be tried again)"
    if states.elsewhere:
        counts += f", {len(states.elsewhere)} in another process's hands"
    if expected.seconds:
        at_once = count_of(expected.at_once, "cell")
        counts += f": about {in_words(expected.total_seconds)}, {at_once} at a time"
    say(counts)
    _say_warnings(cells, states)
    say(
        f"Disk: about {in_bytes(expected.bytes_running)} while it trains, "
        f"{in_bytes(expected.bytes_after)} afterwards (keep={config.keep})"
    )
    if config.dry_run:
        say("dry_run=true: nothing was trained")


def _say_warnings(cells: Sequence[Cell], states: States) -> None:
    """What a person might not expect of what will be trained."""
    again = sum((cell.folder / RESULT_NAME).exists() for cell in states.to_do)
    if again:
        say(
            f"{count_of(again, 'cell')} of these have a result that lacks some of the epochs asked "
            "for (score_epochs), and will be trained anew"
        )
    if all(cell.config.data.fold is None for cell in cells):
        say("data.fold=null holds nothing out: there will be no ranking and no winner")


def _axes_in_words(cells: Sequence[Cell]) -> str:
    """Each axis with its values, epochs among them."""
    short = short_names(cells[0].axes)
    words = []
    for key, name in short.items():
        values = dict.fromkeys(as_typed(cell.axes[key]) for cell in cells)
        words.append(f"{name} {', '.join(values)}")
    epochs = sorted({epoch for cell in cells for epoch in cell.config.epochs_to_score})
    words.append(f"epochs {', '.join(map(str, epochs))}")
    return "; ".join(words)
