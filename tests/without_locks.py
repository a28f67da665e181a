"""File systems that refuse locks, and drives that fail: emulated, since no test can mount them."""

import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from djd.markers import Holder

ROOT = Path(__file__).parent.parent

SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int flock(int file, int operation)
{
    const char *refused = getenv("FLOCK_FAILS");
    static int (*system_flock)(int, int);
    if (!system_flock) system_flock = (int (*)(int, int))dlsym(RTLD_NEXT, "flock");
    if (!refused) return system_flock(file, operation);
    errno = atoi(refused);
    return -1;
}

/* Whether a read fails: of a file whose path holds READ_FAILS_IN, after the first bytes. */
static int fails(int file, off_t at)
{
    const char *name = getenv("READ_FAILS_IN");
    char link[64], path[4096];
    if (!name || at < atoi(getenv("READ_FAILS_AFTER"))) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (!strstr(path, name)) return 0;
    errno = atoi(getenv("READ_FAILS"));
    return 1;
}

ssize_t read(int file, void *to, size_t size)
{
    static ssize_t (*system_read)(int, void *, size_t);
    if (!system_read) system_read = (ssize_t (*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
    return fails(file, lseek(file, 0, SEEK_CUR)) ? -1 : system_read(file, to, size);
}

ssize_t pread(int file, void *to, size_t size, off_t at)
{
    static ssize_t (*system_pread)(int, void *, size_t, off_t);
    if (!system_pread)
        system_pread = (ssize_t (*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread");
    return fails(file, at) ? -1 : system_pread(file, to, size, at);
}

ssize_t pread64(int file, void *to, size_t size, off_t at) { return pread(file, to, size, at); }
"""


@pytest.fixture(scope="session")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of processes in which FLOCK_FAILS and READ_FAILS are numbers of errors."""
    if sys.platform != "linux" or not shutil.which("cc"):
        pytest.skip("a library before the system's takes Linux and a C compiler")
    folder = tmp_path_factory.mktemp("preloaded")
    (folder / "drive.c").write_text(SOURCE)
    built = str(folder / "drive.so")
    command = ["cc", "-shared", "-fPIC", "-o", built, str(folder / "drive.c"), "-ldl"]
    subprocess.run(command, check=True)
    return {"LD_PRELOAD": built}


ANOTHER_HOST = """
import os, platform, time
name, ahead, now = os.environ["HOST_NAME"], float(os.environ["CLOCK_AHEAD"]), time.time
platform.node = lambda: name
time.time = lambda: now() + ahead
"""


@pytest.fixture(scope="session")
def another_host(
    preloaded: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, float], dict[str, str]]:
    """Environment of processes on a host of that name, its clock ahead, which has no locks.

    The name is a part of `this_boot`, so hosts know nothing of each other's processes.
    """
    folder = tmp_path_factory.mktemp("host")
    (folder / "sitecustomize.py").write_text(ANOTHER_HOST)

    def host(name: str, ahead: float) -> dict[str, str]:
        path = os.pathsep.join([str(folder), str(ROOT)])
        own = {"HOST_NAME": name, "CLOCK_AHEAD": str(ahead), "PYTHONPATH": path}
        return {**preloaded, **own, "FLOCK_FAILS": str(errno.ENOLCK)}

    return host


@pytest.fixture(params=[errno.ENOLCK, errno.ENOSYS])
def no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process the file system refuses locks."""
    fcntl = pytest.importorskip("fcntl")

    def refuse(file: int, operation: int) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)


def leave_marker(
    lock: Path,
    *,
    silent: float = 0,
    by_system: bool = False,
    boot: str = "another machine",
    number: int = 1,
    job: tuple[str, int] = ("", 0),
) -> Path:
    """The marker of a holder on another machine, without a heartbeat for so many seconds."""
    marker = lock.with_name(f"{lock.name}.{number}")
    holder = Holder("node17", boot, 4711, "12345", f"{time.time_ns()}", by_system, *job)
    # A file of its own: a heartbeat in flight would write over one that was there.
    fresh = marker.with_name(f"{marker.name}.new")
    fresh.write_bytes(holder.as_bytes())
    os.utime(fresh, (time.time() - silent,) * 2)
    fresh.replace(marker)
    return marker
