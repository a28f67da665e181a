"""Whether a folder holds what was asked for already."""

from pathlib import Path

from djd.resume_latest import RESULT_NAME
from djd.training.config import RunConfig, read_config
from djd.training.result import RunResult


def finished_result(folder: Path, config: RunConfig) -> RunResult | None:
    """The result of a finished training that was scored at every epoch of the configuration.

    Raises:
        InputError: The file is damaged.
    """
    if not (folder / RESULT_NAME).exists():
        return None
    result = RunResult.load(folder / RESULT_NAME)
    scored = read_config(result.config).epochs_to_score
    return result if set(config.epochs_to_score) <= set(scored) else None
