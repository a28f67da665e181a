"""`bench/gpu.py` as far as a CPU goes: its arithmetic, its limits, and a rehearsal of the whole."""

import contextlib
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from bench import gpu, gpu_steps
from bench.gpu_cells import (
    FOLD_CELLS,
    LENGTHS,
    MATRIX,
    Found,
    predictions,
    recommended,
    sample_of_matrix,
)
from bench.gpu_machine import Machine, Steps
from djd.models.classifier import GradeClassifier
from tests.ordinary_user import posix
from tests.sweeping import ROOT

GB = 10**9
FOUR = Found(4, 18, 10, cell_seconds=2.0, epoch_seconds=0.04, memory=GB, tensors=GB // 10)


def test_longer_cells_and_the_matrix_are_extrapolated_as_by_hand() -> None:
    assert FOUR.seconds_of(100) == pytest.approx(2 + 90 * 0.04)  # 5.6
    assert FOUR.cells_an_hour() == pytest.approx(4 * 3600 / 5.6)
    fold, all_folds, experiment = predictions(FOUR)
    assert "108 cells of 100 epochs, 4 at a time: 151 s" in fold  # 108 * 5.6 / 4
    assert "540 cells of 100 epochs, 4 at a time: 756 s" in all_folds
    # 540 * (2.6 + 3.6 + 5.6) / 4
    assert "1,620 cells of 25, 50 and 100 epochs: 1,593 s" in experiment
    assert all("extrapolated" in line for line in (FOUR.line(), fold, all_folds, experiment))


def test_the_number_of_cells_follows_from_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.gpu_cells.usable_cores", lambda: 16)
    sixteen = FOUR._replace(at_once=16, cell_seconds=4.0, memory=2 * GB)
    found = {4: FOUR, 16: sixteen}
    assert "n_jobs=16`" in recommended(found, free=40 * GB)
    assert "n_jobs=4`" in recommended(found, free=20 * GB), "16 take 32 GB"
    for seconds, cells in ((25.0, 4), (18.0, 4), (17.0, 16)):
        slow = {4: FOUR, 16: sixteen._replace(cell_seconds=seconds)}
        assert f"n_jobs={cells}`" in recommended(slow, free=40 * GB)
    assert "n_jobs=1`" in recommended({16: sixteen}, free=3 * GB), "nothing that fits was measured"


def test_the_sample_is_of_the_experiment_and_has_each_shape_alike() -> None:
    file = yaml.safe_load((ROOT / "conf/experiment/matrix.yaml").read_text(encoding="utf-8"))
    params = file["hydra"]["sweeper"]["params"]
    assert {key: ",".join(values) for key, values in MATRIX.items()} == {
        key: params[key] for key in MATRIX
    }
    assert params["trainer.max_epochs"] == ",".join(map(str, LENGTHS))
    assert FOLD_CELLS == 108
    for count in (9, 18, 36):
        sample = sample_of_matrix(count)
        shapes = [cell[:2] for cell in sample]
        assert len(set(sample)) == count
        assert {shapes.count(shape) for shape in shapes} == {count // 9}


@posix
def test_a_part_that_is_stopped_leaves_what_it_has_printed_and_no_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "part.py"
    script.write_text(
        "import pathlib, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(tmp_path / 'child')!r}).write_text(str(child.pid))\n"
        "print('found', sys.argv[1:], flush=True)\n"
        "time.sleep(60)\n"
    )
    monkeypatch.setattr(gpu, "__file__", str(script))
    ended = gpu.run_part("cells", 1.5, ["--device", "cpu"])
    assert ended.startswith("(cells: stopped after 2 s; what stands above")
    assert "found ['--device', 'cpu', '--part', 'cells']" in capfd.readouterr().out
    child = Path("/proc", (tmp_path / "child").read_text(), "stat")
    deadline = time.monotonic() + 10
    while child.exists() and child.read_text().split()[2] not in "ZX":
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_part_that_fails_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "part.py").write_text("raise SystemExit(3)")
    monkeypatch.setattr(gpu, "__file__", str(tmp_path / "part.py"))
    assert gpu.run_part("precision", 30, []).startswith("(precision: FAILED with 3")


def test_the_whole_takes_less_than_eight_minutes() -> None:
    assert sum(limit for _, limit in gpu.PARTS.values()) < 8 * 60


@pytest.fixture
def machine(phantom_folder: Path, tmp_path: Path) -> Machine:
    return Machine("cpu", phantom_folder.parent, tmp_path)


@pytest.fixture
def steps(machine: Machine) -> Steps:
    return Steps.of(
        machine.config("recipe=study", "optim=adam", "model.depth=1", "data.batch_size=8"), "cpu"
    )


def test_a_recorded_step_starts_from_the_weights_and_the_optimizer_before_recording(
    steps: Steps,
) -> None:
    """On a CPU what is recorded is launched again; places, copies and restoring are the same."""
    launched = steps.launch(steps.optimizer())
    kept = {name: each.clone() for name, each in steps.classifier.state_dict().items()}
    expected = [launched(batch) for batch in steps.batches[:4]]
    assert len({float(loss) for loss in expected}) == 4
    steps.classifier.load_state_dict(kept)
    recorded = gpu_steps.capture(steps, steps.optimizer(), gpu_steps.record_nothing)
    assert [recorded(batch) for batch in steps.batches[:4]] == expected


def test_a_graph_is_captured_after_steps_aside_and_replayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The order of the calls alone: what CUDA makes of them, no CPU can show."""
    calls: list[str] = []

    class Noted:
        def __init__(self, name: str) -> None:
            self.name = name

        def __enter__(self) -> None:
            calls.append(f"in {self.name}")

        def __exit__(self, *raised: object) -> None:
            calls.append(f"out of {self.name}")

        def wait_stream(self, other: "Noted") -> None:
            calls.append(f"{self.name} waits for {other.name}")

        def replay(self) -> None:
            calls.append("replay")

    main, aside, graph = Noted("main"), Noted("aside"), Noted("graph")
    for name, answer in {"Stream": aside, "current_stream": main, "CUDAGraph": graph}.items():
        monkeypatch.setattr(f"torch.cuda.{name}", lambda answer=answer: answer)
    monkeypatch.setattr("torch.cuda.stream", lambda stream: stream)
    monkeypatch.setattr("torch.cuda.graph", lambda graph: graph)
    monkeypatch.setattr(gpu_steps, "WARM_UPS", 2)

    def take() -> torch.Tensor:
        calls.append("step")
        return torch.tensor(1.0)

    replay = gpu_steps.record_graph(take)
    before = ["aside waits for main", "in aside", "step", "step", "out of aside"]
    assert calls == [*before, "main waits for aside", "in graph", "step", "out of graph"]
    assert replay() == 1
    assert calls[-1] == "replay"


def test_a_step_that_waits_is_named_with_its_place(
    monkeypatch: pytest.MonkeyPatch, machine: Machine
) -> None:
    """CUDA's error is raised here by hand, in the second epoch."""
    train_on = GradeClassifier.train_on

    def waits(classifier: GradeClassifier, *given: Any) -> torch.Tensor:
        if classifier.current_epoch == 1:
            raise RuntimeError("called a synchronizing CUDA operation\nand more")
        return train_on(classifier, *given)

    monkeypatch.setattr(GradeClassifier, "train_on", waits)
    found = gpu_steps.waiting(machine, ("recipe=study",))
    assert re.fullmatch(
        r"WAITS at classifier\.py:\d+: called a synchronizing CUDA operation", found
    )


def test_the_mode_in_which_waiting_is_an_error_ends_with_the_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    modes: list[str] = []
    monkeypatch.setattr("torch.cuda.set_sync_debug_mode", modes.append)
    with contextlib.suppress(RuntimeError), gpu_steps.no_waiting("cuda"):
        assert modes == ["error"]
        raise RuntimeError
    assert modes == ["error", "default"]


@pytest.mark.slow
def test_a_rehearsal_goes_through_all_parts(phantom_folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "bench/gpu.py"), "--device", "cpu"]
    cache = ["--cache", str(phantom_folder.parent)]
    ran = subprocess.run([*command, *cache], cwd=tmp_path, capture_output=True, text=True)
    shown = ran.stdout
    assert ran.returncode == 0, ran.stderr
    assert "A rehearsal without a GPU" in shown
    assert not [word for word in ("FAILED", "stopped after", "WAITS") if word in shown], shown
    assert shown.count(": no wait in ") == 1 + len(gpu_steps.WATCHED)
    assert shown.count("| not on this device |") == 2
    assert shown.count("captured at most 0.0e+00 from the same") == 2
    assert shown.count("cells of 100 epochs an hour, extrapolated from") == 2
