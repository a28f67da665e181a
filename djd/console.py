"""What the commands of `djd` share: the console, the bar, and the end with an error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer
from rich.progress import Progress

from djd.errors import InputError
from djd.terminal import Terminal

console = Terminal(soft_wrap=True)


@contextmanager
def exit_2_on_error() -> Iterator[None]:
    """End with the sentence of an error and exit status 2: nothing was done."""
    try:
        yield
    except InputError as error:
        exit_2(str(error))


def exit_2(sentence: str) -> NoReturn:
    """End with a sentence and exit status 2."""
    Terminal(stderr=True, soft_wrap=True).print(sentence)
    raise typer.Exit(2) from None


@contextmanager
def progress_bar(name: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar that vanishes at the end, as a function of the number done."""
    with Progress(transient=True, console=Terminal(stderr=True)) as bar:
        task = bar.add_task(name, total=total)
        yield lambda done: bar.update(task, completed=done)
