"""Train knee-grade networks: `python train.py`, or `python train.py --help`."""

import contextlib
import logging
import os
import sys
import threading
from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from djd.environment import (
    forget_launcher,
    let_waiting_threads_sleep,
    outlive_terminal,
    show_every_line,
)
from djd.errors import (
    DriveError,
    ElsewhereError,
    FailedCellsError,
    InputError,
    file_sentence,
    require_text,
)
from djd.files import cache_folder
from djd.garbage import end_without_collecting
from djd.machine import Stopped, stop_on_signals
from djd.runs.command_line import (
    absolute_paths,
    flags_first,
    hydra_sentence,
    latest_arguments,
    quote_paths,
)
from djd.wording import in_shell, on_terminal
from hydra_plugins.djd._composing import plain_values

if TYPE_CHECKING:
    from djd.runs.result import RunResult


def _cache() -> str | None:
    """None for a user without a home; `read_config` says so."""
    with suppress(InputError):
        return str(cache_folder())
    return None


OmegaConf.register_new_resolver("djd_cache", _cache)
OmegaConf.register_new_resolver("djd_leak", lambda leak: "-LEAK" if leak else "")
OmegaConf.register_new_resolver("djd_sweep", lambda experiment: experiment or "sweep")

CONF = str(Path(__file__).parent / "conf")

failures: list[str] = []
"""Sentences of failed runs, for the exit status."""

started: list[Path] = []
"""Folders of started runs, for the command to go on."""


@hydra.main(config_path=CONF, config_name="config", version_base="1.3")
def _run(cfg: DictConfig) -> float | None:
    """Train, and return the last validation kappa, which Hydra's own sweepers maximize."""
    forget_launcher()  # a job may be launched by other processes than `main`
    runtime = HydraConfig.get()
    folder = Path(runtime.runtime.output_dir)
    run = _run_job if runtime.mode == RunMode.MULTIRUN else _run_alone
    result = run(cfg, folder)
    return result.validation[-1].scores["kappa"] if result and result.validation else None


def _values(cfg: DictConfig) -> dict[str, Any]:
    """Plain values; with `hydra.job.chdir=true` paths are those of where the command was typed."""
    runtime = HydraConfig.get()
    with contextlib.chdir(runtime.runtime.cwd):  # a relative hydra.searchpath
        loader = GlobalHydra.instance().config_loader()
        values = plain_values(
            cfg, runtime.runtime.choices, loader, runtime.overrides.task, runtime.searchpath
        )
    return absolute_paths(values, runtime.runtime.cwd) if runtime.job.chdir else values


def _run_alone(cfg: DictConfig, folder: Path) -> "RunResult | None":
    from djd.runs.config import read_config

    try:
        config = read_config(_values(cfg))
        if config.kind != "run":
            raise InputError(
                f"kind: expected run, which only a sweep changes, received {config.kind}"
            )
        from djd.runs.loading import load

        if not config.dry_run:
            started.append(folder)
        load(config, _import_training)
        from djd.report.report import report_run
        from djd.runs.train import print_duration, train

        if config.dry_run:
            print_duration(config, folder)
            return None
        if result := train(config, folder):
            report_run(folder, result)
        return result
    except (InputError, DriveError, OSError) as error:
        _fail(file_sentence(error, folder) if isinstance(error, OSError) else str(error))
    return None


def _import_training() -> None:
    import djd.report.report
    import djd.runs.train  # noqa: F401


def _run_job(cfg: DictConfig, folder: Path) -> "RunResult | None":
    """One training of a sweep; its folder keeps the reason of a failure.

    The sweeper of djd sets `kind`; another sweeper's job is a cell, tried even where it failed.
    """
    from djd.runs.folder import failure_reason, record_loss

    from_djd = cfg.kind != "run"
    try:
        from djd.runs.config import read_config
        from djd.runs.train import print_duration, train

        values = _values(cfg)
        config = read_config(values if from_djd else values | {"kind": "cell"})
        if config.dry_run:  # of another sweeper; the sweeper of djd launches nothing then
            print_duration(config, folder)
            return None
        return train(config, folder, retry_failed=not from_djd)
    except (Exception, SystemExit) as error:
        if isinstance(error, OSError):
            error = InputError(file_sentence(error, folder))
        record_loss(folder, error)
        reason = failure_reason(folder)
        if reason is None or not from_djd:  # an unwritable folder, or no reader of reasons
            raise InputError(f"{folder.name}: {reason or error or type(error).__name__}") from error
        _fail(f"{folder.name}: {reason}")
    return None


