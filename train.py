"""Train knee-grade networks: `python train.py`, or `python train.py --help`."""

import logging
import os
import shlex
import sys
import threading
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
from platformdirs import user_cache_path

from djd.errors import FailedCellsError, InputError
from djd.machine import Stopped, let_waiting_threads_sleep, stop_on_signals
from djd.runs.command_line import flags_first, hydra_sentence, latest_arguments, quote_paths
from hydra_plugins.djd._composing import plain_values

if TYPE_CHECKING:
    from djd.runs.result import RunResult

OmegaConf.register_new_resolver("djd_cache", lambda: str(user_cache_path("djd")))
OmegaConf.register_new_resolver("djd_leak", lambda leak: "-LEAK" if leak else "")
OmegaConf.register_new_resolver("djd_sweep", lambda experiment: experiment or "sweep")

CONF = str(Path(__file__).parent / "conf")

failures: list[str] = []
"""Sentences of the runs that failed in this process, for its exit status."""

started: list[Path] = []
"""Folders of the runs that were started in this process, for the way to go on."""


@hydra.main(config_path=CONF, config_name="config", version_base="1.3")
def _run(cfg: DictConfig) -> float | None:
    """Train; the validation kappa at the end is what Hydra's own sweepers would maximize."""
    runtime = HydraConfig.get()
    folder = Path(runtime.runtime.output_dir)
    values = plain_values(cfg, runtime.runtime.choices, GlobalHydra.instance().config_loader())
    if runtime.mode == RunMode.MULTIRUN:
        result = _run_job(values, folder)
    else:
        result = _run_alone(values, folder)
    return result.validation[-1].scores["kappa"] if result and result.validation else None


def _run_alone(values: dict[str, Any], folder: Path) -> "RunResult | None":
    from djd.runs.config import read_config

    try:
        config = read_config(values)  # says a wrong value before torch and lightning are imported
        from djd.report.report import report_run
        from djd.runs.train import print_duration, train

        if config.dry_run:
            print_duration(config, folder)
            return None
        started.append(folder)
        if result := train(config, folder):
            report_run(config, folder, result)
        return result
    except InputError as error:
        _fail(str(error))
    except OSError as error:
        _fail(_sentence(error, folder))
    return None


def _run_job(values: dict[str, Any], folder: Path) -> "RunResult | None":
    """One training of a sweep; whatever happens to it, the reason stays in its folder.

    Our sweeper sets `kind`; a job of another sweeper is a cell that has failed for nobody yet.
    """
    from djd.runs.folder import failure_reason, record_loss

    ours = values["kind"] != "run"
    try:
        from djd.runs.config import read_config
        from djd.runs.train import print_duration, train

        config = read_config(values if ours else values | {"kind": "cell"})
        if config.dry_run:  # where another sweeper launches; ours launches nothing then
            print_duration(config, folder)
            return None
        return train(config, folder, retry_failed=not ours)
    except (Exception, SystemExit) as error:
        if isinstance(error, OSError):
            error = InputError(_sentence(error, folder))
        record_loss(folder, error)  # where it had not come as far as doing so itself
        reason = failure_reason(folder)
        if reason is None or not ours:  # it can't be written, or nobody would read it there
            raise InputError(f"{folder.name}: {reason or error or type(error).__name__}") from error
        _fail(f"{folder.name}: {reason}")
    return None


def _fail(sentence: str) -> None:
    """Say what went wrong, once: by the log where Hydra has set one up, else on stderr."""
    logging.getLogger("djd").error(sentence)
    failures.append(sentence)


def _sentence(error: OSError, place: Path | str) -> str:
    return f"{error.filename or place}: can't be read or written ({error.strerror or error})"


def _is_ours(error: Exception) -> bool:
    """Whether an error came out of this software, where it is a fault that keeps its traceback."""
    modules = (frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__))
    return any(name.partition(".")[0] in ("djd", "hydra_plugins") for name in modules)


def _forget_full_disks(failure: threading.ExceptHookArgs) -> None:
    """TensorBoard writes in a thread: what fails there is raised again by its next call."""
    if not issubclass(failure.exc_type, OSError):
        threading.__excepthook__(failure)


def _how_to_go_on(stop: Stopped) -> str:
    """What to type to go on with what was stopped; its folder stands in Hydra's own arguments."""
    command = shlex.join(["python", "train.py", *sys.argv[1:]])
    argument = stop.folder_argument
    if started:
        argument = f"hydra.run.dir={started[-1]}"
    if not argument or any(each.startswith(argument.partition("=")[0]) for each in sys.argv[1:]):
        return f"{stop}; to go on: {command}"
    (folder,) = quote_paths([argument])
    return f"{stop}; to go on: python train.py resume=latest, or {command} {shlex.quote(folder)}"


def main() -> int:
    """Run what the command line asks for; 0 where all of it worked."""
    try:
        sys.argv[1:] = flags_first(quote_paths(latest_arguments(sys.argv[1:])))
    except InputError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    let_waiting_threads_sleep()
    logging.raiseExceptions = False  # a log on a full disk would print a traceback a line
    threading.excepthook = _forget_full_disks
    # Hydra's own handler would print a traceback for a folder that can't be written.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        with stop_on_signals():
            _run()
    except Stopped as stop:
        print(_how_to_go_on(stop), file=sys.stderr)  # noqa: T201
        return stop.exit_status
    except FailedCellsError:
        return 1
    except InputError as error:
        sentence = str(error)
    except (HydraException, OmegaConfBaseException) as error:
        sentence = hydra_sentence(error)
    except OSError as error:
        sentence = _sentence(error, "the output folder")
    except ValueError as error:
        if _is_ours(error):
            raise
        sentence = str(error)  # what Hydra says of a group that is given a number
    else:
        return 1 if failures else 0
    print(sentence, file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    status = main()
    if status > 128:  # stopped: everything is written, and taking torch down takes another second
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
