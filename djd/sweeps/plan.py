"""The plan of a sweep's folder: axes, fixed keys, cells and their names."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from djd.data.cohort import Cohort
from djd.data.split import PatientSplit
from djd.errors import InputError
from djd.runs.config import RunConfig, read_config
from djd.runs.keys import (
    NEUTRAL_VALUES,
    RECIPE,
    SHARING_KEYS,
    AxisValue,
    differences,
    free_name,
    nested,
    spelt_alike,
    value_of,
)
from djd.runs.result import RESULTS_VERSION
from djd.sweeps.cells import Cell, at_axes, axes_name, identity_of, numbers_of, shared_values

OTHER_FOLDER = "choose another hydra.sweep.dir"

_ABSENT = object()  # the value of a key that a configuration doesn't have


class NamedCell(BaseModel):
    """A cell as the plan lists it; `name` is the folder's."""

    model_config = ConfigDict(frozen=True)

    name: str
    identity: str
    axes: dict[str, AxisValue]

    @property
    def place(self) -> tuple[str, tuple[AxisValue, ...]]:
        """The identity, and the `shared_values`."""
        return self.identity, shared_values(self.axes)


class Plan(BaseModel):
    """`comparison.json`: everything that was ever compared in one folder.

    Attributes:
        axes: Keys that were ever compared.
        fixed: Value of every other key that can change a number.
        sharing: The same of the last command's `SHARING_KEYS`.
        options: Chosen option of every group that is not compared.
        choices: By an option of a group, such as `optim=adam`, the values of the group's keys that
            are not compared.
        arguments: Command line of the last command.
    """

    model_config = ConfigDict(frozen=True)

    results_version: int
    cohort_digest: str
    axes: tuple[str, ...]
    fixed: dict[str, Any]
    sharing: dict[str, Any] = {}
    options: dict[str, str]
    choices: dict[str, dict[str, Any]]
    arguments: tuple[str, ...]
    cells: tuple[NamedCell, ...]

    def config_of(self, named: NamedCell, sample: RunConfig | None) -> RunConfig | None:
        """The configuration of a cell that was never started; None where the plan lacks a value.

        The configuration of any other cell, `sample`, has the keys that change no number.
        """
        if sample is None:
            return None
        values = sample.by_key() | self.fixed | self.sharing
        choices = {**sample.choices, **self.options}
        groups = {axis for axis, value in named.axes.items() if f"{axis}={value}" in self.choices}
        if RECIPE in groups:
            of_recipe = self.choices[f"{RECIPE}={named.axes[RECIPE]}"]
            varied = _keys_of_recipes(self.choices)
            values = {key: each for key, each in values.items() if key not in varied}
            values |= {key: each for key, each in of_recipe.items() if key not in choices}
            choices |= {key: each for key, each in of_recipe.items() if key in choices}
        for axis, value in named.axes.items():
            if axis in choices:
                choices[axis] = str(value)
            if axis in groups - {RECIPE}:
                # The sample's option may have other keys than this option, such as a momentum.
                values = {k: each for k, each in values.items() if not k.startswith(f"{axis}.")}
                values |= self.choices[f"{axis}={value}"]
        values |= {
            axis: value
            for axis, value in named.axes.items()
            if axis not in groups and (axis in values or value is not None)
        }
        try:
            config = read_config(nested(values) | {"choices": choices, "logger": {}})
        except (InputError, TypeError, AttributeError):  # the plan's keys make no configuration
            return None
        return config if self.is_of(named, config) else None

    def is_of(self, named: NamedCell, config: RunConfig) -> bool:
        """Whether a cell has this configuration.

        Identities of another results_version can't be computed; there the axes decide.
        """
        if self.results_version == RESULTS_VERSION:
            return identity_of(config, self.cohort_digest) == named.identity
        return at_axes(config, self.axes) == named.axes

    def as_json(self) -> str:
        """The file's text, with a line for each cell: name, identity, values of the axes.

        With a line for each value 10,000 cells on five axes took 2.4 MB in place of 1.0.
        """
        head = self.model_dump_json(indent=1, exclude={"cells"}).removesuffix("\n}")
        rows = (
            [each.name, each.identity, [each.axes[axis] for axis in self.axes]]
            for each in self.cells
        )
        lines = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in rows)
        return f'{head},\n "cells": [\n{lines}\n ]\n}}'

    @model_validator(mode="before")
    @classmethod
    def _as_now(cls, values: Any) -> Any:
        """Bring the lines of cells, and what earlier versions wrote, to the form of a plan.

        A plan of results_version 2 knew no group but `optim`.
        """
        if not isinstance(values, dict):
            return values
        cells = [_named_cell(each, values.get("axes")) for each in values.get("cells", ())]
        values = {**values, "cells": cells} if cells else values
        if "options" in values or "fixed" not in values:
            return values
        fixed = dict(values["fixed"])
        options = {"model": "cnn", "loss": "cross_entropy"}
        if "optim.name" in fixed:
            options["optim"] = fixed.pop("optim.name")
        choices = {choice: dict(keys) for choice, keys in values.get("choices", {}).items()}
        for keys in choices.values():
            keys.pop("optim.name", None)
        return {**values, "fixed": fixed, "options": options, "choices": choices}


