import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from djd.runs.folder import record_failure
from djd.sweeps.cells import Job
from djd.sweeps.display import JobDisplay
from djd.sweeps.processes import Ending
from tests.sweeps.invented_cells import config_with, leave_result
from tests.without_locks import leave_marker


class Screen:
    """A display of three jobs, and what it shows."""

    def __init__(self, folder: Path, *, terminal: bool, fail_fast: bool = False) -> None:
        self.jobs = [
            Job(folder / name, name, "cell", (), epochs=100, seconds=60.0)
            for name in ("depth=1", "depth=2", "depth=3")
        ]
        for job in self.jobs:
            job.folder.mkdir()
        self.text = io.StringIO()
        console = Console(file=self.text, force_terminal=terminal, width=100)
        self.display = JobDisplay(self.jobs, at_once=2, fail_fast=fail_fast, console=console)

    def finish(self, index: int) -> bool:
        eye = np.eye(5, dtype=np.int64)
        leave_result(self.jobs[index].folder, config_with({}), {25: eye, 50: eye, 100: eye})
        return self.display.ended(index, Ending(0))

    def lines(self) -> list[str]:
        return self.text.getvalue().splitlines()


def test_without_a_terminal_each_ended_cell_is_a_line(tmp_path: Path) -> None:
    screen = Screen(tmp_path, terminal=False)
    with screen.display as display:
        display.started(0)
        display.started(1)
        display.look()
        assert screen.finish(1)
        assert display.ended(0, Ending(-11))
        display.started(2)
        assert display.ended(2, Ending(0))
    assert [line.split(" (")[0] for line in screen.lines()] == [
        "[1 of 3] depth=2: validation kappa 1.00, accuracy 100 %",
        "[2 of 3] depth=1: FAILED: its process crashed: segmentation fault",
        "[3 of 3] depth=3: in another process's hands",
    ]
    assert str(tmp_path / "depth=1" / "run.log") in screen.lines()[1]
    assert "SIGSEGV" in (tmp_path / "depth=1" / "error.txt").read_text()


def test_a_cell_that_another_machine_took_over_has_not_failed(tmp_path: Path) -> None:
    screen = Screen(tmp_path, terminal=False, fail_fast=True)
    with screen.display as display:
        display.started(0)
        leave_marker(tmp_path / "depth=1" / ".lock")
        assert display.ended(0, Ending(143))
    assert screen.lines() == [
        "[1 of 3] depth=1: in another process's hands (process 4711 on node17)"
    ]
    assert not (tmp_path / "depth=1" / "error.txt").exists()


def test_a_reason_that_a_cell_left_itself_stays(tmp_path: Path) -> None:
    screen = Screen(tmp_path, terminal=False)
    with screen.display as display:
        display.started(0)
        record_failure(screen.jobs[0].folder, ValueError("its own words"))
        display.ended(0, Ending(1, error="Other: words"))
    assert "FAILED: ValueError: its own words" in screen.lines()[0]


@pytest.mark.parametrize("fail_fast", [True, False])
def test_the_first_failure_ends_it_all_only_where_asked(tmp_path: Path, fail_fast: bool) -> None:
    screen = Screen(tmp_path, terminal=False, fail_fast=fail_fast)
    with screen.display as display:
        display.started(0)
        assert display.ended(0, Ending(-9)) is not fail_fast


def test_on_a_terminal_running_cells_show_epoch_loss_and_kappa(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("djd.sweeps.display.SECONDS_BETWEEN_PICTURES", 0)
    screen = Screen(tmp_path, terminal=True)
    (tmp_path / "depth=1" / "metrics.csv").write_text(
        "epoch,train_loss,validation_kappa\n1,2.5,0.1\n34,1.234,0.516\n"
    )
    (tmp_path / "depth=2" / "metrics.csv").write_text("epoch,train_loss,validation_kappa\n")
    with screen.display as display:
        display.started(0)
        display.started(1)
        display.look()
        shown = " ".join(screen.text.getvalue().split())
        assert "depth=1 34 of 100 1.23 0.52" in shown
        assert "depth=2 0 of 100" in shown
        assert "0 of 3 done, 2 running, about 90 seconds left" in shown
        display.ended(0, Ending(-9))
        screen.finish(1)
        display.look()
        shown = " ".join(screen.text.getvalue().split())
        assert "1 of 3 done, 0 running, 1 failed, about" in shown
        assert "validation kappa 1.00" not in shown, "a terminal stays calm"
        assert shown.count("FAILED") == 1
