"""The folder of a run, cell or refit: names of its files, its lock, its failure, its contents."""

import json
import logging
import shutil
import time
import traceback
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from djd.data.split import PartSummary, PatientSplit
from djd.data.tables import Readings, read_second_reader
from djd.errors import DriveError, InputError, file_sentence
from djd.files import is_there, read_bytes, remove, write_whole
from djd.locks import holder_of, remove_lock, try_lock
from djd.markers import UNKNOWN, Holder, markers, silence, stale_after
from djd.runs.config import RunConfig, numberless_keys, read_config
from djd.runs.keys import FREE_KEYS, differences
from djd.runs.result import RESULTS_VERSION, RunResult
from djd.wording import in_words

CONFIG_NAME = "config.yaml"
SPLIT_NAME = "split.json"
LOG_NAME = "run.log"
ERROR_NAME = "error.txt"
METRICS_NAME = "metrics.csv"
PREDICTIONS_NAME = "predictions.csv"
RESULT_NAME = "result.json"
MODEL_NAME = "model.ckpt"
OUT_OF_FOLD_NAME = "out_of_fold.npz"
BLOCKS_NAME = "blocks.json"
SECOND_READER_NAME = "second_reader.csv"
LEDGER_NAME = "test_openings.jsonl"
LOGGERS_NAME = "loggers.json"

CHECKPOINTS = "checkpoints"
LAST_CHECKPOINT = f"{CHECKPOINTS}/last.ckpt"
BEST_CHECKPOINT = f"{CHECKPOINTS}/best.ckpt"

FIGURES = "figures"
VALIDATION_MATRIX = f"{FIGURES}/confusion-validation.png"
TEST_MATRIX = f"{FIGURES}/confusion-test.png"
CURVES = f"{FIGURES}/curves.png"

WINNER = "winner"
"""Folder of settings refitted on all development patients, below a run or sweep."""

LOCK_NAME = ".lock"

SECONDS_BETWEEN_LOOKS = 1.0
"""At a holder without heartbeats."""


def epoch_checkpoint(folder: Path, epoch: int) -> Path:
    """Weights of a training at a score epoch."""
    return folder / CHECKPOINTS / f"epoch={epoch:03d}.ckpt"


def lock(folder: Path) -> AbstractContextManager[bool]:
    """Try to hold the lock of an existing folder; yields whether it is held."""
    return try_lock(folder / LOCK_NAME)


def worker_in(folder: Path) -> Holder | None:
    """The process that works in the folder now, or None."""
    return holder_of(folder / LOCK_NAME)


def silence_in(folder: Path) -> float:
    """Seconds for which the worker, on another machine, has missed its heartbeats, or 0."""
    return max(map(silence, markers(folder / LOCK_NAME)), default=0.0)


def at_work(folder: Path) -> str:
    """Who works in the folder, for a sentence; and for how long they have given no sign of life."""
    who = str(worker_in(folder) or UNKNOWN)
    if seconds := silence_in(folder):
        since, until = in_words(seconds), in_words(stale_after())
        who += f" (no sign of life for {since}; void after {until}, see paths.stale_after)"
    return who


def wait_for_silent(folders: Sequence[Path]) -> bool:
    """Wait while holders on other machines miss their heartbeats; whether there were any.

    A living holder trains its cell to the end. A dead one loses it after `paths.stale_after`.
    """
    silent = [each for each in folders if is_locked(each) and silence_in(each)]
    for folder in silent:
        logging.getLogger("djd").warning("waiting for %s, held by %s", folder.name, at_work(folder))
    while silent and all(is_locked(each) and silence_in(each) for each in silent):
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return bool(silent)


def is_locked(folder: Path) -> bool:
    """Whether a process works in the folder now."""
    return worker_in(folder) is not None


def drop_lock(folder: Path) -> None:
    """Remove the lock of a finished training; a process that waits for it finds the result."""
    remove_lock(folder / LOCK_NAME)


def record_failure(folder: Path, error: BaseException | str) -> None:
    """Write the reason of a failure; a full disk is no second failure."""
    if isinstance(error, str | InputError | DriveError):
        reason = f"{error}\n"
    elif isinstance(error, OSError) and error.filename:
        reason = f"{file_sentence(error, folder)}\n"
    else:
        reason = "".join(traceback.format_exception(error))
    if isinstance(error, SystemExit):
        reason += f"the cell called sys.exit({error.code!r})\n"
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / ERROR_NAME, reason)


def record_loss(folder: Path, error: BaseException | str) -> None:
    """Write the reason of a loss, except for a training that runs, failed or has a result.

    The lock keeps other processes out, and by making its marker in the folder a machine forgets
    that a file was missing there: NFS believes that for up to a minute.
    """
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        with lock(folder) as held:
            if held and not ((folder / RESULT_NAME).exists() or (folder / ERROR_NAME).exists()):
                record_failure(folder, error)


def forget_failure(folder: Path) -> None:
    """Let a failed training be tried again; in a read-only folder the training fails again."""
    with suppress(OSError):
        remove(folder / ERROR_NAME)


