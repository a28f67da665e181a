"""Answers of comparisons that were never trained: with baselines, test scores, a second reader."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from djd.data.tables import Readings
from djd.grades import SIDES, Side
from djd.report.answer import Answer, work_out
from djd.runs.config import RunConfig
from djd.runs.result import PartScores, RunResult
from djd.statistics.held_out import HeldOut
from djd.sweeps.baselines import KeptBaseline, basis_of
from djd.sweeps.setting_scores import Evidence, Knee, Setting, gather, score_settings
from djd.sweeps.sweep import Sweep, read_folder, sweep_of_run
from djd.sweeps.winner import OpenedRefit
from tests.sweeps.invented_cells import config_with, grades_of, leave_cell

TEST_PATIENTS = range(100, 120)


def tell(
    folder: Path,
    *,
    uptake: float | None = None,
    tested: float | None = None,
    readings: Readings | None = None,
    notes: Iterable[str] = (),
) -> tuple[Sweep, Answer]:
    """What is in a folder of invented cells, and its answer.

    Args:
        folder: Of a comparison, or of a run that `leave_run` left.
        uptake: How near the guesses of uptake alone are to the truth; None leaves it out.
        tested: The same of the best setting on the test patients; None leaves them closed.
        readings: A second reader's grades.
        notes: What is known to be missing.
    """
    contents = contents_of(folder)
    settings, _ = score_settings(contents.cells, contents.finished)
    evidence = gather(settings)
    best = evidence.settings[0]
    opened = [] if tested is None else [refit_of(folder, best, tested)]
    baselines = [] if uptake is None else [uptake_of(evidence, best, uptake, test=bool(opened))]
    return contents, work_out(
        evidence, refits=opened, baselines=baselines, readings=readings, notes=notes
    )


def contents_of(folder: Path) -> Sweep:
    result = folder / "result.json"
    return sweep_of_run(folder, RunResult.load(result)) if result.exists() else read_folder(folder)


def leave_run(folder: Path, *, skill: float = 0.6, **fixed: object) -> RunConfig:
    """Leave a run on one fold of five, of 33 patients; of fixed keys `__` stands for the dot."""
    config = config_with({key.replace("__", "."): value for key, value in fixed.items()})
    leave_cell(folder, config, range(33), dict.fromkeys(config.epochs_to_score, skill), seed=0)
    return config


def refit_of(folder: Path, setting: Setting, skill: float) -> OpenedRefit:
    """A setting scored on the test patients, its predictions below the folder."""
    below = folder / "winner" / setting.name
    scores = leave_tested(below, setting.cells[0].config, setting.epochs, skill)
    return OpenedRefit(setting.name, below, scores)


def leave_tested(below: Path, config: RunConfig, epochs: int, skill: float) -> PartScores:
    """Leave predictions of the test patients, and tell what a result would say of them."""
    whole = config.model_copy(update={"data": config.data.model_copy(update={"fold": None})})
    leave_cell(below, whole, TEST_PATIENTS, {epochs: skill}, seed=1)
    return RunResult.load(below / "result.json").validation[-1]


def uptake_of(evidence: Evidence, best: Setting, skill: float, *, test: bool) -> KeptBaseline:
    held_out = guesses(sorted(evidence.knees), skill)
    return KeptBaseline(
        name="uptake",
        setting="C=1",
        basis=basis_of(best.configs),
        repeats=(held_out,),
        candidates=held_out.predicted[None],
        test=guesses(knees_of(TEST_PATIENTS), skill) if test else None,
        finer=(held_out,),
    )


def knees_of(patients: Sequence[int]) -> list[Knee]:
    """Scan, side, patient and grade of every knee of some invented patients."""
    return [
        (f"{patient:07d}", side, f"{patient:07d}", int(grade))
        for patient, both in zip(patients, grades_of(patients), strict=True)
        for side, grade in zip(SIDES, both, strict=True)
    ]


def guesses(knees: Iterable[Knee], skill: float, seed: int = 5) -> HeldOut:
    """What somebody with so much skill makes of some knees, see `leave_cell`."""
    scans, sides, patients, truth = zip(*knees, strict=True)
    generator = np.random.default_rng(seed)
    grades = np.array(truth, dtype=np.int64)
    lucky = generator.random(grades.shape) < skill
    predicted = np.where(lucky, grades, generator.integers(0, 5, grades.shape))
    chances = np.full((len(grades), 5), 0.1) + 0.5 * np.eye(5)[predicted]
    named = tuple(zip(scans, sides, patients, strict=True))
    return HeldOut.of_knees(named, grades, predicted, chances)


def read_by(knees: Iterable[Knee], skill: float, *, every: int = 1) -> Readings:
    """A second reader's grades of every so many knees."""
    told = sorted(knees)[::every]
    given = guesses(told, skill, seed=8).predicted
    readings: dict[tuple[str, Side], int] = {}
    for (scan, side, _, _), grade in zip(told, given, strict=True):
        readings[scan, "left" if side == "left" else "right"] = int(grade)
    return readings
