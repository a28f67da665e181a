"""Consoles in any encoding, and names that are no text in it."""

import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import threadpoolctl
import yaml

from djd.data.scan_files import find_scans
from djd.errors import InputError, require_text
from djd.files import write_whole
from djd.machine import one_blas_thread
from djd.runs.summary import log, say
from tests.conftest import Compose
from tests.sweeping import ROOT, run_train, sweep_arguments

NO_TEXT = os.fsdecode(b"\xb0\xa1")

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""The environment of a system without any but ASCII signs."""

bytes_in_names = pytest.mark.skipif(
    sys.platform in ("win32", "darwin"), reason="names are text on this system's disks"
)


STREAMS = """
import os, sys
from djd.environment import outlive_terminal, show_every_line
show_every_line()
outlive_terminal()
for stream in (sys.stdout, sys.stderr):
    print("a line " * 10_000, file=stream, flush=True)
file = os.open(os.devnull, os.O_RDONLY)
assert file > 2, file
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the shell and the disk are POSIX's")
@pytest.mark.parametrize(
    "streams", [">&- 2>&-", ">&- 2>&- <&-", ">/dev/full 2>/dev/full", "2>&1|:"]
)
def test_a_process_outlives_its_terminal(streams: str) -> None:
    status = "; exit ${PIPESTATUS[0]}"
    command = ["bash", "-c", f'"$0" -c "$1" {streams}{status}', sys.executable, STREAMS]
    done = subprocess.run(command, cwd=ROOT, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("encoding", ["cp949", "ascii", "latin-1", "cp437", "cp1252"])
def test_a_sentence_reaches_a_console_that_lacks_some_of_its_signs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoding: str
) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    monkeypatch.setattr(sys, "stdout", out)
    root = tmp_path / "한글 é ★"
    arguments = ("data=mat", f"data.root={root}", f"hydra.run.dir={tmp_path / 'run'}")
    assert run_train(monkeypatch, *arguments) == 1
    said = out.buffer.getvalue().decode(encoding)
    assert str(root).encode(encoding, "backslashreplace").decode(encoding) in said
    assert "nothing there" in said
    assert str(root) in (tmp_path / "run" / "run.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(("level", "stream"), [(logging.INFO, "out"), (logging.ERROR, "err")])
@pytest.mark.parametrize("off", ["disabled", "no handler"])
def test_a_sentence_is_printed_where_the_log_is_off(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    level: int,
    stream: str,
    off: str,
) -> None:
    if off == "disabled":
        monkeypatch.setattr(log, "disabled", True)
    monkeypatch.setattr(logging.root, "handlers", [])
    say("a sentence", level)
    captured = capsys.readouterr()
    assert getattr(captured, stream) == "a sentence\n"
    assert captured.out + captured.err == "a sentence\n"


def test_a_log_that_leaves_a_sentence_out_is_obeyed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [logging.StreamHandler(sys.stdout)])
    monkeypatch.setattr(logging.root, "level", logging.ERROR)
    say("a sentence")
    assert capsys.readouterr().out == ""


@bytes_in_names
def test_a_name_that_is_no_text_is_shown_by_its_bytes() -> None:
    require_text("data.root", "/한글/é")
    with pytest.raises(InputError) as error:
        require_text("data.root", f"/한글/{NO_TEXT}")
    assert str(error.value) == (
        "data.root: expected text in utf-8, received /한글/\\xb0\\xa1; rename it"
    )


@bytes_in_names
@pytest.mark.parametrize("key", ["data.root", "data.groups", "paths.cache", "hydra.run.dir"])
def test_an_argument_that_is_no_text_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, key: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_train(monkeypatch, f"{key}={tmp_path / NO_TEXT}") == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"{key}: expected text in utf-8, received ")
    assert (captured.out, list(tmp_path.iterdir())) == ("", [])


@bytes_in_names
def test_a_working_or_home_folder_that_is_no_text_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (place := tmp_path / NO_TEXT).mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(place))
    assert run_train(monkeypatch, f"hydra.run.dir={tmp_path / 'run'}") == 1
    assert capsys.readouterr().out.startswith("paths.cache: expected text")
    monkeypatch.chdir(place)
    assert run_train(monkeypatch) == 1
    assert capsys.readouterr().err.startswith("the working directory: expected text")


@bytes_in_names
def test_a_scan_whose_name_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    for name in ("0000001.mat", f"{NO_TEXT}.mat", f"{NO_TEXT}.txt"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"name of a scan: .*received \\xb0\\xa1\.mat; rename it"):
        find_scans(tmp_path)


def test_a_name_that_is_no_text_is_written_as_escapes(tmp_path: Path) -> None:
    write_whole(tmp_path / "file", json.dumps([NO_TEXT], ensure_ascii=False))
    assert json.loads((tmp_path / "file").read_text(encoding="utf-8")) == [NO_TEXT]


def test_a_configuration_in_another_encoding_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "optim").mkdir()
    (tmp_path / "optim" / "mine.yaml").write_bytes("# 한글\nlr: 0.1".encode("cp949"))
    assert run_train(monkeypatch, "optim=mine", "--config-dir", str(tmp_path)) == 1
    assert capsys.readouterr().err.startswith(f"{tmp_path / 'optim' / 'mine.yaml'}: expected UTF-8")


def test_a_library_in_a_folder_that_is_no_text_stops_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(**limits: object) -> None:
        b"\xb0\xa1".decode()

    monkeypatch.setattr(threadpoolctl, "threadpool_limits", fail)
    with one_blas_thread():
        pass


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["processes", "basic"])
def test_a_sweep_without_logs_in_changed_folders_under_ascii_is_whole(
    tiny: Compose, tmp_path: Path, launcher: str
) -> None:
    """With `hydra.job.chdir=true`, relative paths and a tilde."""
    cache = Path(tiny()["paths"]["cache"])
    root = next(cache.glob("phantom-*")).resolve()
    (tmp_path / "scans").symlink_to(root)
    test = sorted(path.stem for path in root.glob("*.mat"))[:8]
    (tmp_path / "test.txt").write_text("\n".join(test))
    where = ("data=mat", "data.root=scans", "data.test_list=test.txt", "hydra.job.chdir=true")
    logs = ("hydra/job_logging=disabled", "hydra/hydra_logging=none", f"hydra/launcher={launcher}")
    arguments = sweep_arguments(Path("cache"), Path("~/sweep"), "optim=sgd,adam", *where, *logs)
    done = subprocess.run(
        [sys.executable, ROOT / "train.py", *arguments],
        capture_output=True,
        encoding="ascii",
        cwd=tmp_path,
        env={**os.environ, **ASCII, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    sweep = tmp_path / "sweep"
    assert f"Everything is in {sweep}" in done.stdout
    assert f"Dashboard: tensorboard --logdir {sweep}" in done.stdout
    cells = sorted(path.parent.name for path in sweep.glob("*/result.json"))
    assert cells == ["optim=adam", "optim=sgd"]
    config = yaml.safe_load((sweep / "optim=adam" / "config.yaml").read_text(encoding="utf-8"))
    assert config["data"]["root"] == str(tmp_path / "scans")
    assert {path.name for path in tmp_path.glob("[!.]*")} == {"cache", "scans", "sweep", "test.txt"}
    if launcher == "processes":
        assert "validation" in (sweep / cells[0] / "run.log").read_text(encoding="utf-8")
