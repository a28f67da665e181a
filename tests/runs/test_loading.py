"""What comes before a first training: imports, and scans to invent meanwhile."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from djd.data.phantom import cohort
from djd.errors import InputError
from djd.runs.config import RunConfig, read_config
from djd.runs.loading import load
from djd.runs.reading import lacks_scans
from tests.conftest import TINY, compose_values

ROOT = Path(__file__).parents[2]


def lacking(cache: Path, *overrides: str) -> RunConfig:
    overrides = ("data.phantom_patients=3", f"paths.cache={cache}", *overrides)
    return read_config(compose_values(*overrides))


def test_scans_are_invented_once_and_imports_made_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("djd.runs.reading.say", said.append)
    config, imports = lacking(tmp_path), []
    assert lacks_scans(config)
    load(config, lambda: imports.append("libraries"))
    assert not lacks_scans(config)
    (sentence,) = said
    assert sentence.startswith("Inventing 3 scans (PHANTOM), once: ")
    load(config, lambda: imports.append("libraries"))
    assert imports == ["libraries", "libraries"]
    assert len(said) == 1


def test_a_network_that_cannot_be_built_costs_no_cohort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cohort, "usable_cores", lambda: 1)
    config = lacking(tmp_path, "data.phantom_patients=2000", "+model.nonsense=1")
    with pytest.raises(InputError, match="nonsense"):
        load(config, lambda: None)
    assert lacks_scans(config)
    assert list(tmp_path.iterdir()) == []


def test_own_scans_lack_nothing(tmp_path: Path) -> None:
    config = lacking(tmp_path, "data=mat", f"data.root={tmp_path}")
    assert not lacks_scans(config)


AT_ONCE = """
import threading
class Now(threading.Timer):
    def __init__(self, seconds, act):
        super().__init__(0, act)
threading.Timer = Now
"""


def without_folders(home: Path) -> dict[str, str]:
    """The environment of a newcomer whose home is empty."""
    kept = {name: value for name, value in os.environ.items() if "CACHE" not in name}
    kept.pop("MPLCONFIGDIR", None)
    return {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT)}


@pytest.mark.skipif(os.name != "posix", reason="HOME is POSIX's")
def test_no_line_says_that_fonts_are_searched(tmp_path: Path) -> None:
    """Matplotlib prints one by a timer, five seconds after the start of its first import."""
    said = {}
    for imported in ("matplotlib.font_manager", "train, djd.plots.style"):
        home = tmp_path / imported
        home.mkdir()
        said[imported] = subprocess.run(
            [sys.executable, "-c", f"{AT_ONCE}import {imported}"],
            env=without_folders(home),
            capture_output=True,
            text=True,
            check=True,
        )
    alone, ours = said.values()
    assert "building the font cache" in alone.stderr
    assert (ours.stdout, ours.stderr) == ("", "")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="HOME is POSIX's")
@pytest.mark.parametrize("path", [os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
def test_a_first_run_prints_no_warning(tmp_path: Path, path: str) -> None:
    """With a compiler, and without."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *TINY, "report=true", "plots=true"],
        env={**without_folders(tmp_path), "PATH": path},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert all(
        re.fullmatch(r"inventing scans: \d+ of 40", line) for line in done.stderr.splitlines()
    )
    first, second, *_ = done.stdout.splitlines()
    assert first.startswith("Inventing 40 scans (PHANTOM), once: ")
    assert second == "PHANTOM: invented scans, not patients"
    warned = [line for line in done.stdout.splitlines() if "warning" in line.lower()]
    assert all("grade" in line for line in warned)  # of a small cohort, not of a library


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a terminal's Ctrl-C goes to a group of processes")
@pytest.mark.parametrize("moment", [0.1, 0.3, 0.6, 2.5])
def test_ctrl_c_while_scans_are_invented_leaves_nothing_and_says_how_to_begin_again(
    tmp_path: Path, moment: float
) -> None:
    """Among others while other processes start, which would hear it too."""
    with subprocess.Popen(
        [sys.executable, "-u", str(ROOT / "train.py")],
        env=without_folders(tmp_path),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as first_run:
        assert first_run.stdout
        assert first_run.stderr
        assert first_run.stdout.readline().startswith("Inventing 205 scans")
        time.sleep(moment)
        os.killpg(first_run.pid, signal.SIGINT)
        said = first_run.stderr.read()
        assert first_run.wait() == 130
    begin = "stopped by SIGINT before the training began; to begin again: python train.py\n"
    assert said == begin
    assert list((tmp_path / ".cache" / "djd").iterdir()) == []
