"""What people type, for Hydra's command line.

Hydra's grammar refuses a path with Korean letters, quotes, `=`, `[`, `(`, `,`, `#`, `~` or `&`
unless a second pair of quotes survives the shell. People have such paths and can't know that.
"""

import re
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

PATH_KEYS = (
    "data.root",
    "data.exclude",
    "data.groups",
    "data.test_list",
    "data.second_reader",
    "data.grade_names",
    "paths.cache",
    "hydra.run.dir",
    "hydra.sweep.dir",
)


def quote_paths(arguments: Sequence[str]) -> list[str]:
    """Quote the values of `PATH_KEYS` that the grammar would refuse or take apart.

    Args:
        arguments: As the shell hands them over.
    """
    return [_quoted(argument) if _is_path(argument) else argument for argument in arguments]


def hydra_sentence(error: Exception) -> str:
    """What Hydra says of a command line that it can't compose; of an unknown key, in one sentence.

    Hydra's own text on unknown keys proposes to add them, which this configuration doesn't take.
    """
    if found := re.match(r"Could not override '([^']+)'", str(error)):
        return (
            f"{found[1]}: expected a key of the configuration (python train.py --help shows all), "
            "received one that it doesn't have"
        )
    return "\n".join(str(part) for part in (error, error.__cause__) if part)


def flags_first(arguments: Sequence[str]) -> list[str]:
    """Put `-m` in front of the overrides; Hydra's parser refuses overrides on both sides of it."""
    flags = [argument for argument in arguments if argument in ("-m", "--multirun")]
    return [*flags, *(argument for argument in arguments if argument not in flags)]


def _is_path(argument: str) -> bool:
    key, equals, value = argument.partition("=")
    if not (equals and value) or key.lstrip("+") not in PATH_KEYS or value == "null":
        return False
    # data.exclude is a list of names, or a file of them.
    return not (key.endswith("data.exclude") and value.startswith("["))


def _quoted(argument: str) -> str:
    key, _, value = argument.partition("=")
    if _is_read_as_typed(argument, value) or _has_quotes(argument, value):
        return argument
    # Inside quotes the grammar unescapes a quote and the backslashes right before it, nothing else.
    escaped = value.replace("\\'", "\\\\'").replace("'", "\\'")
    if escaped.endswith("\\"):
        escaped += "\\" * (len(escaped) - len(escaped.rstrip("\\")))
    return f"{key}='{escaped}'"


def _is_read_as_typed(argument: str, value: str) -> bool:
    try:
        override = OverridesParser.create().parse_override(argument)
    except HydraException:
        return False
    return not override.is_sweep_override() and override.value() == value


def _has_quotes(argument: str, value: str) -> bool:
    """Whether the person quoted the value, and well."""
    if len(value) < 2 or value[0] != value[-1] or value[0] not in "'\"":
        return False
    try:
        return isinstance(OverridesParser.create().parse_override(argument).value(), str)
    except HydraException:
        return False
