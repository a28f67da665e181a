"""The axes of a sweep, as the command line and the experiment file give them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from djd.errors import InputError
from djd.runs.keys import COHORT_KEYS, FREE_KEYS

LIST_KEYS = ("score_epochs", "data.exclude", "logger")
"""Keys whose values are lists."""

ONE_COHORT = COHORT_KEYS | {"data", "data.leak"}
"""Keys of the cohort: the same for all cells."""

ABOUT_ALL = FREE_KEYS - COHORT_KEYS | {"paths"}
"""Keys that change no result."""


@dataclass(frozen=True)
class Axes:
    """The compared keys and all other overrides.

    Attributes:
        values: Values of each compared key, as typed.
        fixed: All other overrides, as typed.
        typed: Each compared key as it was typed, such as with a `+`.
    """

    values: Mapping[str, tuple[str, ...]]
    fixed: tuple[str, ...]
    typed: Mapping[str, str] = field(default_factory=dict)

    def override(self, key: str, value: str) -> str:
        """The override that gives a compared key a value."""
        return f"{self.typed.get(key, key)}={value}"


def read_axes(params: Mapping[str, Any], arguments: Iterable[str], loader: ConfigLoader) -> Axes:
    """Split axes from fixed overrides; the command line overrides the experiment's file.

    Each key of `params` (`hydra.sweeper.params`) is an axis, even with a single value.

    Raises:
        InputError: A key can't be compared, or its values are not written with commas.
    """
    parser = OverridesParser.create(config_loader=loader)
    in_file = [f"{key}={'null' if value is None else value}" for key, value in params.items()]
    from_file, typed_ones = parser.parse_overrides(in_file), parser.parse_overrides([*arguments])
    _require_once(typed_ones)
    said = [*from_file, *typed_ones]
    overrides = {override.get_key_element().lstrip("+"): override for override in said}
    values: dict[str, tuple[str, ...]] = {}
    fixed = []
    for key, override in overrides.items():
        typed = override.get_key_element()
        _require_no_list(typed, override)
        if key == "kind":
            raise InputError(f"kind: expected no value, since a sweep sets it, received {typed}")
        if key == "score_epochs" and not isinstance(override.value(), list | None):
            fixed.append(f"{key}=[{','.join(_values(override))}]")
        elif override.is_sweep_override() or key in params:
            _require_comparable(key, override)
            values[key] = _values(override)
        else:
            fixed.append(f"{typed}={override.get_value_element_as_str()}")
    return Axes(values, tuple(fixed), {key: overrides[key].get_key_element() for key in values})


def _require_once(overrides: Iterable[Override]) -> None:
    """Hydra would drop the first of two values of a key in silence."""
    seen: dict[str, Override] = {}
    for override in overrides:
        key = override.get_key_element().lstrip("+")
        if key in seen:
            raise InputError(
                f"{key}: expected once, received {seen[key].input_line} and {override.input_line}"
            )
        seen[key] = override


def _values(override: Override) -> tuple[str, ...]:
    if not override.is_sweep_override():
        return (override.get_value_element_as_str(),)
    return tuple(dict.fromkeys(override.sweep_string_iterator()))


def _require_no_list(key: str, override: Override) -> None:
    """The value of an added key (`+optim.betas`) may be a list."""
    takes_lists = key in LIST_KEYS or key.startswith("+")
    if takes_lists or override.is_sweep_override() or override.is_delete():
        return
    if isinstance(value := override.value(), list):
        values = ",".join(str(each) for each in value)
        raise InputError(
            f"{key}: expected values with commas alone to compare them ({key}={values}), "
            f"received a list in brackets ({override.get_value_element_as_str()})"
        )


def _require_comparable(key: str, override: Override) -> None:
    if override.is_sweep_override() and not override.is_discrete_sweep():
        expected = "values with commas to compare"
    elif key == "experiment":
        expected = "one experiment a command, since each has its own axes"
    elif key in ONE_COHORT:
        expected = "one value, since all cells of a comparison grade the same patients"
    elif key == "logger":
        loggers = f"logger=[{','.join(_values(override))}]"
        expected = f"the loggers of all cells as a list in brackets ({loggers}), since loggers "
        expected += "change no result"
    elif key in ABOUT_ALL or key.startswith("logger."):
        expected = "one value, since it changes no result"
    else:
        return
    raise InputError(f"{key}: expected {expected}, received {override.input_line}")