def _named_cell(line: Any, axes: Any) -> Any:
    """A line of a cell as the values of a `NamedCell`; earlier versions wrote these themselves."""
    if not isinstance(line, list) or len(line) != 3 or not isinstance(line[2], list):
        return line
    name, identity, values = line
    if not isinstance(axes, list | tuple) or len(axes) != len(values):
        return line
    return {"name": name, "identity": identity, "axes": dict(zip(axes, values, strict=True))}


def cohort_config(cells: Sequence[Cell]) -> RunConfig:
    """The configuration whose cohort stands for all cells: where crops differ, one of the study's.

    Of an axis `data.crop` the order of the values then changes nothing.
    """
    configs = [cell.config for cell in cells]
    return next((each for each in configs if each.data.crop == "study"), configs[0])


def cohort_digest(cohort: Cohort, split: PatientSplit) -> str:
    """Digest of the knees and the split: cells of one digest are comparable."""
    written = json.dumps([cohort.fingerprint(), split.development, split.test])
    return hashlib.sha256(written.encode()).hexdigest()[:16]


def plan_cells(
    before: Plan | None,
    folder: Path,
    cells: Sequence[Cell],
    *,
    digest: str,
    arguments: Sequence[str],
) -> tuple[Plan, list[Cell]]:
    """Give every cell its folder: its earlier one, by its identity, or a new one by its axes.

    A new folder has no plan `before`; of equal cells the first stands for all. Cells that differ
    in `SHARING_KEYS` alone share a folder.

    Raises:
        InputError: The folder holds a sweep of another cohort, or with other values of keys that
            are not compared.
    """
    axes = tuple(dict.fromkeys([*(before.axes if before else ()), *cells[0].axes]))
    plan = Plan(
        results_version=RESULTS_VERSION,
        cohort_digest=digest,
        axes=axes,
        fixed=_uncompared(_shared([numbers_of(cell.config) for cell in cells]), axes),
        sharing=_uncompared(_shared([cell.config.sharing for cell in cells]), axes),
        options=_uncompared(_shared([cell.config.choices for cell in cells]), axes),
        choices=_choices(cells, axes, before),
        arguments=tuple(arguments),
        cells=_widened(before, axes) if before else (),
    )
    if before:
        _require_same(folder, before, plan)
    named = _named(plan, cells)
    every: dict[Any, NamedCell] = {}
    for listed in (*plan.cells, *named):
        every.setdefault(listed.place, listed)
    plan = plan.model_copy(update={"cells": tuple(every.values())})
    placed: dict[Any, Cell] = {}
    for cell, name in zip(cells, named, strict=True):
        there = replace(cell, folder=folder / name.name, axes=name.axes)
        placed.setdefault(name.place, there)
    return plan, list(placed.values())


def _widened(before: Plan, axes: Sequence[str]) -> tuple[NamedCell, ...]:
    """Cells of a plan on all axes, of which some were fixed keys or options until now."""
    known = {**NEUTRAL_VALUES, **before.fixed, **before.sharing, **before.options}
    fixed = {axis: value_of(known, axis) for axis in axes}
    return tuple(
        cell.model_copy(update={"axes": {axis: cell.axes.get(axis, fixed[axis]) for axis in axes}})
        for cell in before.cells
    )


def _named(plan: Plan, cells: Sequence[Cell]) -> list[NamedCell]:
    """Each cell with its identity's name in the plan, or with a new name that no cell has."""
    known = {cell.identity: cell.name for cell in plan.cells}
    taken = {spelt_alike(cell.name) for cell in plan.cells}
    named = []
    for cell in cells:
        identity = identity_of(cell.config, plan.cohort_digest)
        axes = at_axes(cell.config, plan.axes, cell.axes)
        if identity not in known:
            trained = {key: value for key, value in axes.items() if key not in SHARING_KEYS}
            known[identity] = free_name(axes_name(trained), identity, taken)
        named.append(NamedCell(name=known[identity], identity=identity, axes=axes))
    return named


