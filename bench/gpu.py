"""Everything that docs/gpu.md has no figures for, in a few minutes on a machine with a GPU.

    python bench/gpu.py                        # under eight minutes; prints what to paste
    python bench/gpu.py --parts cells          # one part of it
    python bench/gpu.py --device cpu           # a rehearsal without a GPU; its figures mean nothing

Each part is a process with a time limit and prints each line as soon as it is known, so that a part
that is stopped leaves what it has found:

1. synchronizing: whether a step of an epoch waits for the GPU.
2. precision: a step and an epoch at float32, tf32 and bf16.
3. captured: a step captured as a CUDA graph against the same step launched operator by operator,
   and whether their losses are equal. The package captures no steps.
4. cells: cells of one fold of `experiment=matrix`, 1, 4 and 16 at a time on one GPU: cells an hour,
   memory of a cell, the whole matrix by extrapolation, and the `hydra.launcher.n_jobs` to take.

No GPU was at hand while this was written: nothing of it has ever run on one.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import date
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # train.py and bench are no parts of the package

from bench import gpu_cells, gpu_steps  # noqa: E402
from bench.gpu_machine import Machine, make_cohort  # noqa: E402
from djd.machine import usable_cores  # noqa: E402

PARTS = {
    "cohort": (make_cohort, 90),
    "synchronizing": (gpu_steps.synchronizing, 60),
    "precision": (gpu_steps.precision, 75),
    "captured": (gpu_steps.captured, 50),
    "cells": (gpu_cells.cells, 180),
}
"""What each part does, and the seconds after which it is stopped: 455 of all."""


def main() -> None:
    """Go through the parts; `--part` is one of them, in a process of its own."""
    arguments = read_arguments()
    if arguments.part:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[arguments.part][0](Machine(arguments.device, arguments.cache, Path(folder)))
        return
    print(*headline(arguments.device), sep="\n", flush=True)
    for name in ("cohort", *arguments.parts):
        print(f"\n## {name}\n", flush=True)
        limit = PARTS[name][1] * (arguments.patience if arguments.device == "cpu" else 1)
        print(run_part(name, limit, sys.argv[1:]), flush=True)


def read_arguments() -> argparse.Namespace:
    """What is measured, and where."""
    parser = argparse.ArgumentParser(description="What docs/gpu.md has no figures for.")
    there = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=["cpu", "cuda"], default=there)
    measured = [name for name in PARTS if name != "cohort"]
    parser.add_argument("--parts", nargs="+", choices=measured, default=measured)
    parser.add_argument("--cache", type=Path, help="a cache folder to keep and to take from")
    parser.add_argument("--patience", type=float, default=4, help="times the limits, on a CPU")
    parser.add_argument("--part", choices=list(PARTS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error(f"PyTorch {torch.__version__} finds no GPU here; --device cpu rehearses")
    return arguments


def headline(device: str) -> list[str]:
    """Date, device and versions; on a CPU a warning."""
    versions = f"PyTorch {torch.__version__}, CUDA {torch.version.cuda or 'none'}"
    cores = f"{usable_cores()} cores"
    if device == "cpu":
        rehearsal = "A rehearsal without a GPU, tiny: no figure below means anything."
        return [f"{date.today()}, CPU, {versions}, {cores}", "", rehearsal]
    named = torch.cuda.get_device_properties(0)
    capability = ".".join(map(str, torch.cuda.get_device_capability(0)))
    memory = f"{named.total_memory / 1e9:.0f} GB, compute capability {capability}"
    return [f"{date.today()}, {named.name} ({memory}), {versions}, {cores}"]


def run_part(name: str, limit: float, arguments: list[str]) -> str:
    """Run one part, which prints by itself; how it ended, in a line."""
    command = [sys.executable, str(Path(__file__).resolve()), *arguments, "--part", name]
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]  # of several GPUs
    began = time.monotonic()
    # In a session of its own, so that its processes end with it.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": first}
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            _end(process)
            return f"({name}: stopped after {limit:.0f} s; what stands above is what was found)"
        except BaseException:
            _end(process)
            raise
    seconds = f"{time.monotonic() - began:.0f} s"
    return f"({name}: {seconds})" if not status else f"({name}: FAILED with {status}, {seconds})"


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a part and what it has started."""
    with suppress(OSError, AttributeError):  # Windows has no groups
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main()
