"""The bar of long steps, and the lines in its place."""

import io
import sys
import time

import pytest

from djd import progress
from djd.progress import progress_bar
from djd.terminal import Terminal


def test_a_line_comes_now_and_then_where_nobody_sees_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr("djd.progress.time.monotonic", lambda: now)
    with progress_bar("reading [red]scans", 50) as show:
        for done in range(1, 51):
            now += 0.7
            show(done)
    shown = capsys.readouterr()
    assert shown.err.splitlines() == [f"reading [red]scans: {done} of 50" for done in (15, 30, 45)]
    assert shown.out == ""


def test_a_short_step_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("reading scans", 3) as show:
        for done in (1, 2, 3):
            show(done)
    with progress_bar("fitting"):
        pass
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "")


@pytest.mark.parametrize(("total", "share"), [(4, "75%"), (None, "fitting")])
def test_a_terminal_shows_a_bar_that_vanishes(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    total: int | None,
    share: str,
) -> None:
    screen = io.StringIO()

    def terminal(*, stderr: bool = False) -> Terminal:
        if stderr:
            return Terminal(file=screen, force_terminal=True, width=80)
        return Terminal(file=io.StringIO())

    monkeypatch.setattr(progress, "Terminal", terminal)
    with progress_bar("fitting", total) as show:
        show(3)
        sys.stdout.write("for a file\n")
    assert capsys.readouterr().out == "for a file\n"
    assert share in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[1A\x1b[2K")  # up a line, which is cleared


def test_a_long_step_of_unknown_length_prints_its_name_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.01)
    # Reading what was captured while another thread prints can lose a line.
    screen = io.StringIO()
    monkeypatch.setattr(progress, "Terminal", lambda **_: Terminal(file=screen))
    with progress_bar("fitting"):
        while not screen.getvalue().endswith("\n"):
            time.sleep(0.01)
        time.sleep(0.05)
    assert screen.getvalue() == "fitting ...\n"