def failure_reason(folder: Path) -> str | None:
    """The reason of a failure in one line; None where nothing failed."""
    try:
        lines = (folder / ERROR_NAME).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.strip() for line in reversed(lines) if line.strip()), "no reason was left")


# Built with libyaml, PyYAML reads 540 configurations in half a second instead of four.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def saved_config(folder: Path) -> RunConfig:
    """The configuration of a begun training; raises InputError for a damaged file."""
    path = folder / CONFIG_NAME
    try:
        return read_config(yaml.load(read_bytes(path).decode(), Loader=_LOADER))
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, InputError) as error:
        raise _damaged(path, "configuration") from error


def _damaged(path: Path, content: str) -> InputError:
    return InputError(
        f"{path}: expected the {content} of what was started there, received a damaged file; "
        "delete the folder to train it from the start"
    )


def require_unfinished(folder: Path) -> None:
    """Raise InputError where a folder holds a finished run."""
    if is_there(folder / RESULT_NAME):
        raise InputError(
            f"{folder}: expected a run's folder that is new or of a stopped run, received one that "
            f"is finished ({RESULT_NAME} is there); choose another hydra.run.dir"
        )


def require_same_config(
    config: RunConfig, folder: Path, *, free: Collection[str] = FREE_KEYS
) -> None:
    """Raise InputError where the folder's training can't go on with this configuration.

    An earlier version of the software began it, or keys differ that aren't `free`.
    """
    if not is_there(folder / CONFIG_NAME):
        return
    before = saved_config(folder)
    if "augment" not in before.choices:
        raise InputError(earlier_version(folder))
    if differences(before.by_key(), config.by_key(), free=free):
        was, now = ({**each.choices, **each.by_key()} for each in (before, config))
        changes = differences(was, now, free=free)
        raise InputError(
            f"{folder}: expected the run that was stopped there, received another one: it has "
            f"{changes}; say the same, or choose another folder (hydra.run.dir, hydra.sweep.dir)"
        )


def earlier_version(path: Path) -> str:
    """The sentence where a training in a folder, or of a file, can't go on with this version."""
    return (
        f"{path}: expected a training of this version, received one that an earlier version "
        "began, whose numbers come about in another way; choose another folder"
    )


def require_same_cohort(folder: Path, fingerprint: str) -> None:
    """Raise InputError where a stopped training had another fingerprint of its cohort."""
    path = folder / SPLIT_NAME
    if not is_there(path):
        return
    try:
        before = str(json.loads(read_bytes(path))["fingerprint"])
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, "split") from error
    if before != fingerprint:
        raise InputError(
            f"{folder}: expected the cohort of the run that was stopped there (fingerprint "
            f"{before}), received another one ({fingerprint}); choose another hydra.run.dir"
        )


def save_split(
    folder: Path, split: PatientSplit, parts: Mapping[str, PartSummary], *, fingerprint: str
) -> None:
    """Write the patients of each part and the cohort's fingerprint as JSON."""
    summaries = {part: asdict(who) for part, who in parts.items()}
    record = asdict(split) | {"parts": summaries, "fingerprint": fingerprint}
    write_whole(folder / SPLIT_NAME, json.dumps(record, indent=1, ensure_ascii=False))


def finished_result(
    folder: Path, config: RunConfig, *, version: int = RESULTS_VERSION
) -> RunResult | None:
    """The result of a training of this configuration, scored at each of its score epochs, or None.

    Its results_version must be `version`; a report of an older folder gives that folder's. Raises
    DriveError where the drive doesn't say: a finished training is not trained anew for that.
    """
    try:
        result = RunResult.load(folder / RESULT_NAME)
        before = read_config(result.config)
    except (InputError, OSError):  # a new training mends a missing or damaged file
        return None
    if result.results_version != version or not result.is_whole(before):
        return None
    if differences(before.by_key(), config.by_key(), free=numberless_keys(config)):
        return None
    return result if set(config.epochs_to_score) <= set(before.epochs_to_score) else None


def leave_no_false_start(folder: Path, there_before: Collection[Path]) -> None:
    """Remove the files of a failed training that left no checkpoint."""
    if any(folder.glob(f"**/{CHECKPOINTS}/*.ckpt")):  # members have folders of their own
        return
    for path in set(folder.iterdir()).difference(there_before, {folder / LOG_NAME}):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            remove(path)


def kept_readings(folder: Path) -> Readings | None:
    """A folder's grades of a second reader, or None; raises InputError for a damaged file."""
    path = folder / SECOND_READER_NAME
    return read_second_reader(path, known=None, key="second reader") if path.exists() else None


def begun_runs(folder: Path) -> dict[str, dict[str, Any]]:
    """`run` and `logger` (its file's values) of each begun logger; raises InputError if damaged."""
    path = folder / LOGGERS_NAME
    try:
        begun = json.loads(read_bytes(path)) if is_there(path) else {}
        return {str(option): dict(each) for option, each in begun.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(
            f"{path}: expected the runs that loggers have begun, received a damaged file; delete "
            "it to begin new ones"
        ) from error
