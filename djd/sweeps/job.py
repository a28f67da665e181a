"""What a comparison asks a launcher for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

LOST = "it was launched and left neither result nor reason; can its folder be written?"
"""What is said of a job that ended and of which nothing can be found."""

JobKind = Literal["cell", "refit"]


@dataclass(frozen=True)
class Job:
    """One training to launch.

    Attributes:
        folder: Where its files go.
        name: The folder below the comparison's.
        kind: A cell, or a refit that is scored on the test patients.
        overrides: What Hydra is told to compose its configuration.
        epochs: Epochs it trains.
        seconds: How long it is expected to take by itself.
    """

    folder: Path
    name: str
    kind: JobKind
    overrides: tuple[str, ...]
    epochs: int
    seconds: float


Launch = Callable[[Sequence[Job]], None]
"""Train the jobs, whatever becomes of each; all that matters afterwards lies in their folders."""
