"""What a comparison's folder knows of itself: axes, fixed keys, cells and their names."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from djd.data.cohort import Cohort
from djd.data.split import PatientSplit
from djd.errors import InputError
from djd.files import write_whole
from djd.runs.folder import RESULT_NAME
from djd.runs.keys import NUMBERLESS_KEYS, AxisValue, differences, value_of
from djd.runs.result import RESULTS_VERSION
from djd.sweeps.cells import COMPARISON_NAME, Cell, axes_name

PLAN_LOCK_NAME = f".{COMPARISON_NAME}.lock"
"""Held by whoever changes what a comparison's folder knows of itself."""


class NamedCell(BaseModel):
    """A cell as the comparison's file lists it.

    Attributes:
        name: Of its folder.
        identity: See `Cell.identity`.
        axes: Value of each compared key.
    """

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
        choices: Of each choice of a compared group, such as `optim=adam`, the values of its keys
            that are not compared themselves.
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

    @classmethod
    def load(cls, folder: Path) -> "Plan":
        """Read the file of a comparison's folder.

        Raises:
            InputError: It is damaged.
        """
        path = folder / COMPARISON_NAME
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except (ValidationError, UnicodeDecodeError) as error:
            raise InputError(
                f"{path}: expected the plan of a comparison, received a damaged file; choose "
                "another hydra.sweep.dir"
            ) from error


def cohort_digest(cohort: Cohort, split: PatientSplit) -> str:
    """Digest of all that makes two cells comparable: the knees, and who is a test patient."""
    told = json.dumps([cohort.fingerprint(), split.development, split.test])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def plan_cells(
    folder: Path, cells: Sequence[Cell], *, digest: str, arguments: Sequence[str]
) -> tuple[Plan, list[Cell]]:
    """Give every cell its folder: one that it has already, by its identity, or one by its axes.

    Nothing is written.

    Args:
        folder: The comparison's.
        cells: What is compared now; of equal cells the first stands for all.
        digest: See `cohort_digest`.
        arguments: Of the command.

    Raises:
        InputError: The folder holds a comparison with another cohort, or other values where
            nothing is compared.
    """
    before = _plan_before(folder)
    axes = tuple(dict.fromkeys([*(before.axes if before else ()), *cells[0].axes]))
    choices = _choices(cells, axes)
    plan = Plan(
        results_version=RESULTS_VERSION,
        cohort_digest=digest,
        axes=axes,
        fixed=_fixed(cells[0], axes),
        choices={**(before.choices if before else {}), **choices},
        arguments=tuple(arguments),
        cells=_widened(before, axes) if before else (),
    )
    if before:
        _require_same(folder, before, plan)
    named = _named(plan, cells)
    plan = plan.model_copy(
        update={"cells": tuple({cell.identity: cell for cell in (*plan.cells, *named)}.values())}
    )
    planned: dict[str, Cell] = {}
    for cell, name in zip(cells, named, strict=True):
        there = replace(cell, folder=folder / name.name, axes=at_axes(cell, axes))
        planned.setdefault(name.identity, there)
    return plan, list(planned.values())


def plan_and_save(
    folder: Path, cells: Sequence[Cell], *, digest: str, arguments: Sequence[str]
) -> tuple[Plan, list[Cell]]:
    """The same, written in one step with its checks: processes that start at once agree.

    Args:
        folder: The comparison's; made where it isn't there.
        cells: See `plan_cells`, as all that follows.
        digest: See `plan_cells`.
        arguments: See `plan_cells`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / PLAN_LOCK_NAME):
        plan, planned = plan_cells(folder, cells, digest=digest, arguments=arguments)
        write_whole(folder / COMPARISON_NAME, plan.model_dump_json(indent=1))
    return plan, planned


def _plan_before(folder: Path) -> Plan | None:
    if (folder / COMPARISON_NAME).exists():
        return Plan.load(folder)
    if found := next(folder.glob(f"*/{RESULT_NAME}"), None):
        raise InputError(
            f"{folder}: expected a new folder or a comparison's, received one that holds {found} "
            f"and no {COMPARISON_NAME}; choose another hydra.sweep.dir"
        )
    return None


def _widened(before: Plan, axes: Sequence[str]) -> tuple[NamedCell, ...]:
    """Cells of a plan on axes that were fixed keys until now."""
    return tuple(
        cell.model_copy(
            update={"axes": {axis: cell.axes.get(axis, _fixed_at(before, axis)) for axis in axes}}
        )
        for cell in before.cells
    )


def _fixed_at(plan: Plan, axis: str) -> AxisValue:
    """What a key that wasn't compared was; of the optimizer, whose key is a group, its name."""
    return value_of(plan.fixed, axis)


