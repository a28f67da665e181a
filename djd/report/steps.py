"""What helped: recipes in the order of the command line, each one step after the one before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from djd.report.scores import Scoreboard, scored
from djd.runs.keys import RECIPE, AxisValue, as_typed
from djd.statistics.intervals import Estimate, percentile_interval
from djd.statistics.metrics import Array
from djd.statistics.selection import Draws
from djd.sweeps.setting_scores import Setting
from djd.wording import listed


@dataclass(frozen=True, eq=False)
class Step:
    """A recipe, and what it gained over the one before.

    Attributes:
        name: The recipe.
        kappa: Mean over the settings that all recipes have, each at its last epochs.
        rps: The same of the ranked probability score.
        gain: Kappa less that of the step before; None for the first step.
        gain_in_rps: How much smaller the ranked probability score is than that of the step before.
        seconds: Mean duration of a training.
    """

    name: str
    kappa: Estimate
    rps: Estimate
    gain: Estimate | None
    gain_in_rps: Estimate | None
    seconds: float

    @property
    def helped(self) -> bool:
        """Whether the gain of kappa can be told apart from none."""
        return self.gain is not None and self.gain.low > 0

    @property
    def hurt(self) -> bool:
        """Whether the loss of kappa can be told apart from none."""
        return self.gain is not None and self.gain.high < 0


def steps(
    settings: Sequence[Setting], networks: Scoreboard, again: Mapping[str, Draws]
) -> tuple[Step, ...]:
    """The steps, two or more; none where `recipe` is no axis, or no setting is common to all.

    Epochs are a part of a recipe: each is scored at its last. `again` are draws by score, the
    larger the better, as `Scoreboard.upward`; all settings share the draws.
    """
    rungs = _rungs(settings)
    if len(rungs) < 2:
        return ()
    found: list[Step] = []
    before: dict[str, tuple[float, Array]] = {}
    for name, places in rungs.items():
        now = {
            score: (float(networks.upward(score)[0][places].mean()), again[score][places].mean(0))
            for score in ("kappa", "rps")
        }
        patients = networks.patients
        gains = [
            Estimate(now[score][0] - value, *percentile_interval(now[score][1] - draws, patients))
            for score, (value, draws) in before.items()
        ]
        kappa, rps = (
            Estimate(value, *percentile_interval(draws, patients)) for value, draws in now.values()
        )
        seconds = np.mean([settings[place].seconds for place in places])
        natural = Estimate(-rps.value, -rps.high, -rps.low)
        gain, finer = gains or (None, None)
        found.append(Step(as_typed(name), kappa, natural, gain, finer, float(seconds)))
        before = now
    return tuple(found)


def _rungs(settings: Sequence[Setting]) -> dict[AxisValue, list[int]]:
    """By recipe in the order of the plan: indices of the settings that all recipes have."""
    last: dict[tuple[AxisValue, tuple[AxisValue, ...]], int] = {}
    for index in sorted(range(len(settings)), key=lambda i: settings[i].number):
        axes = settings[index].axes
        if RECIPE not in axes:
            return {}
        key = axes[RECIPE], tuple(value for axis, value in axes.items() if axis != RECIPE)
        if key not in last or settings[last[key]].epochs < settings[index].epochs:
            last[key] = index
    names = dict.fromkeys(name for name, _ in last)
    common = set.intersection(*({o for n, o in last if n == name} for name in names))
    rungs = {name: [i for (n, o), i in last.items() if n == name and o in common] for name in names}
    return rungs if common else {}


def steps_sentence(found: Sequence[Step]) -> str:
    """Which steps can be told apart from no gain, by kappa and by the finer score."""
    helped = [f"{each.name} by {scored(each.gain)}" for each in found if each.gain and each.helped]
    hurt = [each.name for each in found if each.hurt]
    rest = [each.name for each in found if each.gain and not each.helped and not each.hurt]
    said = [
        f"{listed(helped)} can be told apart from no gain" if helped else "",
        f"{listed(hurt)} lowered kappa" if hurt else "",
        f"{listed(rest)} can't be told apart from no gain" if rest else "",
    ]
    finer = [each.name for each in found if each.gain_in_rps and each.gain_in_rps.low > 0]
    more = f"{listed(finer)} helped" if finer else "no step can be told apart from no gain"
    by_kappa = "; ".join(filter(None, said))
    return f"Step by step, by kappa: {by_kappa}. By the ranked probability score: {more}"
