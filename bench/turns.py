"""Processes that take turns, so that what disturbs one measurement disturbs all alike."""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

LAST_LINES = 15
"""Of a process that failed."""


class Turns:
    """A process of its own that works when it is its turn; what it prints goes to a file.

    Args:
        work: Gets the arguments and a connection: it receives a question, and sends an answer.
        arguments: What can be pickled.
    """

    def __init__(self, work: Callable[..., None], *arguments: Any) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._connection, theirs = spawning.Pipe()
        handle, name = tempfile.mkstemp(suffix=".log")
        os.close(handle)
        self._log = Path(name)
        self._process = spawning.Process(
            target=_quietly, args=(self._log, work, *arguments, theirs), daemon=True
        )
        self._process.start()
        theirs.close()

    def ask(self, question: Any = True) -> Any:
        """Let it go, and wait for its answer."""
        self.begin(question)
        return self.answer()

    def begin(self, question: Any) -> None:
        """Let it go."""
        try:
            self._connection.send(question)
        except BrokenPipeError:
            self._fail()

    def answer(self) -> Any:
        """Wait for what it says of itself."""
        try:
            return self._connection.recv()
        except (EOFError, ConnectionResetError):
            self._fail()

    def close(self) -> None:
        """End the process, whatever it does."""
        self._process.terminate()
        self._process.join()
        self._log.unlink(missing_ok=True)

    def _fail(self) -> None:
        self._process.join(timeout=5)
        lines = self._log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        self.close()
        raise SystemExit("\n".join(["a process of the measurement failed:", *lines]))


def _quietly(log: Path, work: Callable[..., None], *arguments: Any) -> None:
    with log.open("w") as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
    work(*arguments)