def _named(plan: Plan, cells: Sequence[Cell]) -> list[NamedCell]:
    """Each cell by the name that it has in the plan, or by a new one that nobody has."""
    known = {cell.identity: cell for cell in plan.cells}
    taken = {cell.name for cell in plan.cells}
    named = []
    for cell in cells:
        identity = cell.identity(plan.cohort_digest)
        if identity not in known:
            at = at_axes(cell, plan.axes)
            name = axes_name(at)
            if name in taken:
                name = f"{name} {identity[:6]}"
            taken.add(name)
            known[identity] = NamedCell(name=name, identity=identity, axes=at)
        named.append(known[identity])
    return named


def at_axes(cell: Cell, axes: Sequence[str]) -> dict[str, AxisValue]:
    """Where a cell stands on every axis that the folder ever had, those of this command or not."""
    values = {**cell.config.by_key(), **cell.config.choices, **cell.axes}
    return {axis: value_of(values, axis) for axis in axes}


def _fixed(cell: Cell, axes: Sequence[str]) -> dict[str, Any]:
    return {
        key: value
        for key, value in cell.config.by_key().items()
        if key not in NUMBERLESS_KEYS and not _is_compared(key, axes)
    }


def _is_compared(key: str, axes: Sequence[str]) -> bool:
    """Whether a key is an axis, or belongs to a group that is one."""
    return any(key == axis or key.startswith(f"{axis}.") for axis in axes)


def _choices(cells: Sequence[Cell], axes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What each choice of a group stands for: `optim=adam` is a rate, a class ...

    The optimizer's choice counts whether or not it is compared, since another command may.
    """
    choices: dict[str, dict[str, Any]] = {}
    for cell in cells:
        values = cell.config.by_key()
        groups = {**cell.axes, **cell.config.choices}
        for group, choice in groups.items():
            keys = [key for key in values if key.startswith(f"{group}.") and key not in axes]
            if keys:
                choices[f"{group}={choice}"] = {key: values[key] for key in keys}
    return choices


def _require_same(folder: Path, before: Plan, now: Plan) -> None:
    other = "choose another hydra.sweep.dir"
    if before.results_version != now.results_version:
        raise InputError(
            f"{folder}: expected a comparison of this software (results_version "
            f"{now.results_version}), received one whose numbers came about in another way "
            f"({before.results_version}); {other}"
        )
    if before.cohort_digest != now.cohort_digest:
        raise InputError(
            f"{folder}: expected the cohort and the test patients of the comparison that was "
            f"started there ({before.cohort_digest}), received others ({now.cohort_digest}); "
            f"{other}"
        )
    changes = [differences(_uncompared(before.fixed, now), _uncompared(now.fixed, now), free=())]
    for choice, there in before.choices.items():
        compared = {*before.axes, *now.axes}
        changes.append(differences(there, now.choices[choice], free=compared))
    if found := list(dict.fromkeys(filter(None, changes))):
        raise InputError(
            f"{folder}: expected the comparison that was started there, received another one: it "
            f"has {'; '.join(found)}; say the same, compare that key, or {other}"
        )


def _uncompared(fixed: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    return {key: value for key, value in fixed.items() if not _is_compared(key, plan.axes)}
