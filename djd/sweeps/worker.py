"""A process that answers the calls of `djd.sweeps.processes`."""

import contextlib
import gc
import os
import signal
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from importlib.machinery import ModuleSpec
from multiprocessing.connection import Connection
from pathlib import Path

from djd.machine import (
    Stopped,
    die_with_parent,
    interrupt_after,
    mind_stops,
    stop_on_signals,
)

VISIBLE_DEVICES = "_VISIBLE_DEVICES"
"""End of the names of variables that say which GPUs a process sees, such as CUDA's."""

_SOFTWARE = ("djd.", "hydra_plugins.djd.", "train.")


def serve(
    calling: Connection,
    asked: Connection,
    *,
    slot: int | None,
    keep: bool,
    seen: Mapping[str, str] | None = None,
) -> None:
    """Answer calls, then exit.

    Args:
        calling: Receives a function and its arguments; value, error, and whether the process waits
            for another call go back.
        asked: Its other end is closed to stop the work.
        slot: See `deal_gpu`.
        keep: Whether to answer more than one call.
        seen: The variables that say which GPUs this process sees; None for those of its start.
    """
    mind_stops()
    die_with_parent()
    if seen is not None:
        _see_devices(seen)
    interrupt_after(asked)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # between calls
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    exit_code, again = 0, True
    while again:
        try:
            with stop_on_signals():
                try:
                    work, call = calling.recv()
                except EOFError:  # there are no more calls
                    break
                there_before = set(sys.modules)
                deal_gpu(slot)
                value = work(*call)
                again = keep and not _own_modules(set(sys.modules) - there_before)
                gc.collect()  # closes what the call has left open
                calling.send((value, None, again))
        except Stopped as stop:
            exit_code, again = stop.exit_status, False
        except BaseException as error:
            exit_code, again = 1, False
            with contextlib.suppress(OSError):  # the parent has closed its end
                calling.send((None, f"{type(error).__name__}: {error}".splitlines()[0], False))
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # None without a console
            stream.flush()
    os._exit(exit_code)  # taking torch down would take another second


def _own_modules(names: Iterable[str]) -> list[str]:
    """Modules of a person's own: neither this software's nor a library's."""
    specs = {name: getattr(sys.modules[name], "__spec__", None) for name in names}
    found = {name: spec for name, spec in specs.items() if isinstance(spec, ModuleSpec)}
    return [
        name
        for name, spec in found.items()
        if spec.has_location and not f"{name}.".startswith(_SOFTWARE) and not _is_library(spec)
    ]


def _is_library(spec: ModuleSpec) -> bool:
    if spec.name.partition(".")[0] in sys.stdlib_module_names:  # on Windows some are in DLLs
        return True
    file = Path(spec.origin or "")
    installed = {"site-packages", "dist-packages"} & {*file.parts}
    return bool(installed) or file.is_relative_to(sysconfig.get_path("stdlib"))


def _see_devices(seen: Mapping[str, str]) -> None:
    for name in [each for each in os.environ if each.endswith(VISIBLE_DEVICES)]:
        del os.environ[name]
    os.environ.update(seen)


def deal_gpu(slot: int | None) -> None:
    """Leave this process one of several GPUs, before PyTorch has started CUDA.

    Args:
        slot: Counts the concurrent processes from 0; None leaves all GPUs.
    """
    import torch

    count = torch.cuda.device_count()
    if slot is not None and count > 1:
        seen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        devices = seen.split(",") if seen else [str(device) for device in range(count)]
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[slot % count].strip()
