"""What the test patients said, once they were opened."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from djd.comparison.findings.scoreboard import Difference, Figures, Scoreboard
from djd.comparison.statistics.held_out import HeldOut
from djd.comparison.statistics.selection import out_of_bag
from djd.metrics import quadratic_kappa


@dataclass(frozen=True, eq=False)
class Opened:
    """Scores of the test patients.

    Attributes:
        figures: Of each setting that was scored, by name; the winner first.
        baselines: Of each baseline on the same knees, by name.
        beyond: The winner's kappa less each baseline's.
        best: Name of the setting with the largest kappa.
        flattered: How much too good that one looks for being the best of many on these patients;
            NaN where one alone was scored.
    """

    figures: Mapping[str, Figures]
    baselines: Mapping[str, Figures]
    beyond: Mapping[str, Difference]
    best: str
    flattered: float


def score_opened(settings: Mapping[str, HeldOut], baselines: Mapping[str, HeldOut]) -> Opened:
    """Work out what the test patients said.

    Args:
        settings: Test knees as each refitted setting graded them, the winner first.
        baselines: The same knees as each baseline graded them.
    """
    board = Scoreboard.of([*settings.values(), *baselines.values()])
    count = len(settings)
    scored = board.first(count)
    names = list(settings)
    return Opened(
        figures=dict(zip(names, board.figures, strict=False)),
        baselines=dict(zip(baselines, board.figures[count:], strict=True)),
        beyond={name: board.lead([0], count + place) for place, name in enumerate(baselines)},
        best=names[int(scored.values("kappa").argmax())],
        flattered=_flattered(scored),
    )


def _flattered(board: Scoreboard) -> float:
    kappas = board.values("kappa")
    if len(kappas) == 1:
        return math.nan
    outside = out_of_bag(board.mean_counts, board.draws["kappa"], board.weights)
    if outside is None:
        return math.nan
    return float(np.max(kappas) - quadratic_kappa(outside))
