"""Whether a folder holds a run that was stopped, and whether it is this very run."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from djd.errors import InputError
from djd.resume_latest import CONFIG_NAME, RESULT_NAME
from djd.training.config import RunConfig, read_config

FREE_KEYS = frozenset(
    {
        "paths.cache",
        "data.root",
        "data.on_error",
        "data.second_reader",
        "trainer.accelerator",
        "trainer.threads",
        "trainer.progress",
        "logger.figures",
        "test",
        "keep",
        "fail_fast",
        "report",
        "dry_run",
    }
)
"""What may differ when a run goes on: none of it changes what is trained, beyond rounding."""


COHORT_KEYS = frozenset(
    {
        "data.source",
        "data.root",
        "data.phantom_patients",
        "data.phantom_seed",
        "data.exclude",
        "data.groups",
        "data.test_list",
        "data.test_count",
        "data.labels_from",
        "data.grade_names",
        "data.on_error",
    }
)
"""What says which knees there are and which of them are test patients'; one and the same for all
cells of a comparison, and told by the cohort's own digest."""

REPEAT_KEYS = ("data.fold", "seed", "data.split_seed")
"""Trainings that differ in these alone are one setting, trained again."""

NUMBERLESS_KEYS = FREE_KEYS | COHORT_KEYS | {"score_epochs"}
"""What may differ between two trainings of one cell: it changes no number, or the cohort's digest
has it."""


# Where it was built with libyaml it reads 540 configurations in half a second instead of four.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def require_unfinished(folder: Path) -> None:
    """Stop where a folder holds a run that is finished.

    Raises:
        InputError: It is.
    """
    if (folder / RESULT_NAME).exists():
        raise InputError(
            f"{folder}: expected a run's folder that is new or of a stopped run, received one that "
            f"is finished ({RESULT_NAME} is there); choose another hydra.run.dir"
        )


def require_same_config(
    config: RunConfig, folder: Path, *, free: Collection[str] = FREE_KEYS
) -> None:
    """Stop where a folder holds a training of another configuration.

    Args:
        config: What is to be trained.
        folder: Of the run or cell.
        free: Keys that may differ.

    Raises:
        InputError: It names the keys that differ.
    """
    if not (folder / CONFIG_NAME).exists():
        return
    before, now = flat(saved_config(folder).plain()), flat(config.plain())
    if changes := differences(before, now, free=free):
        raise InputError(
            f"{folder}: expected the run that was stopped there, received another one: it has "
            f"{changes}; say the same, or choose another folder (hydra.run.dir, hydra.sweep.dir)"
        )


def saved_config(folder: Path) -> RunConfig:
    """The configuration that a run or cell was started with.

    Raises:
        InputError: The file is damaged.
    """
    path = folder / CONFIG_NAME
    try:
        return read_config(yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER))
    except (yaml.YAMLError, UnicodeDecodeError, InputError) as error:
        raise InputError(
            f"{path}: expected the configuration of what was started there, received a damaged "
            "file; delete the folder to train it from the start"
        ) from error


def differences(
    before: Mapping[str, Any], now: Mapping[str, Any], *, free: Collection[str]
) -> str | None:
    """Keys whose values differ, as one says it; None where none does.

    Args:
        before: Flat keys and values, see `flat`.
        now: The same.
        free: Keys that may differ.
    """
    keys = dict.fromkeys([*before, *now])
    different = [key for key in keys if before.get(key) != now.get(key) and key not in free]
    return ", ".join(f"{key}={before.get(key)} (now {now.get(key)})" for key in different) or None


def require_same_cohort(folder: Path, *, before: str | None, now: str) -> None:
    """Stop where the scans are not those that a stopped run had.

    Args:
        folder: Of the run.
        before: Fingerprint that the run was started with; None where it is new.
        now: Fingerprint of the cohort that was read.

    Raises:
        InputError: They differ.
    """
    if before is not None and before != now:
        raise InputError(
            f"{folder}: expected the cohort of the run that was stopped there (fingerprint "
            f"{before}), received another one ({now}); choose another hydra.run.dir"
        )


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by their keys as one types them, such as `model.depth`."""
    pairs: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            pairs |= flat(value, f"{prefix}{key}.")
        else:
            pairs[f"{prefix}{key}"] = value
    return pairs


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """The reverse of `flat`."""
    whole: dict[str, Any] = {}
    for key, value in values.items():
        *groups, last = key.split(".")
        inner = whole
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = value
    return whole
