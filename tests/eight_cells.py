"""A sweep of eight cells, five of which fail, on any engine: all that must be equal of it."""

from pathlib import Path

from tests.made_once import MakeOnce
from tests.sweeping import failing_config, predictions, rows_of, start_train, sweep_arguments
from tests.test_failing_cells import REASONS

EIGHT = (f"optim={','.join(['sgd', 'adam', *REASONS, 'momentum'])}",)

Equal = dict[str, object]


def outcome(sweep: Path) -> Equal:
    """Predictions of cells, winner and baselines, scores, and reasons."""
    cells = [
        {key: value for key, value in row.items() if key != "fit_seconds"}
        for row in rows_of(sweep / "cells.csv")
    ]
    return {"cells": cells, "settings": rows_of(sweep / "effects.csv"), **predictions(sweep)}


def eight_cells(cache: Path, root: Path, *launcher: str, **environment: str) -> Equal:
    """Train the eight in `root / "sweep"`; what the command prints goes to `root / "log"`."""
    root.mkdir(exist_ok=True)
    config = failing_config(root / "conf")
    arguments = sweep_arguments(cache, root / "sweep", *EIGHT, *launcher)
    process = start_train(root / "log", "--config-dir", config, *arguments, **environment)
    assert process.wait() == 1, (root / "log").read_text(encoding="utf-8")
    return outcome(root / "sweep")


def eight_here(cache: Path, make_once: MakeOnce) -> Equal:
    """The eight on this machine, trained once for all tests."""
    return make_once("eight", lambda root: eight_cells(cache, root))
