"""What a sweep's folder knows of itself: axes, fixed keys, cells and their names."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from djd.data.cohort import Cohort
from djd.data.split import PatientSplit
from djd.errors import InputError
from djd.runs.config import RunConfig, read_config
from djd.runs.result import RESULTS_VERSION
from djd.runs.resume import NUMBERLESS_KEYS, differences, flat, nested
from djd.sweeps.cells import (
    AxisValue,
    Cell,
    at_axes,
    axes_name,
    chosen_options,
    identity_of,
    value_of,
)

OTHER_FOLDER = "choose another hydra.sweep.dir"


class NamedCell(BaseModel):
    """A cell as the plan lists it: the name of its folder, its identity, its place on the axes."""

    model_config = ConfigDict(frozen=True)

    name: str
    identity: str
    axes: dict[str, AxisValue]


class Plan(BaseModel):
    """`comparison.json`: everything that was ever compared in one folder.

    Attributes:
        results_version: See `RESULTS_VERSION`.
        cohort_digest: Of crops, grades and split.
        axes: Keys that were ever compared.
        fixed: Value of every other key that can change a number.
        choices: Of each option of a group, such as `optim=adam`, the values of its keys that are
            not compared themselves.
        arguments: Of the last command.
        cells: All cells, whether or not they have been trained.
    """

    model_config = ConfigDict(frozen=True)

    results_version: int
    cohort_digest: str
    axes: tuple[str, ...]
    fixed: dict[str, Any]
    choices: dict[str, dict[str, Any]]
    arguments: tuple[str, ...]
    cells: tuple[NamedCell, ...]

    def config_of(self, named: NamedCell, sample: RunConfig | None) -> RunConfig | None:
        """The configuration of a cell that was never started, put together from the plan.

        Args:
            named: The cell.
            sample: The configuration of any other cell.

        Returns:
            The configuration; None where its identity is not the cell's.
        """
        if sample is None:
            return None
        values = flat(sample.plain()) | self.fixed
        for axis, value in named.axes.items():
            if (choice := f"{axis}={value}") in self.choices:
                # Another option of the group may have keys that this one lacks, such as a momentum.
                values = {k: each for k, each in values.items() if not k.startswith(f"{axis}.")}
                values |= self.choices[choice]
        keys = flat(sample.plain()).keys() | self.fixed.keys()
        values |= {axis: each for axis, each in named.axes.items() if "." in axis or axis in keys}
        try:
            config = read_config(nested(values))
        except (InputError, TypeError, AttributeError):  # the plan's keys make no configuration
            return None
        return config if identity_of(config, self.cohort_digest) == named.identity else None


def cohort_digest(cohort: Cohort, split: PatientSplit) -> str:
    """Digest of all that makes two cells comparable: the knees, and who is a test patient."""
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
    """Give every cell its folder: one that it has already, by its identity, or one by its axes.

    Args:
        before: What the folder knows of itself; None where it is new.
        folder: The sweep's.
        cells: What is compared now; of equal cells the first stands for all.
        digest: See `cohort_digest`.
        arguments: Of the command.

    Raises:
        InputError: The folder holds a sweep of another cohort, or other values where nothing is
            compared.
    """
    axes = tuple(dict.fromkeys([*(before.axes if before else ()), *cells[0].axes]))
    plan = Plan(
        results_version=RESULTS_VERSION,
        cohort_digest=digest,
        axes=axes,
        fixed=_fixed(cells[0], axes),
        choices={**(before.choices if before else {}), **_choices(cells, axes)},
        arguments=tuple(arguments),
        cells=_widened(before, axes) if before else (),
    )
    if before:
        _require_same(folder, before, plan)
    named = _named(plan, cells)
    plan = plan.model_copy(
        update={"cells": tuple({cell.identity: cell for cell in (*plan.cells, *named)}.values())}
    )
    placed: dict[str, Cell] = {}
    for cell, name in zip(cells, named, strict=True):
        there = at_axes(cell.config, axes, cell.axes)
        placed.setdefault(name.identity, replace(cell, folder=folder / name.name, axes=there))
    return plan, list(placed.values())


def _widened(before: Plan, axes: Sequence[str]) -> tuple[NamedCell, ...]:
    """Cells of a plan on axes that were fixed keys until now."""
    return tuple(
        cell.model_copy(
            update={"axes": {axis: cell.axes.get(axis, _fixed_at(before, axis)) for axis in axes}}
        )
        for cell in before.cells
    )


def _fixed_at(plan: Plan, axis: str) -> AxisValue:
    """What a key that wasn't compared was; of a group, the option that was chosen."""
    return value_of(plan.fixed, f"{axis}.name" if f"{axis}.name" in plan.fixed else axis)


def _named(plan: Plan, cells: Sequence[Cell]) -> list[NamedCell]:
    """Each cell by the name that it has in the plan, or by a new one that nobody has."""
    known = {cell.identity: cell for cell in plan.cells}
    taken = {cell.name for cell in plan.cells}
    named = []
    for cell in cells:
        identity = cell.identity(plan.cohort_digest)
        if identity not in known:
            axes = at_axes(cell.config, plan.axes, cell.axes)
            name = axes_name(axes)
            if name in taken:
                name = f"{name} {identity[:6]}"
            taken.add(name)
            known[identity] = NamedCell(name=name, identity=identity, axes=axes)
        named.append(known[identity])
    return named


def _fixed(cell: Cell, axes: Sequence[str]) -> dict[str, Any]:
    return {
        key: value
        for key, value in flat(cell.config.plain()).items()
        if key not in NUMBERLESS_KEYS and not _is_compared(key, axes)
    }


def _is_compared(key: str, axes: Sequence[str]) -> bool:
    """Whether a key is an axis, or belongs to a group that is one."""
    return any(key == axis or key.startswith(f"{axis}.") for axis in axes)


def _choices(cells: Sequence[Cell], axes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What each option of a group stands for: `optim=adam` is a rate, a class ...

    Options count whether or not their group is compared, since another command may compare it.
    """
    choices: dict[str, dict[str, Any]] = {}
    for cell in cells:
        values = flat(cell.config.plain())
        for group, choice in {**cell.axes, **chosen_options(cell.config)}.items():
            keys = [key for key in values if key.startswith(f"{group}.") and key not in axes]
            if keys:
                choices[f"{group}={choice}"] = {key: values[key] for key in keys}
    return choices


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
    changes = [differences(_uncompared(before.fixed, now), _uncompared(now.fixed, now), free=())]
    for choice, there in before.choices.items():
        compared = {*before.axes, *now.axes}
        changes.append(differences(there, now.choices[choice], free=compared))
    if found := list(dict.fromkeys(filter(None, changes))):
        raise InputError(
            f"{folder}: expected the comparison that was started there, received another one: it "
            f"has {'; '.join(found)}; say the same, compare that key, or {OTHER_FOLDER}"
        )


def _uncompared(fixed: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    return {key: value for key, value in fixed.items() if not _is_compared(key, plan.axes)}
