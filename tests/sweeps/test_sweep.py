import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from djd import markers
from djd.runs import folder
from djd.runs.folder import forget_failure, lock, record_failure, record_loss, wait_for_silent
from djd.runs.result import RunResult
from djd.sweeps.cells import Cell
from djd.sweeps.sweep import Sweep
from tests.sweeps.invented_cells import cell, config_with, leave_result
from tests.without_locks import leave_marker

EYE = np.eye(5, dtype=np.int64)
EPOCHS = dict.fromkeys((25, 50, 100), EYE)


@pytest.fixture
def planned(tmp_path: Path) -> Cell:
    axes = {"model.depth": 1}
    return replace(cell(axes), folder=tmp_path / "depth=1")


def look(planned: Cell) -> Sweep:
    return Sweep(planned.folder.parent, (planned,)).looked_at()


def state(planned: Cell) -> str:
    seen = look(planned)
    names = ("finished", "failed", "elsewhere", "to_do")
    (name,) = [name for name in names if getattr(seen, name)]
    return name


def test_a_cell_goes_from_to_do_over_claimed_and_failed_to_finished(planned: Cell) -> None:
    assert state(planned) == "to_do"
    planned.folder.mkdir()
    assert state(planned) == "to_do"
    with lock(planned.folder):
        assert state(planned) == "elsewhere"
    record_failure(planned.folder, "a reason")
    assert look(planned).failed == ((planned, "a reason"),)
    forget_failure(planned.folder)
    assert state(planned) == "to_do"
    leave_result(planned.folder, planned.config, EPOCHS)
    assert state(planned) == "finished"


def test_a_result_counts_more_than_a_failure_and_a_lock(planned: Cell) -> None:
    leave_result(planned.folder, planned.config, EPOCHS)
    record_failure(planned.folder, "late")
    with lock(planned.folder):
        assert state(planned) == "finished"


@pytest.mark.parametrize(
    "changes", [{"model.depth": 2}, {"model.depth": 1, "seed": 3}, {"score_epochs": [25]}]
)
def test_another_configurations_result_is_none_of_ours(
    planned: Cell, changes: dict[str, object]
) -> None:
    leave_result(planned.folder, config_with({"model.depth": 1, **changes}), {25: EYE, 100: EYE})
    assert state(planned) == "to_do"


def test_a_loss_is_no_reason_where_there_is_one_or_a_result_or_an_owner(
    planned: Cell,
) -> None:
    planned.folder.mkdir()
    with lock(planned.folder):
        record_loss(planned.folder, "lost")
    assert not (planned.folder / "error.txt").exists()
    record_loss(planned.folder, "lost")
    record_loss(planned.folder, "lost again")
    assert (planned.folder / "error.txt").read_text() == "lost\n"


@pytest.mark.usefixtures("no_locks")
def test_a_sweep_waits_for_the_silent_and_not_for_the_living(
    planned: Cell, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(markers, "_stale_after", [3.0])
    monkeypatch.setattr(folder, "SECONDS_BETWEEN_LOOKS", 0.05)
    planned.folder.mkdir()
    lock_file = planned.folder / ".lock"
    leave_marker(lock_file)
    assert not wait_for_silent([planned.folder])
    leave_marker(lock_file, silent=2)
    assert wait_for_silent([planned.folder])
    assert state(planned) == "to_do"
    silence = r"\(no sign of life for [23] seconds; void after 3 seconds"
    who = rf"process 4711 on node17 {silence}"
    assert re.search(f"waiting for {planned.folder.name}, held by {who}", caplog.text)


def test_a_result_is_read_again_only_where_its_file_has_changed(
    planned: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_result(planned.folder, planned.config, EPOCHS)
    first = look(planned)
    read: list[Path] = []
    load = RunResult.load

    def counted(path: Path) -> RunResult:
        read.append(path)
        return load(path)

    monkeypatch.setattr(RunResult, "load", counted)
    again = first.looked_at()
    assert not read
    assert again.finished[0].result == first.finished[0].result
    leave_result(planned.folder, planned.config, dict.fromkeys((25, 50, 100), 2 * EYE))
    assert first.looked_at().finished[0].result.validation[0].knees == 10
    assert len(read) == 1
    (planned.folder / "result.json").write_text("damaged")
    assert again.looked_at().to_do == (planned,)
    (planned.folder / "result.json").unlink()
    assert again.looked_at().to_do == (planned,)


def test_a_result_counts_for_its_own_configuration_alone(planned: Cell) -> None:
    leave_result(planned.folder, planned.config, EPOCHS)
    first = look(planned)
    other = replace(planned, config=config_with({"model.depth": 2}))
    assert not replace(first, cells=(other,)).looked_at().finished
