"""How the figures came about: command, versions, machine, test openings, what is missing."""

import json
import shlex
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from djd.errors import InputError
from djd.resume_latest import RESULT_NAME
from djd.runs.config import RunConfig
from djd.runs.result import RunResult
from djd.runs.test_ledger import LEDGER_NAME
from djd.sweeps.folder import Contents
from djd.sweeps.plan import Plan
from djd.sweeps.refits import WINNER
from djd.sweeps.states import UNUSABLE_RESULT, has_unusable_result
from djd.wording import count_of, in_words


class Missing(NamedTuple):
    """A cell that has no result, and why."""

    name: str
    state: str
    reason: str


class Opening(NamedTuple):
    """A time that the test patients were scored."""

    when: str
    setting: str


def missing_cells(contents: Contents) -> list[Missing]:
    """Cells that failed, aren't trained, or whose results can't be used."""
    states = contents.states
    failed = [Missing(cell.folder.name, "failed", reason) for cell, reason in states.failed]
    damaged = [cell for cell in states.to_do if has_unusable_result(cell)]
    unusable = [Missing(cell.folder.name, "unusable", UNUSABLE_RESULT) for cell in damaged]
    to_do = [
        Missing(cell.folder.name, "not trained", "")
        for cell in states.to_do
        if not has_unusable_result(cell)
    ]
    running = [Missing(cell.folder.name, "in training", "") for cell in states.elsewhere]
    return [*failed, *unusable, *running, *to_do]


def openings(contents: Contents) -> list[Opening]:
    """Each time this folder opened the test patients, the first one first; damaged lines apart."""
    path = contents.folder / LEDGER_NAME
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return []
    for line in lines:
        try:
            record = json.loads(line)
            found.append(Opening(str(record["when"]), str(record["setting"])))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def openings_known(contents: Contents) -> int:
    """How often this cohort's test patients had been opened, here or elsewhere, as training knew.

    The ledger of the machine's cache counted them when the last winner was scored; 0 where none
    was.
    """
    results = [contents.run] if contents.run else _winners(contents)
    return max((result.test_openings or 0 for result in results), default=0)


def _winners(contents: Contents) -> Iterable[RunResult]:
    for path in sorted(contents.folder.glob(f"{WINNER}/*/{RESULT_NAME}")):
        with suppress(InputError, OSError):  # the answer's notes name it
            yield RunResult.load(path)


def made_how(contents: Contents) -> list[tuple[str, str]]:
    """Name and value of everything that one needs to make the same again."""
    configs = [cell.config for cell in contents.cells]
    results = [finished.result for finished in contents.states.finished]
    results = [contents.run] if contents.run else results
    return [*_command(contents), *_numbers(contents), *_of_config(configs), *_of_results(results)]


def _command(contents: Contents) -> Iterable[tuple[str, str]]:
    if contents.run:
        return
    try:
        arguments = Plan.load(contents.folder).arguments
    except (InputError, OSError):
        return
    yield "command", shlex.join(["python", "train.py", *arguments])


def _numbers(contents: Contents) -> Iterable[tuple[str, str]]:
    done, all_of = len(contents.states.finished), len(contents.cells)
    yield "cells", f"{done} of {all_of} finished"


def _of_config(configs: Sequence[RunConfig]) -> Iterable[tuple[str, str]]:
    if not configs:
        return
    data = configs[0].data
    folds = sorted({config.data.fold for config in configs if config.data.fold is not None})
    seeds = sorted({config.seed for config in configs})
    yield "scans", str(data.root or f"invented (seed {data.phantom_seed})")
    yield "test patients", str(data.test_list or f"the last {data.test_count} by file name")
    held_out = ", ".join(map(str, folds)) or "none"
    yield "folds held out", f"{held_out} ({data.folds} folds, split seed {data.split_seed})"
    yield "seeds", ", ".join(map(str, seeds))
    yield "views, crop, scaling", f"{data.views}, {data.crop}, {data.scaling}"
    yield "epochs", f"fixed beforehand: {', '.join(map(str, configs[0].epochs_to_score))}"


def _of_results(results: Sequence[RunResult]) -> Iterable[tuple[str, str]]:
    if not results:
        return
    devices = sorted({f"{each.device}, {count_of(each.threads, 'thread')}" for each in results})
    versions = sorted(
        {f"{name} {version}" for each in results for name, version in each.versions.items()}
    )
    yield "trained on", "; ".join(devices)
    yield "time of training", in_words(sum(each.fit_seconds for each in results))
    yield "cohort", ", ".join(sorted({each.fingerprint for each in results}))
    yield "versions", ", ".join(versions)
