"""Settings refitted on all development patients and scored on the test patients, now and before."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from djd.errors import InputError
from djd.files import remove
from djd.runs.config import FittedConfig, Keep, read_config
from djd.runs.folder import RESULT_NAME, WINNER, epoch_checkpoint, saved_config
from djd.runs.keys import free_name, spelt_alike
from djd.runs.result import PartScores
from djd.statistics.deciding import Decision
from djd.sweeps.cells import (
    MAX_EPOCHS,
    Cell,
    FinishedCell,
    at_axes,
    axes_name,
    by_setting,
    identity_of,
    refitted,
)
from djd.sweeps.folder import EACH, refit_folders, winner_results
from djd.sweeps.out_of_fold import by_repeat
from djd.sweeps.setting_scores import Evidence, Setting
from djd.sweeps.sweep import Sweep


@dataclass(frozen=True)
class OpenedRefit:
    """A setting that was scored on the test patients: its name, and the folder of its refit."""

    name: str
    folder: Path
    scores: PartScores


def winner_refit(sweep: Path, best: Setting, evidence: Evidence | None = None) -> Cell:
    """The refit of the setting that validation chose, for its number of epochs.

    Without the `evidence` it has its name and folder, and nothing to train.
    """
    decisions = {best.epochs: evidence.decision(best)} if evidence else {}
    refit = _refit_of(best.cells, decisions, epochs=best.epochs, score_epochs=())
    return _in_folders(sweep, WINNER, [(best.name, refit)])[0]


def each_refit(sweep: Path, cells: Sequence[Cell], evidence: Evidence | None = None) -> list[Cell]:
    """A refit of every setting, which trains once for all score epochs; see `winner_refit`.

    With `evidence` those are left out whose decision can't be fitted.
    """
    refits = []
    for group in by_setting(cells):
        config, decisions = group[0].config, {}
        if evidence:
            same = [each for each in evidence.settings if each.axes == group[0].setting_axes]
            decisions = {each.epochs: evidence.decision(each) for each in same}
            is_fitted = config.decide == "shares" or config.calibrate != "none"
            if is_fitted and not set(config.epochs_to_score) <= decisions.keys():
                continue
        epochs, scored = config.trainer.max_epochs, config.score_epochs
        refit = _refit_of(group, decisions, epochs=epochs, score_epochs=scored)
        length = {"epochs": epochs} if MAX_EPOCHS in group[0].axes else {}
        refits.append((axes_name({**refit.axes, **length}), refit))
    return _in_folders(sweep, EACH, refits)


def _refit_of(
    cells: Sequence[Cell],
    decisions: Mapping[int, Decision],
    *,
    epochs: int,
    score_epochs: Sequence[int],
) -> Cell:
    """The refit of a setting's lowest seeds, for any order of the seeds on the command line."""
    repeats = by_repeat(cells) or [list(cells)]
    first = min(repeats, key=lambda each: min(map(_seeds, each)))
    held_out = [cell for cell in first if cell.config.data.fold is not None]
    config = first[0].config
    of_folds = config.winner == "folds"
    together = config.members > 1 and not of_folds
    fitted = FittedConfig(
        seeds=tuple(sorted({each.config.seed for each in first})) if together else (),
        cells=tuple(each.folder.name for each in held_out) if of_folds else (),
        cuts={epoch: each.cuts for epoch, each in decisions.items() if each.cuts},
        temperature={
            epoch: each.temperature for epoch, each in decisions.items() if each.temperature != 1
        },
    )
    return refitted(
        min(first, key=_seeds),
        epochs=epochs,
        score_epochs=score_epochs,
        fitted=None if fitted == FittedConfig() else fitted,
    )


def _seeds(cell: Cell) -> tuple[int, int]:
    return cell.config.seed, cell.config.data.split_seed


def _in_folders(sweep: Path, kind: str, refits: Sequence[tuple[str, Cell]]) -> list[Cell]:
    """Named refits, each in its earlier folder, or in a folder that no other refit has."""
    there = {}
    for below in refit_folders(sweep, kind):
        with suppress(InputError, OSError):  # the training reports a damaged file
            there[identity_of(saved_config(below), "")] = below
    placed = []
    taken = {spelt_alike(below.name) for below in there.values()}
    for name, refit in refits:
        identity = identity_of(refit.config, "")
        if identity not in there:
            there[identity] = sweep / kind / free_name(name, identity, taken)
        placed.append(replace(refit, folder=there[identity]))
    return placed


def refit_name(refit: Cell) -> str:
    """The path of a refit below its sweep's folder."""
    return f"{refit.folder.parent.name}/{refit.folder.name}"


def sweep_opened(sweep: Sweep, settings: Sequence[Setting]) -> list[OpenedRefit]:
    """Every setting of a sweep or run that was scored on the test patients, the winner first.

    Earlier winners are among them, by the present names of their settings; `settings` can be
    compared, the best first.
    """
    if run := sweep.run:
        name = settings[0].name if settings else run.setting
        folder = sweep.folder / WINNER / run.setting
        return [OpenedRefit(name, folder, run.test[-1])] if run.test else []
    opened: dict[str, OpenedRefit] = {}
    for best in settings[:1]:
        winner = winner_refit(sweep.folder, best)
        if (result := sweep.result_of(winner)) and result.test:
            opened[best.name] = OpenedRefit(best.name, winner.folder, result.test[-1])
    # Thousands of settings take seconds to name.
    for refit in each_refit(sweep.folder, sweep.cells) if refit_folders(sweep.folder, EACH) else ():
        result = sweep.result_of(refit)
        for scores in result.test if result else ():
            name = axes_name({**refit.axes, "epochs": scores.epoch})
            opened.setdefault(name, OpenedRefit(name, refit.folder, scores))
    for earlier in _winners(sweep):
        opened.setdefault(earlier.name, earlier)
    return list(opened.values())


def _winners(sweep: Sweep) -> Iterable[OpenedRefit]:
    axes = list(sweep.cells[0].setting_axes) if sweep.cells else []
    for below, result in winner_results(sweep.folder):
        if result and result.test:
            scores = result.test[-1]
            with suppress(InputError):
                place = at_axes(read_config(result.config), axes)
                name = axes_name({**place, "epochs": scores.epoch})
                yield OpenedRefit(name, below, scores)


def unusable_winners(folder: Path) -> Iterable[str]:
    """A sentence for each winner whose test scores can't be read."""
    for below, result in winner_results(folder):
        if not (result and result.test):
            yield f"left out: {WINNER}/{below.name}: not finished, or its {RESULT_NAME} is damaged"


def drop_weights(finished: Iterable[FinishedCell], *, keep: Keep, best: Setting | None) -> None:
    """Remove weights of finished cells, if validation has chosen a best setting.

    `keep` is `winner` (keep the best setting's folds at its epoch), `none`, or `all`.
    """
    if keep == "all" or best is None:
        return
    kept = {cell.folder for cell in best.cells} if keep == "winner" else set()
    for cell in finished:
        scored = epoch_checkpoint(cell.folder, best.epochs)
        if cell.folder not in kept:
            shutil.rmtree(scored.parent, ignore_errors=True)
            continue
        for checkpoint in {*scored.parent.glob("*.ckpt")} - {scored}:
            remove(checkpoint)
