"""Command lines: quoted for Hydra, resumed with `resume=latest`, written to train a run again.

Hydra's grammar refuses a path with Korean letters, quotes, `=`, `[`, `(`, `,`, `#`, `~` or `&`
unless a second pair of quotes survives the shell.
"""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from djd import wording
from djd.environment import expand_home
from djd.errors import InputError
from djd.runs.keys import FREE_KEYS, PRETRAIN, SETTING_GROUPS, SHARING_KEYS
from djd.wording import in_shell, line_end

if TYPE_CHECKING:
    from djd.runs.config import RunConfig

PATH_KEYS = frozenset(
    {"data.root", "data.exclude", "data.groups", "data.test_list", "data.second_reader"}
    | {"data.grade_names", "data.labels", "paths.cache", "hydra.run.dir", "hydra.sweep.dir"}
)

RESUME = "resume=latest"

RUNS, SWEEPS = Path("outputs"), Path("multirun")
"""Default folders of runs and sweeps, below the working directory."""

_ALSO_SAID = {"data.root", "data.on_error", "trainer.accelerator", "plots"}
_NOT_SAID = FREE_KEYS - _ALSO_SAID | SHARING_KEYS - {"decide"} | {"data.source", "pretrain.source"}
"""Keys that a command to train again leaves out; `data=` and `pretrain=` give the sources."""

_NO_TEXT = ("true", "false", "null", "nan", "inf")
"""Words that are values of other types in Hydra's grammar."""

_ONE_NAME = re.compile(r"""\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^,]+)\s*(?:,|$)""")
_WITH_VALUE = frozenset(
    {"--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp"}
    | {"--package", "-p", "--cfg", "-c", "--info", "-i"}
)
"""Flags of Hydra that a value follows."""

MOST_CHARACTERS = 100
"""Of a line of a command: TensorBoard doesn't break lines of code."""


def quote_paths(arguments: Sequence[str]) -> list[str]:
    """Quote those values of `PATH_KEYS` that the grammar would refuse, take apart, or misread."""
    return [
        _names_quoted(each) if _is_names(each) else _quoted(each) if _is_path(each) else each
        for each in arguments
    ]


def hydra_sentence(error: Exception) -> str:
    """Hydra's message on a command line; an unknown key gets one sentence, as a launcher's own.

    Hydra's own text proposes to add the key, which only classes' arguments are for.
    """
    if isinstance(error.__cause__, InputError):  # of a launcher that Hydra was making
        return str(error.__cause__)
    if found := re.match(r"Could not override '([^']+)'", str(error)):
        sentence = (
            f"{found[1]}: expected a key of the configuration (python train.py --help shows all), "
            "received one that it doesn't have"
        )
        if found[1].partition(".")[0] in {*SETTING_GROUPS} - {PRETRAIN}:
            sentence += f"; a further argument of the class has a plus: +{found[1]}=..."
        return sentence
    return "\n".join(str(part) for part in (error, error.__cause__) if part)


def flags_first(arguments: Sequence[str]) -> list[str]:
    """Put flags before all overrides; Hydra's parser refuses overrides on both sides of a flag."""
    flags: list[str] = []
    overrides: list[str] = []
    for before, argument in pairwise(["", *arguments]):
        is_flag = argument.startswith("-") or before in _WITH_VALUE
        (flags if is_flag else overrides).append(argument)
    return [*flags, *overrides]


def _is_path(argument: str) -> bool:
    key, equals, value = argument.partition("=")
    return bool(equals and value) and key.lstrip("+") in PATH_KEYS and value != "null"


def _is_names(argument: str) -> bool:
    """Whether the value is a list of names; `data.exclude` may be a file of them, too."""
    key, _, value = argument.partition("=")
    return key.lstrip("+") == "data.exclude" and value.startswith("[") and value.endswith("]")


def _names_quoted(argument: str) -> str:
    """A list whose names stay as typed: Hydra reads 1_000 as 1000 and 12e3456 as infinity."""
    with suppress(HydraException):
        names = OverridesParser.create().parse_override(argument).value()
        if not isinstance(names, list) or all(isinstance(name, str) for name in names):
            return argument
    key, _, value = argument.partition("=")
    names = [found[1].strip() for found in _ONE_NAME.finditer(value[1:-1])]
    quoted = (name if name[0] in "'\"" else in_quotes(name) for name in names if name)
    return f"{key}=[{','.join(quoted)}]"


def absolute_paths(values: Mapping[str, Any], base: str) -> dict[str, Any]:
    """Plain values of a configuration whose `PATH_KEYS` are absolute, or relative to `base`.

    A path whose tilde can't be expanded stays as it is; `read_config` refuses the path.
    """
    absolute = dict(values)
    for key in PATH_KEYS:
        group, _, name = key.partition(".")
        inner = absolute.get(group) or {}
        path = inner.get(name)
        expanded = expand_home(path) if isinstance(path, str) else ""
        if expanded and not expanded.startswith("~"):
            absolute[group] = {**inner, name: str(Path(base, expanded))}
    return absolute


def _quoted(argument: str) -> str:
    if wording.FOR_WINDOWS and argument.count('"') == 1:  # of "C:\scans\", which ends in \"
        argument = argument.removesuffix('"')
    key, _, value = argument.partition("=")
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    with suppress(HydraException):
        override = OverridesParser.create().parse_override(argument)
        if not override.is_sweep_override() and override.value() == value:
            return argument
        if is_quoted and isinstance(override.value(), str):
            return argument
    return f"{key}={in_quotes(value)}"


def in_quotes(value: str) -> str:
    """The value as a quoted string of Hydra's grammar.

    The grammar unescapes a quote and the backslashes right before a quote, nothing else.
    """
    escaped = re.sub(r"(\\*)('|$)", lambda end: end[1] * 2 + end[2].replace("'", r"\'"), value)
    return f"'{escaped}'"


