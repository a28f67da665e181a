"""Configurations from Hydra's compositions: of a run, and of every cell of a sweep.

A composition takes 44 to 92 ms, and 540 of them most of a minute, each time that a sweep is
started: so Hydra composes one configuration, and one more for each further value of an axis.
"""

import copy
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_loader import ConfigLoader
from hydra.core.default_element import ConfigDefault, GroupDefault
from omegaconf import DictConfig, OmegaConf, open_dict

from djd.errors import require_text
from djd.runs.config import read_config
from djd.runs.keys import NEUTRAL_VALUES, RECIPE, SETTING_GROUPS, AxisValue, flat, nested, value_of
from hydra_plugins.djd._parsing import files_parsed_once

if TYPE_CHECKING:
    from djd.sweeps.cells import Cell
    from hydra_plugins.djd._axes import Axes

CHANGEABLE_GROUPS = ("data", *SETTING_GROUPS, "trainer")
"""Groups whose changed values make another setting than their options' files."""

OF_ANY_OPTION: Mapping[str, Any] = {
    "optim.schedule": "constant",
    "optim.warmup": 0,
    "optim.lr_times": 1,
    "loss.class_weights": "none",
}
"""Keys whose value in a recipe holds for every option whose own file has this value."""


def plain_values(
    cfg: DictConfig,
    choices: Mapping[str, Any],
    loader: ConfigLoader,
    overrides: Iterable[str],
    searchpath: Iterable[str] = (),
) -> dict[str, Any]:
    """A configuration of Hydra as plain values, with interpolations resolved.

    Hydra's `runtime.choices` are `choices`, the chosen option of each group. A recipe's values for
    an option, such as the depth of its network, leave another option alone, unless `overrides`
    have them. Files of options are in the loader's folders and in those of `hydra.searchpath`.
    Raises InputError for a value that is no text, such as a path.
    """
    with open_dict(cfg):
        for key in ("hydra", "experiment"):
            cfg.pop(key, None)
    values: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    for key, value in flat(values).items():
        require_text(key, str(value))
    typed = {each.partition("=")[0].lstrip("+") for each in overrides}
    files = options_files(loader, tuple(searchpath))
    values |= _without_recipe(values, choices, files, typed)
    named = {group: str(choices.get(group)) for group in (RECIPE, *SETTING_GROUPS)}
    return values | {"choices": named, "changed": list(changed_keys(values, choices, files))}


@cache
def options_files(loader: ConfigLoader, searchpath: tuple[str, ...]) -> ConfigRepository:
    """The files of all options, those of `hydra.searchpath` among them."""
    places = copy.deepcopy(loader.config_search_path)  # type: ignore[attr-defined]
    schema = places.get_path().pop()
    for place in searchpath:
        places.append("hydra.searchpath", place)
    places.append(schema.provider, schema.path)
    return ConfigRepository(places)


def _without_recipe(
    values: Mapping[str, Any],
    choices: Mapping[str, Any],
    files: ConfigRepository,
    typed: Collection[str],
) -> dict[str, Any]:
    """Open groups without the values that a recipe meant for another option."""
    recipe = _recipe(str(choices.get(RECIPE)), files)
    groups: dict[str, Any] = {}
    for group in SETTING_GROUPS:
        option = str(choices.get(group))
        in_file = flat({group: _file_values(group, option, files)})
        kept = flat({group: values.get(group) or {}})
        for key in recipe.unmeant(group, option, in_file):
            if key in kept and key not in typed:
                del kept[key]
                kept |= {name: each for name, each in in_file.items() if _is_in(name, key)}
        groups |= nested(kept)
    return groups


def _is_in(name: str, key: str) -> bool:
    """Whether a flat name is a key, or of a mapping at that key."""
    return name == key or name.startswith(f"{key}.")


def _holds(key: str, in_file: Mapping[str, Any]) -> bool:
    """Whether a recipe's value holds for another option than the recipe's, with these values."""
    own = [each for name, each in in_file.items() if _is_in(name, key)]
    return key in OF_ANY_OPTION and all(each == OF_ANY_OPTION[key] for each in own)


