"""The terminal, on which a name is text, whatever it holds."""

from typing import Any

from rich.console import Console
from rich.text import Text

from djd.wording import on_terminal


class Terminal(Console):
    """Rich's console without markup: `[red]` in a name is text, and no sign steers the terminal."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        """As rich does, of what `on_terminal` leaves."""
        return super().render_str(on_terminal(text), **options)
