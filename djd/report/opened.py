"""What the test patients said, once they were opened."""

from collections.abc import Mapping
from dataclasses import dataclass

from djd.report.scoreboard import Figures, Scoreboard
from djd.statistics.held_out import HeldOut
from djd.statistics.intervals import Estimate


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
    beyond: Mapping[str, Estimate]
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
        beyond={name: board.first(1).lead_over([each]) for name, each in baselines.items()},
        best=names[int(scored.values("kappa").argmax())],
        flattered=float(scored.values("kappa").max()) - scored.outside()[0],
    )
