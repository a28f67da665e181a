import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from djd import machine
from djd.environment import let_waiting_threads_sleep
from djd.machine import process_lives, process_start, usable_cores


def test_waiting_threads_are_told_to_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    let_waiting_threads_sleep()
    assert os.environ == {"GOMP_SPINCOUNT": "1000"}


@pytest.mark.parametrize("said", [{"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}])
def test_what_the_user_says_of_waiting_stays(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, str]
) -> None:
    monkeypatch.setattr(os, "environ", dict(said))
    let_waiting_threads_sleep()
    assert os.environ == said


V1 = "4:cpuset:/\n3:cpu,cpuacct:/slice/job\n0::/slice/job\n"


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/user.slice/a\n", {"user.slice/cpu.max": "300000 100000\n"}, 3),
        ("0::/outside/of/a/container\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/a\n", {"cpu.max": "400000 100000", "a/cpu.max": "100000 50000"}, 2),
        (V1, {"cpu/slice/cpu.cfs_quota_us": "300000", "cpu/slice/cpu.cfs_period_us": "100000"}, 3),
        (V1, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        (V1, {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "0\n"}, 8),
        ("a line of another kind\n", {"cpu.max": "100000 100000"}, 8),
        ("0::/\n", {}, 8),
    ],
)
def test_a_quota_of_control_groups_limits_the_cores(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    groups: str,
    files: dict[str, str],
    cores: int,
) -> None:
    (tmp_path / "own").write_text(groups, encoding="utf-8")
    for name, text in files.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(machine, "_OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(machine, "_GROUPS", tmp_path / "tree")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    assert usable_cores() == cores


CHILD = "from djd.machine import die_without_parent as f; f(); print('ready', flush=True); input()"
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdin=0, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid)
"""


@pytest.mark.skipif(os.name != "posix", reason="Windows says nothing of a parent's end")
def test_a_process_ends_soon_after_its_parent() -> None:
    held, kept_open = os.pipe()  # the child waits for a line that never comes
    try:
        done = subprocess.run([sys.executable, "-c", PARENT], stdin=held, stdout=-1, check=True)
        child, deadline = int(done.stdout), time.monotonic() + 20
        while process_lives(child, process_start(child)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        os.close(held)
        os.close(kept_open)
