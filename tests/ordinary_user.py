"""What systems differ in: users without the rights of root, whom permissions don't stop; links."""

import os
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such users and signals")

NOBODY = 65534


def as_ordinary_user(work: Callable[[], str]) -> str:
    """What `work` returns in a process of its own that has no rights of root."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 warns of threads that the child won't have
        child = os.fork()
    if not child:
        try:
            if not os.getuid():
                os.setuid(NOBODY)
            os.write(writing, work().encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return text


def open_to_all(folder: Path) -> None:
    """Let other users into a folder of pytest, which keeps it and those above to itself."""
    for each in (folder, *folder.parents):
        if each.stat().st_mode & 0o005 != 0o005:
            each.chmod(0o755)


def link(place: Path, target: Path) -> None:
    """A second place for a file or folder; Windows lets only some users make symbolic links."""
    if sys.platform != "win32":
        place.symlink_to(target)
    elif target.is_dir():
        import _winapi

        _winapi.CreateJunction(str(target), str(place))
    else:
        shutil.copy2(target, place)