def _fail(sentence: str) -> None:
    from djd.runs.summary import say

    say(sentence, logging.ERROR)
    failures.append(sentence)


def _is_fault(error: Exception) -> bool:
    """Whether this software raised an error, a fault that keeps its traceback."""
    modules = (frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__))
    return any(name.partition(".")[0] in ("djd", "hydra_plugins") for name in modules)


def _file_of_hydra(error: Exception) -> str | None:
    """The configuration's file that Hydra was reading."""
    frames = (frame.f_locals for frame, _ in walk_tb(error.__traceback__))
    return next((str(each["full_path"]) for each in frames if "full_path" in each), None)


def _forget_full_disks(failure: threading.ExceptHookArgs) -> None:
    """Ignore OSError in TensorBoard's thread: the next call of its writer raises it again."""
    if not issubclass(failure.exc_type, OSError):
        threading.__excepthook__(failure)


def _how_to_go_on(stop: Stopped) -> str:
    """The sentence on a stop, with the command that goes on."""
    command = in_shell("python", "train.py", *sys.argv[1:])
    argument = f"hydra.run.dir={started[-1]}" if started else stop.folder_argument
    if not argument or any(each.startswith(argument.partition("=")[0]) for each in sys.argv[1:]):
        return f"{stop}; to go on: {command}"
    (folder,) = quote_paths([argument])
    if started and not (started[-1] / "config.yaml").exists():
        return f"{stop} before the training began; to begin again: {command}"
    command += f" {in_shell(folder)}"
    if started and not (started[-1] / ".hydra" / "overrides.yaml").exists():
        return f"{stop}; to go on: {command}"  # with hydra.output_subdir=null nothing was saved
    return f"{stop}; to go on: python train.py resume=latest, or {command}"


def main() -> int:
    """Run the command line; returns the exit status."""
    show_every_line()
    try:
        for argument in sys.argv[1:]:
            key, equals, value = argument.partition("=")
            require_text(key if equals else "the command line", value if equals else key)
        sys.argv[1:] = flags_first(quote_paths(latest_arguments(sys.argv[1:])))
    except InputError as error:
        print(on_terminal(str(error)), file=sys.stderr)  # noqa: T201
        return 1
    # Python 3.14 looks into each help as it is added, and one of Hydra's is no text.
    if hasattr(ArgumentParser, "_check_help"):
        ArgumentParser._check_help = lambda *_: None
    let_waiting_threads_sleep()
    forget_launcher()
    logging.raiseExceptions = False  # a log on a full disk would print a traceback a line
    threading.excepthook = _forget_full_disks
    # Hydra's own handler prints a traceback for a folder that can't be written.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        require_text("the working directory", str(Path.cwd()))
        with stop_on_signals():
            _run()
    except Stopped as stop:
        print(_how_to_go_on(stop), file=sys.stderr)  # noqa: T201
        return stop.exit_status
    except FailedCellsError:
        return 1
    except ElsewhereError as unfinished:
        return unfinished.exit_status
    except (InputError, DriveError) as error:
        sentence = str(error)
    except (HydraException, OmegaConfBaseException) as error:
        sentence = hydra_sentence(error)
    except OSError as error:
        sentence = file_sentence(error, "the output folder")
    except ValueError as error:
        if isinstance(error, UnicodeDecodeError) and (file := _file_of_hydra(error)):
            sentence = f"{file}: expected UTF-8, received another encoding ({error})"
        elif _is_fault(error):
            raise
        else:
            sentence = str(error)  # Hydra's message for a number in place of a group
    else:
        return 1 if failures else 0
    print(on_terminal(sentence), file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    show_every_line()
    outlive_terminal()
    end_without_collecting()
    status = main()
    if status > 128:  # stopped: all files are written, and the end of torch takes a second
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
