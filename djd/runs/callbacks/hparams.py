"""What TensorBoard's HParams tab shows: a row for each setting after each number of epochs.

Its words: a group is a row, a session a training that is averaged into it. A session is a run
with a record of its hyperparameters, and its scores are the last values of the run's scalars. So a
training's own run is the session of its last epoch, and each earlier score epoch has a small run
below it. TensorBoard takes the first record of a run and never another, so a record is written
when the scores are there and not before; Lightning's own, which comes first, would leave
`hp_metric -1`.
"""

import hashlib
import io
import json
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import metadata, plugin_data_pb2
from tensorboard.plugins.hparams.api_pb2 import STATUS_SUCCESS
from tensorboard.plugins.hparams.summary_v2 import (
    Discrete,
    HParam,
    Metric,
    RealInterval,
    hparams_config_pb,
    hparams_pb,
)
from tensorboard.summary.writer.record_writer import RecordWriter

from djd.files import write_whole
from djd.runs.config import NEUTRAL, RunConfig
from djd.runs.keys import NUMBERLESS_KEYS, REPEAT_KEYS

HParamValue = bool | int | float | str

EPOCHS_KEY = "epochs"

TENSORBOARD = "tensorboard"
"""The option of `logger` that this module writes for."""

HPARAM_METRICS = {
    "kappa": "kappa",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "mae": "MAE",
    "recall_minimal": "minimal recall",
}
"""The scores of a row by their names in `score_table`; TensorBoard ticks the first five."""

MOST_BOXES = 9
"""Values of a hyperparameter that TensorBoard offers as boxes to tick; of more numbers it makes a
search in text, which then fails on a number."""

_NOT_SHOWN = NUMBERLESS_KEYS | {*REPEAT_KEYS}

EVENTS_PREFIX = "events.out.tfevents."
"""TensorBoard reads files that are called so."""

WHOLE_EVENTS_NAME = f"{EVENTS_PREFIX}0.djd"
"""A file that is written in one step, in place of what an earlier start wrote. It sorts before the
growing one of a training: TensorBoard without its data server reads one after the other."""


def main_hparams(config: RunConfig) -> dict[str, HParamValue]:
    """Hyperparameters that every row shows, whatever is compared; epochs apart."""
    depth = config.by_key().get("model.depth")
    return {
        **{group: name for group, name in config.choices.items() if NEUTRAL.get(group) != name},
        **({} if depth is None else {"model.depth": depth}),
        "learning_rate": config.optim.learning_rate,
        "data.batch_size": config.data.batch_size,
    }


def setting_hparams(config: RunConfig, epochs: int) -> dict[str, HParamValue]:
    """All that makes a setting by the key one types: numbers as numbers, lists as text.

    What is null is left out, as TensorBoard has no such value.

    Args:
        config: What is trained.
        epochs: How long.
    """
    values = main_hparams(config) | {EPOCHS_KEY: epochs}
    for key, value in config.by_key().items():
        if key not in _NOT_SHOWN and not key.endswith("._target_") and value is not None:
            plain = isinstance(value, bool | int | float | str)
            values[key] = value if plain else json.dumps(value)
    return values


@dataclass(frozen=True)
class Sessions:
    """A training as the HParams tab knows it: a session at each of its score epochs.

    Attributes:
        config: What is trained.
        folder: The training's, and so its run.
        fingerprint: Of the cohort.
        stamp: What has to stand on everything; see `RunConfig.stamp`.
    """

    config: RunConfig
    folder: Path
    fingerprint: str
    stamp: str | None


def group_name(training: Sessions, epochs: int) -> str:
    """What the row is called: the same for all folds and seeds of a setting beside each other.

    Other scans make another row. So does another comparison, so that a cell that two of them have
    doesn't count twice; it goes by its name, which survives a move.
    """
    hparams = setting_hparams(training.config, epochs)
    beside = training.folder.absolute().parent.name
    identity = json.dumps([training.fingerprint, beside, hparams], sort_keys=True)
    digest = hashlib.sha256(identity.encode()).hexdigest()[:6]
    stamps = [each.partition(":")[0] for each in (training.stamp or "").split(". ") if each]
    return " ".join([*stamps, training.config.setting_at(epochs), f"#{digest}"])


def session_summaries(training: Sessions, epochs: int) -> list[Summary]:
    """Records that make a run with scores a finished session of its setting's row."""
    group = group_name(training, epochs)
    start = hparams_pb(setting_hparams(training.config, epochs), trial_id=group)
    ended = plugin_data_pb2.HParamsPluginData(
        session_end_info=plugin_data_pb2.SessionEndInfo(status=STATUS_SUCCESS)
    )
    end = Summary()
    end.value.add(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(ended),
        tensor=metadata.NULL_TENSOR,
    )
    return [start, end]


