"""A job of a cluster: cells that one node trains, each in a process as on a single machine."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from djd.environment import forget_launcher, let_waiting_threads_sleep
from djd.runs.folder import record_loss
from djd.sweeps.processes import Ending, Watcher, run_in_processes


class _LossRecorder(Watcher):
    """Leaves the reason of a process's death in its cell's folder: the leader may be away."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = folders

    def ended(self, index: int, ending: Ending) -> bool:
        if ending.reason and index < len(self.folders):
            record_loss(self.folders[index], ending.reason)
        return True


@dataclass(frozen=True)
class NodeJob:
    """Calls that one node makes, in order.

    Attributes:
        work: A function that a fresh process can import; values and arguments can be pickled.
        calls: Arguments of each call.
        folders: The cell's folder of each call; empty for calls that train no cell.
        at_once: Calls at a time.
        start: The folder in which the command was typed, which relative paths start from.
        path: Folders of modules.
    """

    work: Callable[..., Any]
    calls: Sequence[tuple[Any, ...]]
    folders: Sequence[Path] = ()
    at_once: int = 1
    start: str = ""
    path: Sequence[str] = ()

    def run(self) -> list[Ending | None]:
        """Make the calls; see `run_in_processes`."""
        if self.start:
            os.chdir(self.start)
        sys.path += [each for each in self.path if each not in sys.path]
        let_waiting_threads_sleep()
        forget_launcher()
        recorder = _LossRecorder(self.folders)
        return run_in_processes(self.work, self.calls, at_once=self.at_once, watcher=recorder)
