"""The bar of a long step; on what is no terminal, a line now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import Progress

from djd.terminal import Terminal

SECONDS_BETWEEN_LINES = 10.0
"""So a step that takes less prints none."""


@contextmanager
def progress_bar(name: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """A bar that vanishes at the end, as a function of the number done.

    Of an unknown total the bar only moves. Output is that of errors: results may go to a program.
    """
    console = Terminal(stderr=True)
    if not console.is_terminal:
        yield _Lines(name, total, console)
        return
    with Progress(transient=True, console=console) as bar:
        task = bar.add_task(name, total=total)
        yield lambda done: bar.update(task, completed=done)


class _Lines:
    def __init__(self, name: str, total: int | None, console: Terminal) -> None:
        self.name, self.total, self.console = name, total, console
        self.printed = time.monotonic()

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if now - self.printed >= SECONDS_BETWEEN_LINES and done != self.total:
            self.printed = now
            of = "" if self.total is None else f" of {self.total}"
            self.console.print(f"{self.name}: {done}{of}", soft_wrap=True)
