"""Single trainings for tests, from plain values."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from djd.models.classifier import GradeClassifier
from djd.runs.config import read_config
from djd.runs.result import RunResult
from djd.runs.train import train


def run(values: Mapping[str, Any], folder: Path) -> RunResult:
    """A run by itself."""
    result = train(read_config(values), folder)
    assert result
    return result


def run_cell(
    values: Mapping[str, Any], folder: Path, *, retry_failed: bool = False
) -> RunResult | None:
    """A cell of a sweep."""
    return train(read_config({**values, "kind": "cell"}), folder, retry_failed=retry_failed)


def run_refit(values: Mapping[str, Any], folder: Path) -> RunResult | None:
    """A setting on all development patients, scored on the test patients."""
    return train(read_config({**values, "kind": "refit"}), folder)


def is_rehearsing(classifier: GradeClassifier) -> bool:
    """Whether a classifier is trained on noise, for the duration that a run prints."""
    callbacks = classifier.trainer.callbacks  # type: ignore[attr-defined]
    return any(type(each).__module__ == "djd.runs.rehearsal" for each in callbacks)
