"""Trainings that grade together: what a setting's `decide`, `members`, `winner`, `calibrate` need.

A rule that is fitted is fitted on the out-of-fold predictions of other folds, and networks that
grade together are a setting's seeds or folds. So a run by itself can only have a rule that needs
no fit.
"""

from collections.abc import Mapping, Sequence

from djd.errors import InputError
from djd.runs.config import RunConfig


def require_together(configs: Sequence[RunConfig]) -> None:
    """Check that the trainings of one setting, or a run by itself, can grade as they should.

    Raises:
        InputError: Seeds or folds are missing; or a key was typed that only a sweep sets.
    """
    config = configs[0]
    if config.fitted is not None:
        raise InputError(f"fitted: expected no value, which a sweep sets, received {config.fitted}")
    folds = _folds_held_out(configs)
    for each in folds.values():
        _require_folds(config, each)
    for split_seed in {split_seed for _, split_seed in folds}:
        _require_seeds(config, sorted(seed for seed, split in folds if split == split_seed))


def networks_to_train(config: RunConfig) -> int:
    """The number of networks that a configuration's training fits."""
    if config.kind != "refit":
        return 1
    return 0 if config.winner == "folds" else config.members


def seeds_together(seeds: Sequence[int], members: int) -> list[list[int]]:
    """Seeds in ascending order, as many together as there are members; the rest is left out."""
    ordered = sorted(seeds)
    whole = len(ordered) - len(ordered) % members
    return [ordered[start : start + members] for start in range(0, whole, members)]


def _folds_held_out(configs: Sequence[RunConfig]) -> Mapping[tuple[int, int], set[int]]:
    """The folds held out with each seed and split seed."""
    folds: dict[tuple[int, int], set[int]] = {}
    for each in configs:
        there = folds.setdefault((each.seed, each.data.split_seed), set())
        if each.data.fold is not None:
            there.add(each.data.fold)
    return folds


def _require_folds(config: RunConfig, folds: set[int]) -> None:
    every = range(config.data.folds)
    said = ",".join(map(str, sorted(folds))) or "null"
    in_all = f"-m data.fold={','.join(map(str, every))}"
    if config.decide == "shares" and len(folds) < len(every):
        raise InputError(
            f"decide=shares: expected all folds, since a fold's cuts come from the other folds, "
            f"received data.fold={said}; say {in_all}, or decide=median"
        )
    if config.winner == "folds" and len(folds) < len(every):
        raise InputError(
            f"winner=folds: expected all folds, whose networks grade together, received "
            f"data.fold={said}; say {in_all}, or winner=refit"
        )
    if config.calibrate != "none" and len(folds) < 2:
        raise InputError(
            f"calibrate={config.calibrate}: expected two folds or more, since a fold is calibrated "
            f"on the other folds, received data.fold={said}; say {in_all}, or calibrate=none"
        )


def _require_seeds(config: RunConfig, seeds: Sequence[int]) -> None:
    if len(seeds) % config.members:
        received = f"{len(seeds)} seed{'' if len(seeds) == 1 else 's'}"
        such = ",".join(map(str, range(config.members)))
        raise InputError(
            f"members={config.members}: expected seeds in groups of {config.members}, such as "
            f"seed={such}, received {received} (seed={','.join(map(str, seeds))})"
        )
