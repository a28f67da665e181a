"""The command that trains a cell again, alone."""

import json
import shlex
from pathlib import Path
from typing import Any

from djd.command_line import PATH_KEYS, quote_paths
from djd.runs.config import RunConfig
from djd.runs.resume import flat

MOST_CHARACTERS = 100
"""In a line: TensorBoard doesn't break those of code."""

_NOT_SAID = frozenset(
    {
        "data.source",
        "data.second_reader",
        "optim.name",
        "optim._target_",
        "trainer.threads",
        "trainer.progress",
        "paths.cache",
        "test",
        "keep",
        "fail_fast",
        "report",
        "dry_run",
    }
)
"""Said by the name of a group, said in another way, or of no effect on what is trained."""


def command_again(config: RunConfig, *, threads: int) -> str:
    """What to type to train the same weights again, with the test patients left closed.

    Args:
        config: What was trained.
        threads: CPU threads that it had; another number rounds differently.

    Returns:
        Lines of at most `MOST_CHARACTERS`, where no word is longer, that a shell takes as one.
    """
    lines = ["python train.py"]
    for argument in map(shlex.quote, arguments_again(config, threads=threads)):
        if len(lines[-1]) + len(argument) + len(" \\") >= MOST_CHARACTERS:
            lines[-1] += " \\"
            lines.append(f" {argument}")
        else:
            lines[-1] += f" {argument}"
    return "\n".join(lines)


def arguments_again(config: RunConfig, *, threads: int) -> list[str]:
    """The same as arguments for Hydra: every value is said, whatever the defaults will be."""
    said = [f"data={config.data.source}", f"optim={config.optim.name}"]
    for key, value in flat(config.plain()).items():
        if key not in _NOT_SAID and (value not in (None, []) or key == "data.fold"):
            # An optimizer may have keys that its file lacks.
            plus = "++" if key.startswith("optim.") else ""
            said.append(f"{plus}{key}={_typed(key, value)}")
    return [*quote_paths(said), f"trainer.threads={threads}", "test=never"]


def _typed(key: str, value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return str(Path(value).absolute()) if key in PATH_KEYS else value
