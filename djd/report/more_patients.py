"""Whether more patients would help: kappa by the number of training patients (`data.share`)."""

import json
import math
from dataclasses import dataclass

import numpy as np

from djd.report.findings import Findings
from djd.report.scores import scored
from djd.runs.folder import SPLIT_NAME
from djd.statistics.effects import LevelScores
from djd.statistics.intervals import Estimate
from djd.sweeps.setting_scores import Setting
from djd.wording import number

SHARE = "data.share"
"""The axis of a learning curve."""

LEAST_SHARES = 3
"""Fewer shares are no curve."""


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Numbers of training patients, rising, and kappa of the best in the grid of other axes."""

    patients: tuple[int, ...]
    kappas: LevelScores


def learning_curve(findings: Findings) -> LearningCurve | None:
    """The curve; None where no three shares of the patients can be compared."""
    effects = [each for each in findings.effects if (each.axis, each.score) == (SHARE, "kappa")]
    if not effects or effects[0].best is None or len(effects[0].levels) < LEAST_SHARES:
        return None
    one_of = {each.setting.axes[SHARE]: each.setting for each in findings.settings}
    try:
        patients = [_training_patients(one_of[share]) for share in effects[0].levels]
    except (OSError, ValueError, KeyError, TypeError):  # a split that can't be read
        return None
    return LearningCurve(tuple(patients), effects[0].best)


def _training_patients(setting: Setting) -> int:
    """Training patients of a setting, the mean over its folds."""
    splits = [(cell.folder / SPLIT_NAME).read_text(encoding="utf-8") for cell in setting.cells]
    return round(np.mean([len(json.loads(text)["parts"]["train"]["patients"]) for text in splits]))


def more_patients_sentences(findings: Findings) -> list[str]:
    """What the last patients brought, with an interval that holds for all pairs of shares."""
    curve = learning_curve(findings)
    if curve is None:
        return []
    (before, last), distance = curve.kappas.scores[-2:], curve.kappas.distance
    gain, way = float(last - before), "rose" if last >= before else "fell"
    change = Estimate(abs(gain), abs(gain) - distance, abs(gain) + distance)
    if math.isnan(gain) or math.isnan(distance):
        said = f"kappa changed by {number(gain)}, and patients are too few to say more"
    elif abs(gain) <= distance:
        said = f"kappa {way} by {scored(change)}: it isn't clear that more patients would help"
    else:
        hope = "would probably help" if gain > 0 else "are not what is lacking"
        said = f"kappa {way} by {scored(change)}: more patients {hope}"
    fewer, all_of = curve.patients[-2:]
    return [f"From {fewer} to {all_of} training patients {said}"]
