"""`resume=latest`: the command of the last run or comparison that was stopped, as it was saved."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from djd.errors import InputError

RESUME = "resume=latest"

CONFIG_NAME = "config.yaml"
"""In the folder of a run or cell from its start."""

RESULT_NAME = "result.json"
"""In the folder of a run, cell or comparison once it is finished."""

COMPARISON_NAME = "comparison.json"
"""In a comparison's folder from its start."""

RUNS = Path("outputs")
"""Where runs go by default, below the working directory."""

COMPARISONS = Path("multirun")
"""Where comparisons go by default, below the working directory."""


def latest_arguments(arguments: Sequence[str]) -> list[str]:
    """Arguments that go on with what was stopped last, where `resume=latest` asks for it.

    Args:
        arguments: Of the command line; returned as they are where they don't.

    Raises:
        InputError: Something else is said beside it, or nothing was stopped.
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
    if (folder / COMPARISON_NAME).exists():
        saved, key = _comparison_arguments(folder), "hydra.sweep.dir"
    else:
        saved, key = _run_arguments(folder), "hydra.run.dir"
    return [*(each for each in saved if not each.startswith(f"{key}=")), f"{key}={folder}"]


def _run_arguments(folder: Path) -> list[str]:
    path = folder / ".hydra" / "overrides.yaml"
    try:
        return [str(each) for each in yaml.safe_load(path.read_text(encoding="utf-8"))]
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise _damaged(path) from error


def _comparison_arguments(folder: Path) -> list[str]:
    path = folder / COMPARISON_NAME
    try:
        return [str(each) for each in json.loads(path.read_text(encoding="utf-8"))["arguments"]]
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> InputError:
    return InputError(
        f"{path}: expected the saved command of what was stopped last, received a damaged file; "
        "give the command again, or move the folder away"
    )


def _latest_stopped() -> Path:
    """The last, by the date and time in its name, of the folders that have no result."""
    started = [
        *(path.parent.parent for path in RUNS.glob("*/.hydra/overrides.yaml")),
        *(path.parent for path in COMPARISONS.glob(f"*/{COMPARISON_NAME}")),
    ]
    stopped = [folder for folder in started if _is_stopped(folder)]
    if not stopped:
        raise InputError(
            f"{RESUME}: expected a stopped run in {RUNS.resolve()}, or a comparison in "
            f"{COMPARISONS.resolve()}, received none; for one with a folder of its own, give its "
            "command again"
        )
    return max(stopped, key=_date_and_time)


def _is_stopped(folder: Path) -> bool:
    begun = (folder / CONFIG_NAME).exists() or (folder / COMPARISON_NAME).exists()
    return begun and not (folder / RESULT_NAME).exists()


def _date_and_time(folder: Path) -> str:
    """What a default name holds of both: `2026-01-31_12-00-00`, whatever stands around it."""
    found = re.search(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", folder.name)
    return found.group() if found else ""
