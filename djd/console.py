"""What the commands of `djd` share: the console, and the end with an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

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
