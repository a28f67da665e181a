"""Every cell's configuration out of few compositions: one, and one more for each further value.

Composing takes Hydra 44 to 92 ms, so 540 cells would take most of a minute, and again for each
look at what is left to do.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from djd.runs.config import read_config
from djd.runs.keys import AxisValue, flat, nested, value_of
from djd.sweeps.cells import Cell
from hydra_plugins.djd._axes import Axes
from hydra_plugins.djd._options import changed_keys, plain_values

NOT_THE_TASKS = ("hydra", "experiment")


@dataclass(frozen=True)
class _Composed:
    """A composition, flat, before and after its interpolations are resolved."""

    raw: Mapping[str, Any]
    resolved: Mapping[str, Any]
    choices: Mapping[str, Any]


class CellComposer:
    """Composes the cells of some axes.

    Args:
        loader: Hydra's.
        master: The configuration that Hydra composed for the sweep.
        axes: What is compared.
    """

    def __init__(self, loader: ConfigLoader, master: DictConfig, axes: Axes) -> None:
        self.loader = loader
        self.master = master
        self.axes = axes
        self.choices: Mapping[str, Any] = {}
        self.groups = {key for key in axes.values if loader.get_group_options(key)}

    def cells(self) -> list[Cell]:
        """Every combination of the axes' values, the last axis changing fastest.

        Raises:
            HydraException: A value, or a key, that Hydra can't compose.
            InputError: A value that is not as expected.
        """
        first = self._composed({})
        self.choices = first.choices
        others = {
            (key, value): self._composed({key: value})
            for key, values in self.axes.values.items()
            for value in values[1:]
        }
        linked = _is_linked([first, *others.values()])
        changes = {choice: _changes(first, composed) for choice, composed in others.items()}
        return [
            self._cell(chosen, None if linked else first, changes)
            for chosen in itertools.product(*self.axes.values.values())
        ]

    def _cell(
        self,
        chosen: Sequence[str],
        first: _Composed | None,
        changes: Mapping[tuple[str, str], Mapping[str, Any]],
    ) -> Cell:
        values = dict(zip(self.axes.values, chosen, strict=True))
        if first is None:
            config = dict(self._composed(values).resolved)
        else:
            # A group comes before the keys in it, as Hydra has it.
            config = dict(first.resolved)
            for key in sorted(values, key=lambda key: key not in self.groups):
                config |= changes.get((key, values[key]), {})
        config = nested({key: value for key, value in config.items() if value is not _ABSENT})
        choices = {**self.choices, **config["choices"]}
        config["changed"] = list(changed_keys(config, choices, self.loader))
        return Cell(
            axes={key: self._axis_value(flat(config), key, value) for key, value in values.items()},
            overrides=self._overrides(values),
            config=read_config(config),
        )

    def _axis_value(self, config: Mapping[str, Any], key: str, typed: str) -> AxisValue:
        return typed if key in self.groups else value_of(config, key)

    def _overrides(self, values: Mapping[str, str]) -> tuple[str, ...]:
        return (
            *self.axes.fixed,
            *(self.axes.override(key, value) for key, value in values.items()),
        )

    def _composed(self, chosen: Mapping[str, str]) -> _Composed:
        """The configuration with some axes' values chosen, and the first of all others."""
        values = {key: values[0] for key, values in self.axes.values.items()} | dict(chosen)
        composed = self.loader.load_sweep_config(self.master, list(self._overrides(values)))
        choices = dict(composed.hydra.runtime.choices)
        resolved = plain_values(composed, choices, self.loader)
        raw: Any = OmegaConf.to_container(composed, resolve=False)
        return _Composed(flat(raw), flat(resolved), choices)


_ABSENT = object()
"""In place of a key that a choice doesn't have."""


def _changes(first: _Composed, other: _Composed) -> dict[str, Any]:
    """What another choice changes; keys that it lacks are `_ABSENT`."""
    keys = [*first.resolved, *(key for key in other.resolved if key not in first.resolved)]
    now = {key: other.resolved.get(key, _ABSENT) for key in keys}
    return {key: now[key] for key in keys if now[key] != first.resolved.get(key, _ABSENT)}


def _is_linked(compositions: Sequence[_Composed]) -> bool:
    """Whether an interpolated value changes with an axis: then only Hydra can combine them."""
    first = compositions[0]
    return any(
        "${" in str(raw) and composed.resolved.get(key) != first.resolved.get(key)
        for composed in compositions
        for key, raw in composed.raw.items()
    )
