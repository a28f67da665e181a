"""Whether a folder holds a run that was stopped, and whether it is this very run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from djd.errors import InputError
from djd.resume_latest import CONFIG_NAME, RESULT_NAME
from djd.training.config import RunConfig, read_config

FREE_KEYS = ("paths.cache", "data.root", "trainer.accelerator", "trainer.threads")
"""What may differ when a run goes on: none of it changes what is trained, beyond rounding."""


def require_same_config(config: RunConfig, folder: Path) -> None:
    """Stop where a folder holds a run that is finished, or one of another configuration.

    Raises:
        InputError: It names the keys that differ.
    """
    if (folder / RESULT_NAME).exists():
        raise InputError(
            f"{folder}: expected a run's folder that is new or of a stopped run, received one that "
            f"is finished ({RESULT_NAME} is there); choose another hydra.run.dir"
        )
    if not (folder / CONFIG_NAME).exists():
        return
    there = read_config(yaml.safe_load((folder / CONFIG_NAME).read_text(encoding="utf-8")))
    before, now = _flat(there.plain()), _flat(config.plain())
    different = [key for key in before if before[key] != now.get(key) and key not in FREE_KEYS]
    if different:
        changes = ", ".join(f"{key}={before[key]} (now {now.get(key)})" for key in different)
        raise InputError(
            f"{folder}: expected the run that was stopped there, received another one: it has "
            f"{changes}; say the same, or choose another hydra.run.dir"
        )


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


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
