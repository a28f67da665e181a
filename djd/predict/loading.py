"""The models that a person names: files, or folders of runs and sweeps."""

import json
from collections.abc import Collection, Iterable
from pathlib import Path

from djd.data.scan import ScanFiles
from djd.data.scan_files import find_scans
from djd.errors import InputError
from djd.files import as_stored, is_there, read_bytes
from djd.models.model import Model, read_model
from djd.predict.grading import Grader
from djd.runs.folder import CONFIG_NAME, MODEL_NAME, RESULT_NAME, WINNER
from djd.runs.result import RunResult
from djd.sweeps.folder import COMPARISON_NAME


def load_model(path: Path | str, *more: Path | str, trust: Collection[str] = ()) -> Grader:
    """Load a model, or several that grade together by the mean of their probabilities.

    Args:
        path: A model file; or the folder of a run or a sweep, whose winner is meant.
        *more: Further models.
        trust: Modules of a person's own networks and losses, whose code may be run.

    Raises:
        InputError: See `read_model`; or a folder has no model, or models can't grade together.
        DriveError: The drive failed.
    """
    return Grader.of([_loaded(each, trust) for each in (path, *more)])


def _loaded(path: Path | str, trust: Collection[str]) -> Model:
    return read_model(find_model(Path(path)), (trust,) if isinstance(trust, str) else trust)


def find_model(place: Path) -> Path:
    """The model file of a folder of a run, a refit or a sweep; a file itself.

    Raises:
        InputError: The folder has no model.
    """
    place = as_stored(place)
    if not place.is_dir() or is_there(place / MODEL_NAME):
        return place / MODEL_NAME if place.is_dir() else place
    if is_there(place / COMPARISON_NAME) or is_there(place / RESULT_NAME):
        return _of_winner(place / WINNER / _winner(place))
    received = "a run that is not finished" if is_there(place / CONFIG_NAME) else "another one"
    raise _expected(place, received)


def _winner(folder: Path) -> str:
    """The name of the folder of the refit that is meant by a run or sweep."""
    result = folder / RESULT_NAME
    if not is_there(folder / COMPARISON_NAME):
        run = RunResult.load(result)
        if not run.test:
            raise _expected(folder, "a run that has no refit on all development patients")
        return run.setting
    if not is_there(result):
        raise _expected(
            folder,
            f"a comparison that has no winner yet (or a cell failed): end it, or name a "
            f"{MODEL_NAME} below {WINNER}/",
        )
    try:
        winner = json.loads(read_bytes(result))["winner"]
        name = Path(winner).name if winner else None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{result}: expected the ranking of a comparison, received a damaged file"
        ) from error
    if name is None:
        raise _expected(folder, "a comparison without a winner (test=never)")
    return name


def _of_winner(refit: Path) -> Path:
    if not is_there(refit / MODEL_NAME) and next(refit.glob("model-*.ckpt"), None):
        raise _expected(refit, "one of an earlier version of djd: train the setting again")
    return refit / MODEL_NAME


def _expected(folder: Path, received: str) -> InputError:
    return InputError(
        f"{folder}: expected a model file, or the folder of a run or comparison with a winner, "
        f"received {received}"
    )


def find_sources(places: Iterable[Path]) -> list[ScanFiles]:
    """Scans in files and folders; those of a folder in order of name. Files need not be there.

    Raises:
        InputError: A folder holds no scan.
    """
    found: list[ScanFiles] = []
    for place in map(as_stored, places):
        found += find_scans(place) if place.is_dir() else [ScanFiles.of(place)]
    return found
