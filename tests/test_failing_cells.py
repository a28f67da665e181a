"""Cells that fail in each way in which one can, among others that don't."""

from pathlib import Path

import pytest

from djd.runs.result import RunResult
from tests.conftest import Compose
from tests.ordinary_user import posix
from tests.sweeping import failing_config, run_train, sweep_arguments

REASONS = {
    "raises": "RuntimeError: nobody expects this error",
    "exits": "the cell called sys.exit(7)",
    "crashes": "its process crashed: segmentation fault (SIGSEGV)",
    "iskilled": "killed (SIGKILL), perhaps by the system for want of memory",
    "diverges": "training diverged in epoch 1: expected a finite loss, received nan",
}

pytestmark = pytest.mark.usefixtures("no_timing")


class Sweep:
    """A sweep with failing optimizers at hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cache: Path, root: Path) -> None:
        self.monkeypatch = monkeypatch
        self.cache = cache
        self.folder = root / "sweep"
        self.config = failing_config(root / "conf")

    def __call__(self, *axes: str) -> int:
        arguments = sweep_arguments(self.cache, self.folder, *axes)
        return run_train(self.monkeypatch, "--config-dir", self.config, *arguments)


@pytest.fixture
def sweep(monkeypatch: pytest.MonkeyPatch, tiny: Compose, tmp_path: Path) -> Sweep:
    return Sweep(monkeypatch, Path(tiny()["paths"]["cache"]), tmp_path)


@posix
def test_a_failing_cell_costs_itself_alone_and_says_why(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(f"optim={','.join(['sgd', *REASONS])}") == 1
    shown = capsys.readouterr().out
    assert "Traceback" not in shown
    folders = {name: sweep.folder / f"optim={name}" for name in ("sgd", *REASONS)}
    for name, reason in REASONS.items():
        assert f"optim={name}: FAILED: {reason}" in shown
        assert f"failed: optim={name}: {reason}" in shown, "counted at the end, too"
        assert f"optim={name}/run.log)" in shown
        assert reason in (folders[name] / "error.txt").read_text(encoding="utf-8")
        assert not (folders[name] / "result.json").exists()
    assert "Traceback" in (folders["raises"] / "error.txt").read_text(encoding="utf-8")
    assert "in step" in (folders["crashes"] / "run.log").read_text(encoding="utf-8")
    assert RunResult.load(folders["sgd"] / "result.json").validation
    assert [path.name[:9] for path in sweep.folder.glob("winner/*")] == ["optim=sgd"]
    assert not (sweep.folder / "result.json").exists(), "there is something left to do"


def test_the_first_failure_ends_a_sweep_that_asks_for_it(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep("optim=raises,sgd,exits", "fail_fast=true", "hydra.launcher.n_jobs=1") == 1
    assert {path.name for path in sweep.folder.iterdir() if path.is_dir()} == {"optim=raises"}
    assert "Winner" not in capsys.readouterr().out


def test_under_any_launcher_the_first_failure_ends_a_sweep_that_asks_for_it(sweep: Sweep) -> None:
    assert sweep("optim=raises,sgd", "fail_fast=true", "hydra/launcher=basic") == 1
    assert not list(sweep.folder.rglob("metrics.csv"))
    assert not list(sweep.folder.rglob("model.ckpt"))


@pytest.mark.slow
def test_a_failed_cell_is_tried_again_by_the_next_command(
    sweep: Sweep, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sweep.monkeypatch.setenv("DJD_TEST_HEALED", str(tmp_path / "healed"))
    axes = ("optim=sgd,raisesuntilhealed", "test=never", "hydra/launcher=basic")
    assert sweep(*axes) == 1
    (tmp_path / "healed").write_text("")
    assert sweep(*axes) == 0
    assert "1 to do (1 of them failed before and will be tried again)" in capsys.readouterr().out
    assert not list(sweep.folder.rglob("error.txt"))
    assert (sweep.folder / "result.json").exists()


@pytest.mark.slow
def test_without_processes_of_their_own_cells_fail_alone_as_well(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep("optim=exits,raises,diverges,sgd", "test=never", "hydra/launcher=basic") == 1
    assert capsys.readouterr().out.count("failed: optim=") == 3
    assert (sweep.folder / "optim=sgd" / "result.json").exists()


@pytest.mark.slow
def test_failures_that_are_no_longer_compared_do_not_count(sweep: Sweep) -> None:
    fast = ("fail_fast=true", "hydra.launcher.n_jobs=1")
    assert sweep("optim=raises,sgd", *fast) == 1
    assert sweep("optim=sgd,adam", *fast) == 0
    assert (sweep.folder / "optim=raises" / "error.txt").exists()
    assert len(list(sweep.folder.glob("winner/*/model.ckpt"))) == 1


def test_a_launcher_that_raises_costs_the_cells_that_it_lost(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    from hydra_plugins.djd.processes_launcher import ProcessesLauncher

    def lost(self: object, *arguments: object) -> None:
        raise RuntimeError("the cluster is gone")

    sweep.monkeypatch.setattr(ProcessesLauncher, "launch", lost)
    assert sweep("optim=sgd,adam") == 1
    shown = capsys.readouterr().out
    assert shown.count("RuntimeError: the cluster is gone") == 2


@pytest.mark.slow
def test_a_cell_whose_folder_cannot_be_written_is_a_failure_that_is_said(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep.folder.mkdir()
    (sweep.folder / "optim=sgd").write_text("a file in the way")
    assert sweep("optim=sgd,adam", "test=never") == 1
    shown = capsys.readouterr().out
    assert "optim=sgd: FAILED: " in shown
    assert "failed: optim=sgd: it was launched and left neither result nor reason" in shown
    assert (sweep.folder / "optim=adam" / "result.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["processes", "basic"])
def test_under_another_sweeper_a_failure_is_a_sentence_and_status_one(
    sweep: Sweep, capsys: pytest.CaptureFixture[str], launcher: str
) -> None:
    sweepers = ("hydra/sweeper=basic", f"hydra/launcher={launcher}")
    assert sweep("optim=raises,sgd", *sweepers) == 1
    shown = capsys.readouterr()
    assert "nobody expects this error" in shown.err
    assert "Traceback" not in shown.err
    assert len(list(sweep.folder.rglob("result.json"))) == 1


@pytest.mark.slow
def test_a_refit_whose_folder_cannot_be_written_is_a_failure_that_is_said(
    sweep: Sweep, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep.folder.mkdir()
    (sweep.folder / "winner").write_text("a file in the way")
    assert sweep("optim=sgd,adam", "hydra/launcher=basic") == 1
    shown = capsys.readouterr().out
    assert "failed: winner/optim=" in shown
    assert "rank" in shown, "what was found is told all the same"
