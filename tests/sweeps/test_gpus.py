"""How many cells share GPUs, without one: PyTorch's answers are invented here."""

import multiprocessing
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from djd.errors import InputError
from djd.machine import usable_cores
from djd.runs.config import RunConfig
from djd.sweeps import gpus, processes
from djd.sweeps.gpus import (
    CONTEXT_BYTES,
    Gpus,
    cells_at_once,
    cells_on_each,
    cells_with_room,
    choose_at_once,
    find_gpus,
)
from djd.sweeps.processes import Ending
from tests.conftest import Compose
from tests.sweeping import ROOT, run_train, sweep_arguments
from tests.sweeps.invented_cells import config_with

GB = 10**9


def dealt_until_one_is_full(free: Sequence[int], need: int) -> int:
    """Cells dealt one by one, each to the next GPU."""
    left = list(free)
    for cell in count():
        left[cell % len(left)] -= need
        if left[cell % len(left)] < 0:
            return cell
    raise AssertionError


@pytest.mark.parametrize(
    ("free", "room"),
    [
        ([10], 3),
        ([9], 3),
        ([2], 0),
        ([10, 10], 6),
        ([10, 4], 3),  # the fourth would be the second's second
        ([4, 10], 2),  # the third would be the first's second
        ([2, 10], 0),  # the first has no room
        ([10, 2], 1),
        ([9, 9, 9], 9),
        ([9, 7, 9], 7),
    ],
)
def test_cells_fit_the_memory_of_the_gpus_that_they_are_dealt_to(
    free: list[int], room: int
) -> None:
    assert cells_with_room(free, 3) == room == dealt_until_one_is_full(free, 3)


@pytest.mark.parametrize(
    ("free", "cores", "cells"),
    [
        ([139], 16, 16),  # a core each
        ([16], 16, 8),  # 2 each
        ([16, 16], 16, 16),
        ([5, 5], 16, 4),
        ([16], 2, 2),
        ([1], 16, 1),  # the one cell may fit after all
    ],
)
def test_the_number_of_cells_by_memory_and_cores(free: list[int], cores: int, cells: int) -> None:
    assert cells_at_once(free, 2, cores=cores) == cells


def test_a_number_that_was_asked_for_is_kept_and_others_are_bounded_by_memory_alone() -> None:
    small, large = (Gpus(["one"], [free], 2) for free in (2, 10**6))
    assert choose_at_once(7, small) == 7
    assert choose_at_once(None, small) == 1
    assert choose_at_once(None, large) == choose_at_once(None, None) == usable_cores()


@pytest.mark.parametrize(("cells", "on_each"), [(1, [1, 0]), (2, [1, 1]), (5, [3, 2])])
def test_cells_are_counted_where_they_are_dealt_to(cells: int, on_each: list[int]) -> None:
    assert cells_on_each(cells, gpus=2) == on_each
    assert [len([i for i in range(cells) if i % 2 == gpu]) for gpu in (0, 1)] == on_each


def test_a_sweep_says_how_many_run_on_each_gpu_and_warns_where_they_may_not_fit() -> None:
    found = Gpus(["NVIDIA T4", "NVIDIA A2"], [15 * GB, 4 * GB], 2 * GB)
    (sentence,) = found.sentences(5)
    assert "3 on NVIDIA T4 (15.0 GB free) and 2 on NVIDIA A2 (4.0 GB free)" in sentence
    assert "2.0 GB" in sentence
    assert "1.1 GB of it by assumption" in sentence
    _, warning = found.sentences(6)
    assert warning.startswith("warning: the free memory has room for 5 cells at a time")
    assert "hydra.launcher.n_jobs=6" in warning


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """PyTorch finds two GPUs; a step holds as many GB as its batch has knees. Timed steps."""
    stepped: list[RunConfig] = []
    invented: dict[str, Callable[..., Any]] = {
        "is_available": lambda: True,
        "device_count": lambda: 2,
        "get_device_name": lambda device: f"GPU {device}",
        "mem_get_info": lambda device: ((80 - 10 * device) * GB, 80 * GB),
        "empty_cache": lambda: None,
        "reset_peak_memory_stats": lambda: None,
        "max_memory_reserved": lambda: stepped[-1].data.batch_size * GB,
    }
    for name, answer in invented.items():
        monkeypatch.setattr(f"torch.cuda.{name}", answer)
    monkeypatch.setattr("djd.runs.rehearsal.rehearse", stepped.append)
    monkeypatch.setattr(gpus, "has_gpu_driver", lambda: True)
    in_this_process(monkeypatch)
    return stepped


def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(work: Callable[..., Any], calls: Sequence[Any], **named: Any) -> list[Ending]:
        assert named == {"at_once": 1, "deal_gpus": False}, "one process that sees all GPUs"
        return [Ending(0, work(*call)) for call in calls]

    monkeypatch.setattr(gpus, "run_in_processes", run)


def knees(config: RunConfig) -> tuple[int, int]:
    return 200, 50


def test_memory_is_that_of_the_step_that_holds_most_and_of_all_crops(
    two_gpus: list[RunConfig],
) -> None:
    changes = [
        {"data.batch_size": size, "model.depth": depth, "optim": optim}
        for depth in (1, 2)
        for size in (16, 4)
        for optim in ("sgd", "adam")
    ]
    found = find_gpus([config_with(each) for each in changes], knees)
    assert found
    assert (found.names, found.free) == (["GPU 0", "GPU 1"], [80 * GB, 70 * GB])
    assert found.need == CONTEXT_BYTES + 16 * GB + 2 * 250 * 128 * 128 * 4
    sizes = [(each.model.arguments["depth"], each.data.batch_size) for each in two_gpus]
    assert sorted(sizes) == [(1, 16), (2, 16)], "of each network the largest step alone"