def _choices(
    cells: Sequence[Cell], axes: Sequence[str], before: Plan | None
) -> dict[str, dict[str, Any]]:
    """Values of the chosen options of groups, which another command may compare."""
    choices = dict(before.choices) if before else {}
    if RECIPE in axes:
        choices |= _choices_of_recipes(cells, axes, before)
    chosen = {
        (group, choice): cell.config  # the last with the option
        for cell in cells
        for group, choice in {**cell.axes, **cell.config.choices}.items()
    }
    for (group, choice), config in chosen.items():
        values = config.by_key()
        keys = [key for key in values if key.startswith(f"{group}.") and key not in axes]
        if keys:
            choices[f"{group}={choice}"] = {key: values[key] for key in keys}
    return choices


def _choices_of_recipes(
    cells: Sequence[Cell], axes: Sequence[str], before: Plan | None
) -> dict[str, dict[str, Any]]:
    """By each recipe that was ever compared, its values of all keys and groups that differ."""
    by_recipe: dict[str, list[dict[str, Any]]] = {}
    for cell in cells:
        values = {**numbers_of(cell.config), **cell.config.sharing, **cell.config.choices}
        by_recipe.setdefault(f"{RECIPE}={cell.config.choices[RECIPE]}", []).append(values)
    shared = {name: _shared(values) for name, values in by_recipe.items()}
    everywhere = _shared([*shared.values()])
    varied = {key for values in shared.values() for key in values if key not in everywhere}
    earlier: dict[str, dict[str, Any]] = {}
    if before:
        varied |= _keys_of_recipes(before.choices)
        there = {**before.fixed, **before.sharing, **before.options}
        names = {name for name in before.choices if name.startswith(f"{RECIPE}=")}
        names |= {f"{RECIPE}={before.options[RECIPE]}"} if RECIPE in before.options else set()
        earlier = {name: {**there, **before.choices.get(name, {})} for name in names}
    return {
        name: _uncompared({key: values[key] for key in varied & values.keys()}, axes)
        for name, values in {**earlier, **shared}.items()
    }


def _require_same(folder: Path, before: Plan, now: Plan) -> None:
    if before.results_version != now.results_version:
        raise InputError(
            f"{folder}: expected a comparison of this software (results_version "
            f"{now.results_version}), received one whose numbers came about in another way "
            f"({before.results_version}); {OTHER_FOLDER}"
        )
    if before.cohort_digest != now.cohort_digest:
        raise InputError(
            f"{folder}: expected the cohort and the test patients of the comparison that was "
            f"started there ({before.cohort_digest}), received others ({now.cohort_digest}); "
            f"{OTHER_FOLDER}"
        )
    varied = _keys_of_recipes(before.choices) | _keys_of_recipes(now.choices)
    others = differences(_uncompared(before.options, now.axes), now.options, free=varied)
    changes = [others or differences(_uncompared(before.fixed, now.axes), now.fixed, free=varied)]
    free = {*before.axes, *now.axes, *varied}
    for choice, there in before.choices.items():
        changes.append(differences(there, now.choices[choice], free=free))
    if found := list(dict.fromkeys(filter(None, changes))):
        raise InputError(
            f"{folder}: expected the comparison that was started there, received another one: it "
            f"has {'; '.join(found)}; say the same, compare that key, or {OTHER_FOLDER}"
        )


def _shared(each: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Keys that have the same value everywhere."""
    shared, *others = each
    for other in others:
        different = [key for key, value in shared.items() if other.get(key, _ABSENT) != value]
        if different:
            shared = {key: value for key, value in shared.items() if key not in different}
    return dict(shared)


def _keys_of_recipes(choices: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Keys and groups that compared recipes choose differently."""
    of_recipes = (keys for choice, keys in choices.items() if choice.startswith(f"{RECIPE}="))
    return {key for keys in of_recipes for key in keys}


def _uncompared(values: Mapping[str, Any], axes: Sequence[str]) -> dict[str, Any]:
    """Values of keys that are no axis, and whose group is no axis."""
    return {
        key: value
        for key, value in values.items()
        if not any(key == axis or key.startswith(f"{axis}.") for axis in axes)
    }
