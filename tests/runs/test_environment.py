"""A training is what its configuration says, whatever launches it."""

import inspect
import logging
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import lightning
import pytest
from lightning.fabric.utilities import rank_zero_only

from djd.environment import as_configured
from djd.machine import Stopped, stop_on_signals
from tests.conftest import Compose
from tests.sweeping import rows_of
from tests.training import run_cell

SLURM = {
    "SLURM_JOB_ID": "77",
    "SLURM_NTASKS": "4",
    "SLURM_NTASKS_PER_NODE": "4",
    "SLURM_NNODES": "1",
    "SLURM_NODELIST": "node[1-2]",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "0",
    "SLURM_JOB_NAME": "train",
}
RANKS = {"RANK": "3", "LOCAL_RANK": "1", "NODE_RANK": "2", "GROUP_RANK": "1", "WORLD_SIZE": "8"}
ELASTIC = {"TORCHELASTIC_RUN_ID": "7", "MASTER_ADDR": "nowhere", "MASTER_PORT": "none"}
NONSENSE = {"RANK": "x", "LOCAL_RANK": "", "SLURM_PROCID": "x", "JSM_NAMESPACE_RANK": "-"}

# Obeyed, most of these would stop the training, and the others would change its numbers.
OF_TRAINER = {
    f"PL_TRAINER_{name.upper()}": "1"
    for name in inspect.signature(lightning.Trainer.__init__).parameters
    if name != "self"
}


def test_no_variable_of_lightning_changes_a_number(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert run_cell(tiny(), tmp_path / "plain")
    given = {**OF_TRAINER, "PL_GLOBAL_SEED": "7", "PL_SEED_WORKERS": "1", "DISABLE_MPS": "1"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with caplog.at_level(logging.WARNING):
        assert run_cell(tiny(), tmp_path / "with")
    for file in ("predictions.csv", "metrics.csv"):
        assert _without_times(tmp_path / "with" / file) == _without_times(tmp_path / "plain" / file)
    assert {name: os.environ[name] for name in given} == given
    (warning,) = [text for text in caplog.messages if "ignored" in text]
    assert "PL_TRAINER_LIMIT_TRAIN_BATCHES" in warning
    assert "PL_GLOBAL_SEED" in warning


def _without_times(path: Path) -> list[dict[str, str]]:
    return [{key: row[key] for key in row if key != "seconds"} for row in rows_of(path)]


@pytest.mark.parametrize(
    "given", [SLURM, {**RANKS, **ELASTIC}, NONSENSE], ids=["slurm", "ranks", "nonsense"]
)
def test_no_rank_keeps_a_run_from_writing(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rank_zero_only, "rank", 3)
    assert run_cell(tiny("plots=true"), tmp_path / "cell")
    assert list((tmp_path / "cell").glob("events.*"))


def test_lightning_leaves_no_variable_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)
    with as_configured():
        lightning.seed_everything(3, verbose=False)
    assert "PL_GLOBAL_SEED" not in os.environ


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows has no SIGUSR1")
def test_slurms_announcement_of_the_end_stops_a_training_without_scontrol(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    called = tmp_path / "called"
    scontrol = tmp_path / "scontrol"
    scontrol.write_text(f"#!/bin/sh\ntouch '{called}'\n")
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    class Announcement(lightning.Callback):
        def on_train_epoch_end(self, *_: object) -> None:
            os.kill(os.getpid(), signal.SIGUSR1)

    monkeypatch.setattr("djd.runs.fit.ProgressLine", lambda _: Announcement())
    with pytest.raises(Stopped, match="SIGUSR1"), stop_on_signals():
        run_cell(tiny(), tmp_path / "cell")
    assert not called.exists()


@pytest.mark.slow  # imports everything anew
def test_a_command_starts_with_the_variables_of_launchers_and_notebooks(tmp_path: Path) -> None:
    given = {**NONSENSE, "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    script = (
        "import train\n"
        "from djd.environment import forget_launcher\n"
        "forget_launcher()\n"
        "import djd.runs.train\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **given, "MPLCONFIGDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_both_commands_forget_their_launcher(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import train
    from djd import cli

    for main, arguments in (
        (train.main, ["train.py", "--cfg=job"]),
        (cli.main, ["djd", "report", str(tmp_path)]),
    ):
        monkeypatch.setenv("MPLBACKEND", "nonsense")
        monkeypatch.setattr(sys, "argv", arguments)
        with suppress(SystemExit):
            main()
        assert "MPLBACKEND" not in os.environ