@dataclass(frozen=True)
class _Recipe:
    """A recipe's options, its values by key, and the option that each value of a group is for."""

    options: Mapping[str, str]
    values: Mapping[str, Any]
    meant_for: Mapping[str, str]

    def unmeant(self, group: str, option: str, in_file: Mapping[str, Any]) -> list[str]:
        """Keys of a group with values for another option than that of the file."""
        return [
            key
            for key, meant in self.meant_for.items()
            if key.startswith(f"{group}.") and meant != option and not _holds(key, in_file)
        ]

    def values_of(self, group: str, option: str, in_file: Mapping[str, Any]) -> dict[str, Any]:
        """Values of a group that hold for an option."""
        unmeant = self.unmeant(group, option, in_file)
        values = {key: each for key, each in self.values.items() if key.startswith(f"{group}.")}
        return {key: each for key, each in values.items() if key not in unmeant}


@cache
def _recipe(name: str, files: ConfigRepository) -> _Recipe:
    """A recipe, on top of those in its defaults list; groups that no file names have no option."""
    loaded = files.load_config(f"{RECIPE}/{name}")
    options: dict[str, str] = {}
    values: dict[str, Any] = {}
    meant_for: dict[str, str] = {}
    for default in (loaded.defaults_list or ()) if loaded else ():
        if isinstance(default, GroupDefault) and default.override:
            options[str(default.group).strip("/")] = str(default.value)
        elif isinstance(default, ConfigDefault) and default.path not in (None, "_self_"):
            base = _recipe(str(default.path), files)
            options, values = {**base.options, **options}, {**base.values, **values}
            meant_for |= base.meant_for
    own = flat(OmegaConf.to_container(loaded.config, resolve=False) or {}) if loaded else {}  # type: ignore[arg-type]
    groups = {key: key.partition(".")[0] for key in own}
    meant_for |= {key: options[group] for key, group in groups.items() if group in options}
    return _Recipe(options, values | own, meant_for)


def changed_keys(
    values: Mapping[str, Any], choices: Mapping[str, Any], files: ConfigRepository
) -> Iterator[str]:
    """Keys whose nested values differ from the files of the chosen options and of the recipe.

    With a recipe also the groups that have another option than the recipe's.
    """
    recipe = _recipe(str(choices.get(RECIPE)), files)
    for group in CHANGEABLE_GROUPS:
        option = str(choices.get(group))
        of_recipe = recipe.options.get(group, NEUTRAL_VALUES.get(group))
        if recipe.options and group in SETTING_GROUPS and option != of_recipe:
            yield group
        in_files = flat({group: _file_values(group, option, files)})
        in_files |= recipe.values_of(group, option, in_files)
        for key, value in flat({group: values.get(group) or {}}).items():
            in_file = in_files.get(key)
            if key not in in_files or (value != in_file and "${" not in str(in_file)):
                yield key


@cache  # each cell of a sweep asks for the same few files
def _file_values(group: str, option: str, files: ConfigRepository) -> dict[str, Any]:
    """Values of an option's file and of those in its defaults list."""
    loaded = files.load_config(f"{group}/{option}")
    if loaded is None:
        return {}
    values: dict[str, Any] = {}
    for default in loaded.defaults_list or ():
        if isinstance(default, ConfigDefault) and default.path not in (None, "_self_", option):
            values |= _file_values(group, str(default.path), files)
        elif isinstance(default, GroupDefault) and isinstance(default.value, str):
            inner = str(default.group)
            values[inner] = _file_values(f"{group}/{inner}", default.value, files)
    own: Any = OmegaConf.to_container(loaded.config, resolve=False)
    return values | (own or {})