def test_a_step_that_fails_is_no_error_here(
    two_gpus: list[RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(config: RunConfig) -> float:
        two_gpus.append(config)
        raise torch.OutOfMemoryError

    monkeypatch.setattr("djd.runs.rehearsal.rehearse", fail)
    found = find_gpus([config_with({"data.batch_size": 8})], knees)
    assert found
    assert found.need > 8 * GB


@pytest.mark.parametrize(
    ("accelerator", "driver"), [("cpu", True), ("cpu", False), ("auto", False)]
)
def test_nobody_is_asked_where_no_gpu_is_wanted_or_there(
    monkeypatch: pytest.MonkeyPatch, accelerator: str, driver: bool
) -> None:
    monkeypatch.setattr(gpus, "run_in_processes", None)
    monkeypatch.setattr(gpus, "has_gpu_driver", lambda: driver)
    assert find_gpus([config_with({"trainer.accelerator": accelerator})], knees) is None


def test_a_driver_without_a_gpu_leaves_the_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "has_gpu_driver", lambda: True)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    in_this_process(monkeypatch)
    assert find_gpus([config_with({})], knees) is None


def test_a_crash_while_gpus_are_looked_at_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpus, "has_gpu_driver", lambda: True)
    monkeypatch.setattr(gpus, "run_in_processes", lambda *given, **named: [Ending(-11)])
    assert find_gpus([config_with({})], knees) is None
    assert "warning: GPUs can't be looked at (" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "value"), [("trainer.accelerator", "gpu"), ("trainer.precision", "tf32")]
)
def test_what_a_machine_lacks_is_one_sentence_of_the_sweep(
    monkeypatch: pytest.MonkeyPatch, key: str, value: str
) -> None:
    monkeypatch.setattr(gpus, "has_gpu_driver", lambda: False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    in_this_process(monkeypatch)
    configs = [config_with({key: value, "model.depth": depth}) for depth in (1, 2, 3)]
    with pytest.raises(InputError, match=rf"{key}: expected .* received {value}") as caught:
        find_gpus(configs, knees)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has one")
def test_a_sweep_without_the_gpu_that_it_wants_trains_nothing(
    tiny: Compose,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cache, folder = Path(tiny()["paths"]["cache"]), tmp_path / "sweep"
    arguments = sweep_arguments(cache, folder, "model.depth=1,2", "trainer.accelerator=gpu")
    assert run_train(monkeypatch, *arguments) != 0
    shown = "".join(capsys.readouterr())
    assert shown.count("trainer.accelerator: expected hardware") == 1
    assert not list(tmp_path.rglob("error.txt"))


@pytest.mark.usefixtures("no_timing")
@pytest.mark.parametrize(
    ("typed", "on_first", "launched", "warned"),
    [([], 2, 3, False), (["hydra.launcher.n_jobs=4"], 2, 4, True)],
)
def test_a_sweep_launches_and_says_what_its_gpus_have_room_for(
    tiny: Compose,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    typed: list[str],
    on_first: int,
    launched: int,
    warned: bool,
) -> None:
    from hydra_plugins.djd.processes_launcher import ProcessesLauncher

    numbers: list[int | None] = []

    def launch(launcher: ProcessesLauncher, *arguments: object) -> None:
        numbers.append(launcher.n_jobs)
        raise RuntimeError("nothing is trained here")

    monkeypatch.setattr(ProcessesLauncher, "launch", launch)
    monkeypatch.setattr(gpus, "usable_cores", lambda: 16)
    found = Gpus(["NVIDIA T4", "NVIDIA A2"], [16 * GB, 3 * GB], 2 * GB)
    monkeypatch.setattr("djd.sweeps.compare.find_gpus", lambda *asked: found)
    cache, axes = Path(tiny()["paths"]["cache"]), ("model.depth=1,2", *typed)
    for more in (["dry_run=true"], []):
        arguments = sweep_arguments(cache, tmp_path / "sweep", *axes, *more)
        run_train(monkeypatch, *arguments)
        shown = capsys.readouterr().out
        assert f"{launched} cells at a time" in shown
        assert f"Cells at a time: {on_first} on NVIDIA T4 (16.0 GB free) and " in shown
        assert ("warning: the free memory has room for 3 cells" in shown) == warned
    assert numbers == [launched], "and a dry run launches nothing"


@pytest.mark.parametrize(("deal_gpus", "slot"), [(True, 0), (False, None)])
def test_a_process_gets_a_place_at_the_gpus_or_sees_all_of_them(
    monkeypatch: pytest.MonkeyPatch, deal_gpus: bool, slot: int | None
) -> None:
    given: dict[str, Any] = {}

    def note(**named: Any) -> None:
        given.update(named["kwargs"])
        raise InterruptedError

    context = multiprocessing.get_context("spawn")
    monkeypatch.setattr(context, "Process", note)
    monkeypatch.setattr(processes, "_context", lambda: context)
    with pytest.raises(InterruptedError):
        processes.run_in_processes(print, [()], at_once=1, deal_gpus=deal_gpus)
    assert given["slot"] == slot


PRELOAD = """
import traceback, torch
def recorded(name):
    def called(*given):
        traceback.print_stack()
        raise SystemExit(f"torch.cuda.{name} was called")
    return called
for name in ("is_available", "device_count", "init", "_lazy_init", "current_device"):
    setattr(torch.cuda, name, recorded(name))
import djd.sweeps.preload
"""


@pytest.mark.slow
def test_the_fork_server_does_not_touch_a_gpu_before_it_forks() -> None:
    """CUDA can't be used in a process that was forked after its start, nor several GPUs dealt."""
    subprocess.run([sys.executable, "-c", PRELOAD], cwd=ROOT, check=True)
