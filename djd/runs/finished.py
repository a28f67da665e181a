"""Whether a folder holds what was asked for already."""

from pathlib import Path

from djd.errors import InputError
from djd.resume_latest import RESULT_NAME
from djd.runs.config import RunConfig, read_config
from djd.runs.result import RESULTS_VERSION, RunResult
from djd.runs.resume import NUMBERLESS_KEYS, differences, flat


def finished_result(folder: Path, config: RunConfig) -> RunResult | None:
    """The result of a training of this configuration, scored at every epoch that it names."""
    try:
        if not (folder / RESULT_NAME).exists():
            return None
        result = RunResult.load(folder / RESULT_NAME)
        before = read_config(result.config)
    except (InputError, OSError):  # damaged, or not to be read; training anew mends it
        return None
    if result.results_version != RESULTS_VERSION or not result.is_whole(before):
        return None
    if differences(flat(before.plain()), flat(config.plain()), free=NUMBERLESS_KEYS):
        return None
    return result if set(config.epochs_to_score) <= set(before.epochs_to_score) else None