def compose_values(conf: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Plain values of overrides, without a run; `conf` is the absolute path of the conf folder."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    with initialize_config_dir(conf, version_base="1.3"):
        cfg = compose("config", overrides=list(overrides), return_hydra_config=True)
        loader = GlobalHydra.instance().config_loader()
        searchpath = list(cfg.hydra.searchpath)
        return plain_values(cfg, dict(cfg.hydra.runtime.choices), loader, overrides, searchpath)


@dataclass(frozen=True)
class _Composed:
    """A composition, flat, before and after its interpolations are resolved."""

    raw: Mapping[str, Any]
    resolved: Mapping[str, Any]
    choices: Mapping[str, Any]


class CellComposer:
    """Composes the cells of axes; `master` is the configuration that Hydra composed for a sweep."""

    def __init__(self, loader: ConfigLoader, master: DictConfig, axes: "Axes") -> None:
        self.loader = loader
        self.master = master
        self.axes = axes
        self.searchpath = tuple(master.hydra.searchpath)
        self.files = options_files(loader, self.searchpath)
        self.groups = {key for key in axes.values if loader.get_group_options(key)}

    def cells(self) -> list["Cell"]:
        """Every combination of the axes' values, the last axis changing fastest.

        Raises:
            HydraException: Hydra can't compose a value or key.
            InputError: A value is not as expected.
        """
        with files_parsed_once(self.loader):
            return self._cells()

    def _cells(self) -> list["Cell"]:
        first = self._composed({})
        others = {
            (key, value): self._composed({key: value})
            for key, values in self.axes.values.items()
            for value in values[1:]
        }
        recipes = RECIPE in self.groups and len(self.groups) > 1
        linked = recipes or _is_linked([first, *others.values()])
        changes = {
            choice: (_changes(first.resolved, each.resolved), _changes(first.choices, each.choices))
            for choice, each in others.items()
        }
        cells = []
        for chosen in itertools.product(*self.axes.values.values()):
            values = dict(zip(self.axes.values, chosen, strict=True))
            composed = self._composed(values) if linked else self._changed(first, values, changes)
            cells.append(self._cell(values, composed))
        return cells

    def _changed(
        self,
        first: _Composed,
        values: Mapping[str, str],
        changes: Mapping[tuple[str, str], tuple[Mapping[str, Any], Mapping[str, Any]]],
    ) -> _Composed:
        config, choices = dict(first.resolved), dict(first.choices)
        # A group comes before the keys in the group, as in Hydra.
        for key in sorted(values, key=lambda key: key not in self.groups):
            changed, chosen = changes.get((key, values[key]), ({}, {}))
            config |= changed
            choices |= chosen
        config = {key: value for key, value in config.items() if value is not _ABSENT}
        return _Composed({}, config, choices)

    def _cell(self, values: Mapping[str, str], composed: _Composed) -> "Cell":
        from djd.sweeps.cells import Cell  # not needed by a single run

        config = {"logger": {}} | nested(composed.resolved)
        config["changed"] = list(changed_keys(config, composed.choices, self.files))
        axes: dict[str, AxisValue] = {
            key: typed if key in self.groups else value_of(composed.resolved, key)
            for key, typed in values.items()
        }
        return Cell(axes, self._overrides(values), read_config(config))

    def _overrides(self, values: Mapping[str, str]) -> tuple[str, ...]:
        compared = (self.axes.override(key, value) for key, value in values.items())
        return (*self.axes.fixed, *compared)

    def _composed(self, chosen: Mapping[str, str]) -> _Composed:
        """The configuration with the chosen values, and the first value of every other axis."""
        values = {key: values[0] for key, values in self.axes.values.items()} | dict(chosen)
        overrides = list(self._overrides(values))
        composed = self.loader.load_sweep_config(self.master, overrides)
        choices = dict(composed.hydra.runtime.choices)
        resolved = plain_values(composed, choices, self.loader, overrides, self.searchpath)
        raw: Any = OmegaConf.to_container(composed, resolve=False)
        return _Composed(flat(raw), flat(resolved), choices)


_ABSENT = object()  # the value of a key that a choice doesn't have


def _changes(first: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Values that differ from those of the first composition; missing keys are `_ABSENT`."""
    now = {**dict.fromkeys(first, _ABSENT), **other}
    return {key: value for key, value in now.items() if value != first.get(key, _ABSENT)}


def _is_linked(compositions: Sequence[_Composed]) -> bool:
    """Whether an interpolated value changes with an axis: then Hydra composes every cell."""
    first = compositions[0]
    return any(
        "${" in str(raw) and composed.resolved.get(key) != first.resolved.get(key)
        for composed in compositions
        for key, raw in composed.raw.items()
    )
