"""Names on the terminal are text."""

import io
import logging
from pathlib import Path

import pytest
from rich.table import Table

from djd.runs.summary import as_text, say
from djd.terminal import Terminal
from djd.wording import on_terminal
from tests.test_cli import run_djd

NAME = "[red]a:smile:[/red]"
STEERING = "\x1b]0;owned\x07\x1b[31m\r\x9b2J\u202e"


def test_markup_and_emoji_in_a_name_are_text() -> None:
    table = Table("scan", NAME)
    table.add_row(NAME, "1")
    assert as_text(table).count(NAME) == 2
    text = io.StringIO()
    Terminal(file=text, width=100).print(NAME)
    assert text.getvalue() == f"{NAME}\n"


def test_no_sign_of_a_name_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("scan")
    table.add_row(f"a{STEERING}b")
    text = io.StringIO()
    Terminal(file=text, width=100).print(f"a{STEERING}b")
    logging.getLogger("djd").disabled = True
    try:
        say(f"a{STEERING}b")
    finally:
        logging.getLogger("djd").disabled = False
    for shown in (as_text(table), text.getvalue(), capsys.readouterr().out):
        assert "a?]0;owned??[31m??2J?b" in shown
        assert not any(sign in shown for sign in "\x1b\x07\r\x9b\u202e")


def test_line_breaks_tabs_and_letters_of_all_scripts_stay() -> None:
    text = "가나\u3000다\té 한\n(92 %) ┃ ‘a’"
    assert on_terminal(text) == text


def test_an_error_sentence_steers_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    evil = tmp_path / "a\x1b[31m\\[red]b"
    assert run_djd(monkeypatch, "check", evil) == 2
    for sentence in (capsys.readouterr().err, str(run_djd(monkeypatch, "report", evil))):
        assert "a?[31m\\[red]b" in sentence
        assert "\x1b" not in sentence
