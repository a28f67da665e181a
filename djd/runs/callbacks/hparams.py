"""TensorBoard's HParams tab: a row for each setting after each number of epochs.

In the tab's words a row is a group, the average of sessions. A session is a run with a record of
hyperparameters; the last values of the run's scalars are its scores. So a training's own run is the
session of its last epoch, and each earlier score epoch has a small run below it. TensorBoard takes
only a run's first record, so a record is written with the scores; Lightning's own, earlier record
would leave `hp_metric -1`.
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

from djd.files import remove, write_whole
from djd.runs.config import RunConfig
from djd.runs.keys import NUMBERLESS_KEYS, REPEAT_KEYS

HParamValue = bool | int | float | str

EPOCHS_KEY = "epochs"

TENSORBOARD = "tensorboard"
"""The option of `logger`."""

HPARAM_METRICS = {
    "kappa": "kappa",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "mae": "MAE",
    "recall_minimal": "minimal recall",
}
"""Scores of a row by their names in `score_table`; TensorBoard ticks the first five."""

MOST_BOXES = 9
"""Largest number of boxes to tick; for more numbers TensorBoard's text search would fail."""

_NOT_SHOWN = NUMBERLESS_KEYS | {*REPEAT_KEYS}

EVENTS_PREFIX = "events.out.tfevents."
"""Start of the names of files that TensorBoard reads."""

WHOLE_EVENTS_NAME = f"{EVENTS_PREFIX}0.djd"
"""A file that is written at once, over an earlier one. Its name sorts before the growing file of a
training: TensorBoard without its data server reads the files in turn."""


def main_hparams(config: RunConfig) -> dict[str, HParamValue]:
    """Hyperparameters of every row, without the epochs."""
    depth = config.by_key().get("model.depth")
    return {
        **config.named_choices,
        **({} if depth is None else {"model.depth": depth}),
        "learning_rate": config.optim.learning_rate,
        "data.batch_size": config.data.batch_size,
    }


def setting_hparams(config: RunConfig, epochs: int) -> dict[str, HParamValue]:
    """All values of a setting by key: numbers as numbers, lists as text.

    Null values are left out, which TensorBoard doesn't have.
    """
    values = main_hparams(config) | {EPOCHS_KEY: epochs}
    for key, value in config.by_key().items():
        if key not in _NOT_SHOWN and not key.endswith("._target_") and value is not None:
            plain = isinstance(value, bool | int | float | str)
            values[key] = value if plain else json.dumps(value)
    return values


@dataclass(frozen=True)
class Sessions:
    """A training in the HParams tab: a session at each score epoch."""

    config: RunConfig
    folder: Path
    fingerprint: str
    stamp: str | None


def group_name(training: Sessions, epochs: int) -> str:
    """The name of a setting's row, the same for all folds and seeds of a comparison.

    Other scans make another row. Another comparison, by its folder's name, also does, so that a
    cell of two comparisons doesn't count twice.
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
    ended = plugin_data_pb2.SessionEndInfo(status=STATUS_SUCCESS)
    data = metadata.create_summary_metadata(
        plugin_data_pb2.HParamsPluginData(session_end_info=ended)
    )
    end = Summary()
    end.value.add(tag=metadata.SESSION_END_INFO_TAG, metadata=data, tensor=metadata.NULL_TENSOR)
    return [start, end]


SCORE_RUNS = f"{EPOCHS_KEY}=*"
"""Pattern of the folders of `write_score_run`."""


def write_score_run(training: Sessions, epochs: int, scalars: Mapping[str, float]) -> None:
    """Write a session of its own for a score epoch before the last, with scores by tag."""
    shown = Summary()
    for tag, value in scalars.items():
        shown.value.add(tag=tag, simple_value=value)
    session = session_summaries(training, epochs)
    write_events(training.folder / f"{EPOCHS_KEY}={epochs}", [*session, shown], step=epochs)


def write_hparam_columns(
    folder: Path, values: Mapping[str, Iterable[HParamValue | None]], *, compared: Collection[str]
) -> None:
    """Write the columns of a comparison or run, and the values to tick; `compared` come first.

    Without them there is a column for every scalar, and numbers can't be ticked. Of the records of
    several comparisons TensorBoard takes one, in no fixed order; all their rows are shown.
    """
    columns = [
        HParam(key, _domain({*each} - {None}), display_name=key.rpartition(".")[2])
        for key, each in values.items()
    ]
    metrics = [
        Metric(f"{score}/validation", display_name=name) for score, name in HPARAM_METRICS.items()
    ]
    config = hparams_config_pb(columns, metrics)
    # `hparams_config_pb` has no argument for the mark by which TensorBoard sorts columns.
    plugin = config.value[0].metadata.plugin_data
    data = plugin_data_pb2.HParamsPluginData.FromString(plugin.content)
    for info in data.experiment.hparam_infos:
        info.differs = info.name in compared
    plugin.content = data.SerializeToString()
    write_events(folder, [config], step=0)


def _domain(values: Collection[HParamValue | None]) -> Discrete | RealInterval:
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    if len(numbers) < len(values):
        return Discrete([str(value) for value in values], dtype=str)
    if all(isinstance(value, bool) for value in values):
        return Discrete(values, dtype=bool)
    if len(numbers) > MOST_BOXES:
        return RealInterval(min(numbers), max(numbers))
    return Discrete(numbers, dtype=float)


def write_run_columns(config: RunConfig, folder: Path) -> None:
    """Write the columns of a run by itself, if TensorBoard is a logger."""
    if TENSORBOARD in config.logger:
        values = {key: [value] for key, value in main_hparams(config).items()}
        values |= {EPOCHS_KEY: list(config.epochs_to_score)}
        write_hparam_columns(folder, values, compared=[EPOCHS_KEY])


def write_events(folder: Path, summaries: Iterable[Summary], *, step: int) -> None:
    """Write a whole run of TensorBoard as `WHOLE_EVENTS_NAME`, all at one step."""
    folder.mkdir(exist_ok=True)
    now = time.time()
    content = io.BytesIO()
    records = RecordWriter(content)
    records.write(Event(wall_time=now, file_version="brain.Event:2").SerializeToString())
    for summary in summaries:
        records.write(Event(wall_time=now, step=step, summary=summary).SerializeToString())
    write_whole(folder / WHOLE_EVENTS_NAME, content.getvalue())


def forget_events(folder: Path, *, runs_below: str) -> None:
    """Remove the growing event files of an earlier training, and its runs below, by a pattern.

    TensorBoard would plot the two trainings as one zigzag.
    """
    for path in folder.glob(f"{EVENTS_PREFIX}*"):
        if path.name != WHOLE_EVENTS_NAME:
            remove(path)
    for run in folder.glob(runs_below):
        remove(run / WHOLE_EVENTS_NAME)
        with suppress(OSError):  # the folder has other files
            run.rmdir()