def score_run(folder: Path, epochs: int) -> Path:
    """The run of an earlier score epoch, below that of its training."""
    return folder / f"{EPOCHS_KEY}={epochs}"


SCORE_RUNS = f"{EPOCHS_KEY}=*"
"""Pattern of what `score_run` gives."""


def write_score_run(training: Sessions, epochs: int, scalars: Mapping[str, float]) -> None:
    """Leave a session of its own for a score epoch before the last.

    Args:
        training: The training.
        epochs: The score epoch.
        scalars: Scores by tag.

    Raises:
        OSError: It can't be written.
    """
    shown = Summary()
    for tag, value in scalars.items():
        shown.value.add(tag=tag, simple_value=value)
    session = session_summaries(training, epochs)
    write_events(score_run(training.folder, epochs), [*session, shown], step=epochs)


def write_hparam_columns(
    folder: Path, values: Mapping[str, Iterable[HParamValue | None]], *, compared: Collection[str]
) -> None:
    """Tell TensorBoard which columns there are, and which of their values can be ticked.

    Without it there is a column for every scalar, and numbers can't be ticked. Of the records of
    several comparisons TensorBoard takes one, in no fixed order; their rows are all shown.

    Args:
        folder: Of a comparison or single run.
        values: Values of each hyperparameter that has a column.
        compared: Those with several values, which come first.
    """
    columns = [
        HParam(
            key,
            _domain({value for value in each if value is not None}),
            display_name=key.rpartition(".")[2],
        )
        for key, each in values.items()
    ]
    metrics = [
        Metric(f"{score}/validation", display_name=name) for score, name in HPARAM_METRICS.items()
    ]
    config = hparams_config_pb(columns, metrics)
    write_events(folder, [_with_compared_first(config, compared)], step=0)


def _domain(values: Collection[HParamValue | None]) -> Discrete | RealInterval:
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    if len(numbers) < len(values):
        return Discrete([str(value) for value in values], dtype=str)
    if all(isinstance(value, bool) for value in values):
        return Discrete(values, dtype=bool)
    if len(numbers) > MOST_BOXES:
        return RealInterval(min(numbers), max(numbers))
    return Discrete(numbers, dtype=float)


def _with_compared_first(config: Summary, compared: Collection[str]) -> Summary:
    """The record with its compared columns marked: TensorBoard sorts those to the front.

    `hparams_config_pb` has no word for it.
    """
    data = plugin_data_pb2.HParamsPluginData.FromString(
        config.value[0].metadata.plugin_data.content
    )
    for info in data.experiment.hparam_infos:
        info.differs = info.name in compared
    config.value[0].metadata.plugin_data.content = data.SerializeToString()
    return config


def write_run_columns(config: RunConfig, folder: Path) -> None:
    """Write the columns of a run by itself, where TensorBoard is among its loggers."""
    if TENSORBOARD in config.logger:
        values: dict[str, list[HParamValue]] = {
            key: [value] for key, value in main_hparams(config).items()
        }
        values[EPOCHS_KEY] = list(config.epochs_to_score)
        write_hparam_columns(folder, values, compared=[EPOCHS_KEY])


def write_events(folder: Path, summaries: Iterable[Summary], *, step: int) -> None:
    """Leave a run of TensorBoard in one step, whatever was there under `WHOLE_EVENTS_NAME`.

    Args:
        folder: The run; made where it isn't there.
        summaries: What it holds.
        step: At which all of them are shown.

    Raises:
        OSError: The file can't be written.
    """
    folder.mkdir(exist_ok=True)
    now = time.time()
    content = io.BytesIO()
    records = RecordWriter(content)
    records.write(Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
    for summary in summaries:
        records.write(Event(wall_time=now, step=step, summary=summary).SerializeToString())
    write_whole(folder / WHOLE_EVENTS_NAME, content.getvalue())


def forget_events(folder: Path, *, runs_below: str) -> None:
    """Remove the growing event files of an earlier training, and its runs below.

    TensorBoard would draw the two trainings as one zigzag.

    Args:
        folder: The training's.
        runs_below: Pattern of the names of folders in it that hold runs of their own.
    """
    for path in folder.glob(f"{EVENTS_PREFIX}*"):
        if path.name != WHOLE_EVENTS_NAME:
            path.unlink(missing_ok=True)
    for run in folder.glob(runs_below):
        (run / WHOLE_EVENTS_NAME).unlink(missing_ok=True)
        with suppress(OSError):  # it holds something that isn't ours
            run.rmdir()
