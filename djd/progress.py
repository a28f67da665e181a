"""The bar of a long step; without a terminal, a line now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Timer

from rich.progress import Progress

from djd.terminal import Terminal

Show = Callable[[int], None]
"""Takes the number done."""

SECONDS_BETWEEN_LINES = 10.0
"""A step that takes less time prints none."""


def progress_bar(name: str, total: int | None = None) -> AbstractContextManager[Show]:
    """A bar that vanishes at the end, as a function of the number done.

    Without a total the bar only moves. The bar goes to the standard error: the standard output may
    go to a program.
    """
    console = Terminal(stderr=True)
    if console.is_terminal:
        return _bar(name, total, console)
    return _late_line(name, console) if total is None else _lines(name, total, console)


@contextmanager
def _bar(name: str, total: int | None, console: Terminal) -> Iterator[Show]:
    # Lines for another terminal or a file stay there; those for this terminal go above the bar.
    lines_too = Terminal().is_terminal
    with Progress(transient=True, console=console, redirect_stdout=lines_too) as bar:
        task = bar.add_task(name, total=total)
        yield lambda done: bar.update(task, completed=done)


@contextmanager
def _lines(name: str, total: int, console: Terminal) -> Iterator[Show]:
    printed = time.monotonic()

    def show(done: int) -> None:
        nonlocal printed
        now = time.monotonic()
        if now - printed >= SECONDS_BETWEEN_LINES and done != total:
            printed = now
            console.print(f"{name}: {done} of {total}", soft_wrap=True)

    yield show


@contextmanager
def _late_line(name: str, console: Terminal) -> Iterator[Show]:
    late = Timer(SECONDS_BETWEEN_LINES, lambda: console.print(f"{name} ...", soft_wrap=True))
    late.daemon = True
    late.start()
    try:
        yield lambda done: None
    finally:
        late.cancel()
