"""The answer in a few sentences, by rules: what a reader takes away who reads nothing else."""

import math
from collections.abc import Mapping

from djd.report.answer import Answer
from djd.report.opened import Opened
from djd.report.out_of_fold import Findings, SettingFigures
from djd.report.sentences import UPTAKE, against_uptake
from djd.report.wording import scored
from djd.runs.config import RunConfig
from djd.sweeps.cells import as_typed, short_names
from djd.sweeps.settings import Setting
from djd.wording import count_of

OPTIMIZERS: Mapping[str, str] = {
    "sgd": "SGD",
    "momentum": "SGD with momentum",
    "adagrad": "Adagrad",
    "adam": "Adam",
    "adamw": "AdamW",
}
"""What the optimizers of `conf/optim` are called; others go by their own names."""

NOTHING_HELD_OUT = "Nothing was held out (data.fold=null): there are no validation scores"

NOTHING_FINISHED = "Nothing finished: no setting has graded the held-out knees of all its folds"

_SAID = ("model.depth", "optim", "optim.lr", "optim.lr_times", "data.batch_size")


def in_words(setting: Setting) -> str:
    """A setting as one would say it: `Depth 3 with Adam at 0.001 for 50 epochs`."""
    config = setting.cells[0].config
    others = [key for key in setting.axes if key not in _SAID]
    names = short_names(setting.axes)
    more = [f", {names[key]} {as_typed(setting.axes[key])}" for key in others]
    batch = f", batch size {config.data.batch_size}" if "data.batch_size" in setting.axes else ""
    return (
        f"{_model_in_words(config)} for {count_of(setting.epochs, 'epoch')}{batch}{''.join(more)}"
    )


def _model_in_words(config: RunConfig) -> str:
    optimizer = OPTIMIZERS.get(config.optim.name, config.optim.name)
    return f"Depth {config.model.depth} with {optimizer} at {config.optim.learning_rate:g}"


def headline(answer: Answer, *, nothing: str = NOTHING_FINISHED) -> list[str]:
    """The answer in up to four sentences.

    Which setting is best and how surely, whether it beats uptake alone, whether it beats guessing,
    and who decided where that was one fold.

    Args:
        answer: What was worked out.
        nothing: Why there is nothing to compare, where that is so.
    """
    findings, opened = answer.findings, answer.opened
    if findings is None:
        return _without_findings(answer, nothing)
    said = [_best(findings, opened), *_uptake(findings), *_guessing(findings)]
    return said + who_decided(findings)


def _without_findings(answer: Answer, nothing: str) -> list[str]:
    """What is left to say where no setting can be scored out of fold, and why none can."""
    why = f"{NOTHING_HELD_OUT if NOTHING_HELD_OUT in answer.notes else nothing}."
    if answer.opened is None:
        return [why]
    name, figures = next(iter(answer.opened.figures.items()))
    kappa = scored(figures.scores["kappa"])
    patients = count_of(figures.patients, "test patient")
    return [why, f"{name} reaches kappa {kappa} on the {patients}."]


def _best(findings: Findings, opened: Opened | None) -> str:
    best = findings.settings[0]
    others, untold = len(findings.settings) - 1, sum(s.in_best_set for s in findings.settings) - 1
    if not others:
        verb, ties = "reaches kappa", ""
    elif untold == others:
        which = "the other setting can't" if others == 1 else f"none of the {others} others can"
        verb, ties = "has the highest kappa:", f"; {which} be told apart from it"
    elif untold:
        # Where most can't be told apart from it there is no best to speak of.
        verb = "grades best: kappa" if 2 * untold < others else "has the highest kappa:"
        ties = f"; {untold} of the {others} other settings can't be told apart from it"
    else:
        which = "the other setting is" if others == 1 else f"all {others} other settings are"
        verb, ties = "grades best: kappa", f"; {which} worse"
    kappa = scored(best.figures.scores["kappa"])
    return f"{in_words(best.setting)} {verb} {kappa} out of fold{_test(best, opened)}{ties}."


def _test(best: SettingFigures, opened: Opened | None) -> str:
    figures = opened.figures.get(best.setting.name) if opened else None
    if figures is None:
        return ""
    patients = count_of(figures.patients, "test patient")
    return f", {scored(figures.scores['kappa'])} on the {patients}"


def _uptake(findings: Findings) -> list[str]:
    if UPTAKE not in findings.baselines:
        return []
    kappa = scored(findings.baselines[UPTAKE].scores["kappa"])
    return [f"{against_uptake(findings.beyond[UPTAKE], 'It')}, whose kappa is {kappa}."]


def _guessing(findings: Findings) -> list[str]:
    _, low, high = findings.settings[0].figures.scores["kappa"]
    if math.isnan(low) or low > 0:
        return []
    if low == high:
        return ["It grades as a constant guess does."]
    return ["It can't be told apart from guessing: the interval of its kappa holds 0."]


def who_decided(findings: Findings) -> list[str]:
    """That few patients decided, where not all folds were held out, and the way to all of them."""
    configs = [cell.config for cell in findings.settings[0].setting.cells]
    folds, held_out = configs[0].data.folds, {config.data.fold for config in configs}
    if len(held_out) >= folds:
        return []
    patients = count_of(len(findings.evidence.patients), "patient")
    every = ",".join(str(fold) for fold in range(folds))
    return [
        f"Only {patients} decided, {len(held_out)} of {folds} folds: data.fold={every} in the "
        "command lets all development patients decide."
    ]
