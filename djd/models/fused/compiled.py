"""`passes.c`, built by the machine's own C compiler and kept in the user's cache folder."""

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from djd.errors import InputError
from djd.files import cache_folder, write_whole

SOURCE = Path(__file__).with_name("passes.c")
"""Includes the headers beside it."""

COMMON_FLAGS = ("-O3", "-shared", "-fPIC", "-Wno-psabi", "-fno-math-errno")
CPU_FLAGS = (("-march=native",), ("-mcpu=native",), ())
"""For this very processor where the compiler can: x86 and ARM have different flags."""

SECONDS_TO_COMPILE = 60


@cache
def library(*, in_double: bool) -> ctypes.CDLL | None:
    """The compiled passes, built where they are missing (half a second); None where that fails.

    A home folder may be shared by unlike machines, so a file built for another processor, by
    another compiler or from another source is not taken, nor one that isn't whole or belongs to
    another user. `in_double` chooses float64 in place of float32.
    """
    # GCC on Windows aligns its stack to 16 bytes, and the passes' vectors take up to 64: a crash.
    compiler = None if os.name == "nt" else _compiler()
    if compiler is None:
        return None
    precision = ("-DIN_DOUBLE",) if in_double else ()
    digest = _digest(compiler, precision)
    for kept in _kept(digest):
        with suppress(OSError):  # on a disk from which nothing may be run
            # Half a library would end the process.
            if kept.stem.endswith(f"-{_sum(kept.read_bytes())}") and _is_ours(kept):
                return ctypes.CDLL(str(kept))
    return _build((*compiler, *COMMON_FLAGS, *precision), digest)


def kept_folder() -> Path | None:
    """Folder of built libraries; None for a user without a home."""
    with suppress(InputError):
        return cache_folder() / "compiled"
    return None


def _kept(digest: str) -> list[Path]:
    folder = kept_folder()
    return [*folder.glob(f"{digest}-*.so")] if folder else []


def _compiler() -> tuple[str, ...] | None:
    """The value of `CC`, with its flags and a command before it (`ccache cc`), else `cc`."""
    for named in (os.environ.get("CC", ""), "cc"):
        with suppress(ValueError):  # quotes that don't close
            program, *flags = shlex.split(named) or [""]
            if found := shutil.which(program):
                return (found, *flags)
    return None


def _build(command: tuple[str, ...], digest: str) -> ctypes.CDLL | None:
    for folder in (kept_folder(), None):  # None: the system's, where nothing may be allowed to run
        with suppress(OSError, subprocess.SubprocessError):
            if folder:
                folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as place:
                built = Path(place) / "passes.so"
                _compile(command, built)
                content = built.read_bytes()
                loaded = ctypes.CDLL(str(built))
            with suppress(OSError):  # a read-only home costs half a second at each start
                if kept := kept_folder():
                    write_whole(kept / f"{digest}-{_sum(content)}.so", content)
            return loaded
    return None


def _compile(command: tuple[str, ...], built: Path) -> None:
    """Compile for this very processor if the compiler can."""
    for cpu in CPU_FLAGS:
        line = [*command, *cpu, "-o", str(built), str(SOURCE)]
        done = subprocess.run(line, capture_output=True, timeout=SECONDS_TO_COMPILE)
        if done.returncode == 0:
            return
    done.check_returncode()


def _is_ours(kept: Path) -> bool:
    return not hasattr(os, "getuid") or kept.stat().st_uid == os.getuid()


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _digest(compiler: tuple[str, ...], precision: tuple[str, ...]) -> str:
    program = Path(compiler[0]).resolve()
    sources = sorted(SOURCE.parent.glob("*.[ch]"))
    parts = (
        [source.read_text(encoding="utf-8") for source in sources],
        (COMMON_FLAGS, CPU_FLAGS, precision),
        (str(program), program.stat().st_mtime_ns, compiler),
        (platform.platform(), _processor()),
    )
    return _sum(repr(parts).encode())


def _processor() -> str:
    """The processor's instructions, as far as the system reports them."""
    with suppress(OSError), Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith(("flags", "Features")):
                return line
    return platform.processor()
