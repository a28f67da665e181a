"""TensorBoard's event files, written whole and taken away."""

import io
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from djd.files import write_whole

EVENTS_PREFIX = "events.out.tfevents."
"""TensorBoard reads files that are called so."""

WHOLE_EVENTS_NAME = f"{EVENTS_PREFIX}0.djd"
"""A file that is written in one step, in place of what an earlier start wrote. It sorts before the
growing one of a training: TensorBoard without its data server reads one after the other."""


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