def latest_arguments(arguments: Sequence[str]) -> list[str]:
    """Replace `resume=latest` by the arguments of the run or sweep that was stopped last.

    The stopped command's folders of `PYTHONPATH` are searched again. Raises InputError for other
    arguments beside `resume=latest`, and where no stopped run exists.
    """
    if not any(argument.startswith("resume=") for argument in arguments):
        return list(arguments)
    if list(arguments) != [RESUME]:
        raise InputError(
            f"resume: expected {RESUME} by itself, since the saved command says all, received "
            f"{' '.join(arguments)}"
        )
    folder = _latest_stopped()
    is_sweep = (folder / "comparison.json").exists()
    key = "hydra.sweep.dir" if is_sweep else "hydra.run.dir"
    saved = _saved_arguments(folder, is_sweep=is_sweep)
    _search_again(next(folder.glob("*/config.yaml" if is_sweep else "config.yaml"), None))
    return [*(each for each in saved if not each.startswith(f"{key}=")), f"{key}={folder}"]


def _saved_arguments(folder: Path, *, is_sweep: bool) -> list[str]:
    path = folder / ("comparison.json" if is_sweep else ".hydra/overrides.yaml")
    try:
        if is_sweep:
            return [str(each) for each in json.loads(path.read_text(encoding="utf-8"))["arguments"]]
        overrides = [str(each) for each in yaml.safe_load(path.read_text(encoding="utf-8"))]
        path = folder / ".hydra" / "hydra.yaml"
        if not path.exists():
            return overrides
        # Hydra keeps its own overrides and flags apart from the others.
        hydra = yaml.safe_load(path.read_text(encoding="utf-8"))["hydra"]
        sources = hydra["runtime"]["config_sources"]
        typed = [each["path"] for each in sources if each["provider"] == "command-line"]
        flags = [each for place in typed for each in ("--config-dir", str(place))]
        if (name := hydra.get("job", {}).get("config_name", "config")) != "config":
            flags += ["--config-name", str(name)]
        own = map(str, hydra.get("overrides", {}).get("hydra", ()))
        return [*flags, *(each for each in own if each != "hydra.mode=RUN"), *overrides]
    except (yaml.YAMLError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path}: expected the saved command of what was stopped last, received a damaged "
            "file; give the command again, or move the folder away"
        ) from error


def _search_again(path: Path | None) -> None:
    """Put the folders of `paths.python` into the search path of this process and its children."""
    places: list[str] = []
    # A damaged file gets its sentence from the training.
    with suppress(OSError, ValueError, TypeError, AttributeError, KeyError, yaml.YAMLError):
        if path:
            config = yaml.safe_load(path.read_text(encoding="utf-8"))
            places = config["paths"]["python"].split(os.pathsep)
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    for place in filter(None, places):
        if place not in before:
            sys.path.append(str(Path(place).absolute()))
            before.append(place)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, before))


def _latest_stopped() -> Path:
    """The folder without a result whose name has the latest date and time."""
    started = [
        *(path.parent.parent for path in RUNS.glob("*/.hydra/overrides.yaml")),
        *(path.parent for path in SWEEPS.glob("*/comparison.json")),
    ]
    begun = ("config.yaml", "comparison.json")
    stopped = [
        folder
        for folder in started
        if any((folder / name).exists() for name in begun) and not (folder / "result.json").exists()
    ]
    if not stopped:
        raise InputError(
            f"{RESUME}: expected a stopped run in {RUNS.resolve()}, or a sweep in "
            f"{SWEEPS.resolve()}, received none; for one with a folder of its own, give its "
            "command again"
        )
    return max(stopped, key=_date_and_time)


def _date_and_time(folder: Path) -> str:
    """`2026-01-31_12-00-00` from a folder's default name."""
    found = re.search(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", folder.name)
    return found.group() if found else ""


def rerun_command(config: "RunConfig", *, threads: int) -> str:
    """The shell command that trains the same weights again, with the test patients left closed.

    Another number of CPU threads rounds differently. The lines have at most `MOST_CHARACTERS`,
    except for longer words.
    """
    lines = ["python train.py"]
    for argument in map(in_shell, rerun_arguments(config, threads=threads)):
        if len(lines[-1]) + len(argument) + len(line_end()) >= MOST_CHARACTERS:
            lines[-1] += line_end()
            lines.append(f" {argument}")
        else:
            lines[-1] += f" {argument}"
    return "\n".join(lines)


def rerun_arguments(config: "RunConfig", *, threads: int) -> list[str]:
    """Arguments of `rerun_command` for Hydra; every value is given, so defaults may change."""
    said = [f"data={config.data.source}"]
    said += [f"{group}={option}" for group, option in config.choices.items()]
    for key, value in config.by_key().items():
        if key == "decide" and value == "shares":
            value = "median"  # which the cell showed
        if key in _NOT_SAID or (key.endswith("._target_") and key not in config.changed):
            continue
        if value not in (None, []) or key in ("data.fold", *config.changed):
            # Groups may have keys that their files lack.
            plus = "++" if key.partition(".")[0] in config.choices else ""
            said.append(f"{plus}{key}={_typed(key, value)}")
    return [*quote_paths(said), f"trainer.threads={threads}", "test=never"]


def _typed(key: str, value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if key in PATH_KEYS:
        return str(Path(value).absolute())
    # Hydra would take other words apart, or for a number.
    if re.fullmatch(r"[A-Za-z_][\w.]*", value, re.ASCII) and value.lower() not in _NO_TEXT:
        return value
    return in_quotes(value)
