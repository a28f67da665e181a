"""`passes.c`, built by the machine's own C compiler and kept in the user's cache folder."""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from platformdirs import user_cache_path

from djd.files import write_whole

SOURCE = Path(__file__).with_name("passes.c")
COMMON_FLAGS = ("-O3", "-shared", "-fPIC", "-Wno-psabi")
CPU_FLAGS = (("-march=native",), ("-mcpu=native",), ())
"""For this very processor where the compiler knows how: x86 says it one way, ARM another."""

SECONDS_TO_COMPILE = 60


@cache
def library(*, in_double: bool) -> ctypes.CDLL | None:
    """The compiled passes, built where they aren't yet (half a second); None where they can't be.

    What was built for another processor, by another compiler or from another source is not taken: a
    home folder may be shared by unlike machines.

    Args:
        in_double: For float64 in place of float32.
    """
    compiler = shutil.which(os.environ.get("CC") or "cc")
    if compiler is None:
        return None
    precision = ("-DIN_DOUBLE",) if in_double else ()
    kept = kept_folder() / f"{_digest(compiler, precision)}.so"
    with suppress(OSError):  # not there, damaged, or on a disk from which nothing may be run
        return ctypes.CDLL(str(kept))
    for cpu in CPU_FLAGS:
        with suppress(OSError, subprocess.SubprocessError):
            return _build((compiler, *COMMON_FLAGS, *cpu, *precision), kept)
    return None


def kept_folder() -> Path:
    """Where built libraries are kept."""
    return user_cache_path("djd") / "compiled"


def _build(command: tuple[str, ...], kept: Path) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as place:
        built = Path(place) / "passes.so"
        subprocess.run(
            [*command, "-o", str(built), str(SOURCE)],
            check=True,
            capture_output=True,
            timeout=SECONDS_TO_COMPILE,
        )
        loaded = ctypes.CDLL(str(built))
        with suppress(OSError):  # a read-only home costs half a second at each start
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_whole(kept, built.read_bytes())
    return loaded


def _digest(compiler: str, precision: tuple[str, ...]) -> str:
    program = Path(compiler).resolve()
    told = (
        SOURCE.read_text(encoding="utf-8"),
        (COMMON_FLAGS, CPU_FLAGS, precision),
        (str(program), program.stat().st_mtime_ns),
        (platform.platform(), _processor()),
    )
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def _processor() -> str:
    """Which instructions the processor has, as far as the system tells."""
    with suppress(OSError), Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
        for line in lines:
            if line.startswith(("flags", "Features")):
                return line
    return platform.processor()
