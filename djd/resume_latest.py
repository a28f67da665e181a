"""`resume=latest`: the command of the last run that was stopped, from what Hydra saved of it."""

from collections.abc import Sequence
from pathlib import Path

import yaml

from djd.errors import InputError

RESUME = "resume=latest"

CONFIG_NAME = "config.yaml"
"""In a run's folder from its start."""

RESULT_NAME = "result.json"
"""In a run's folder once it is finished."""

RUNS = Path("outputs")
"""Where runs go by default, below the working directory."""


def latest_arguments(arguments: Sequence[str]) -> list[str]:
    """Arguments that go on with the last stopped run, where `resume=latest` asks for it.

    Args:
        arguments: Of the command line; returned as they are where they don't.

    Raises:
        InputError: Something else is said beside it, or there is no stopped run.
    """
    resumes = [argument for argument in arguments if argument.startswith("resume=")]
    if not resumes:
        return list(arguments)
    if list(arguments) != [RESUME]:
        raise InputError(
            f"resume: expected {RESUME} by itself, since the saved command says all, received "
            f"{' '.join(arguments)}"
        )
    folder = _latest_stopped()
    saved = yaml.safe_load((folder / ".hydra" / "overrides.yaml").read_text(encoding="utf-8"))
    overrides = [override for override in saved if not override.startswith("hydra.run.dir=")]
    return [*overrides, f"hydra.run.dir={folder}"]


def _latest_stopped() -> Path:
    """The folder whose name, a date and time, is the last among those without a result."""
    stopped = [
        path.parent.parent
        for path in RUNS.glob("*/.hydra/overrides.yaml")
        if not (path.parent.parent / RESULT_NAME).exists()
        and (path.parent.parent / CONFIG_NAME).exists()
    ]
    if not stopped:
        raise InputError(
            f"{RESUME}: expected a stopped run in {RUNS.resolve()}, received none; for a run with "
            "a hydra.run.dir of its own, give its command again"
        )
    return max(stopped, key=lambda path: path.name)
