"""What a cell's pictures cost: milliseconds and bytes of each, and of all.

    python bench/pictures.py

Cells of the base setting on the default phantom, three epochs each and all of them scored, one
after another in this process; the first one, which finds fonts, doesn't count. Of each picture: the
median time of a processor from its arrays to its bytes, and what it has in TensorBoard's events or
in `figures/`. Held against the same cell with `plots=false`. matplotlib's import is left out.

2026-11-25, two-core x86-64 with one other busy process, depth 2, one thread:

    1 x crops/train: 79 ms, 53 kB each
    3 x confusion/validation: 63 ms, 9 kB each
    1 x reliability/validation: 48 ms, 6 kB each
    1 x mistakes/validation: 71 ms, 35 kB each
    1 x figures/curves.png: 88 ms, 13 kB each
    drawing: 0.47 s a cell
    disk beside weights: 0.20 MB a cell, 0.06 without pictures
    100 cells: 20 MB

On the same machine in the same hour a confusion matrix that constrained layout placed, 660 pixels
wide, took 183 ms and 63 kB, learning curves 265 ms and 198 kB, a sheet of 20 crops 206 ms and
426 kB: without reliability diagrams and mistakes 1.2 s a cell. What is left is a millisecond for
each line of text.
"""

import gc
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import djd.runs.callbacks.pictures as pictures
import djd.runs.train as training

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # train.py and bench are no parts of the package

from bench.cells import bytes_beside_weights, train_cell  # noqa: E402

CELLS = 7
COMPARED_CELLS = 100
FIXED = ("trainer.max_epochs=3", "score_epochs=[1,2,3]", "trainer.accelerator=cpu")

BUILDERS = ("training_sheet", "confusion_figure", "reliability_figure", "mistakes_sheet")
"""What makes the figures of `djd.runs.callbacks.pictures`; `add_picture` turns them into bytes."""


class Stopwatch:
    """Sums the processor's time from a picture's arrays to its bytes, by the picture's name."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self._building = 0.0

    def building(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function; its time belongs to the picture that is kept next."""

        @wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.process_time()
            made = function(*arguments, **named)
            self._building += time.process_time() - began
            return made

        return timed

    def keeping(self, function: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        """The same function; with its call the picture is done."""

        @wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.process_time()
            kept = function(*arguments, **named)
            seconds = time.process_time() - began + self._building
            self.seconds[name(*arguments)].append(seconds)
            self._building = 0.0
            return kept

        return timed


def watch() -> Stopwatch:
    """Time every picture of this process from now on."""
    clock = Stopwatch()
    for module, names in ((pictures, BUILDERS), (training, ("curves_figure",))):
        for name in names:
            setattr(module, name, clock.building(getattr(module, name)))
    vars(pictures)["add_picture"] = clock.keeping(pictures.add_picture, lambda _, tag, *rest: tag)
    vars(training)["save_figure"] = clock.keeping(
        vars(training)["save_figure"], lambda _, path, **_named: f"figures/{path.name}"
    )
    return clock


def bytes_of(folder: Path) -> dict[str, list[int]]:
    """Of each picture of a cell."""
    events = EventAccumulator(str(folder), {"images": 0})
    events.Reload()
    sizes = {
        tag: [len(image.encoded_image_string) for image in events.Images(tag)]
        for tag in events.Tags()["images"]
    }
    return sizes | {f"figures/{p.name}": [p.stat().st_size] for p in folder.glob("figures/*")}


def main() -> None:
    """Print a line a picture, then the totals."""
    clock = watch()
    with tempfile.TemporaryDirectory() as place:
        folders = [Path(place) / str(index) for index in range(CELLS + 1)]
        for folder in folders:
            train_cell(folder, FIXED)
            if folder == folders[0]:
                clock.seconds.clear()
                gc.freeze()  # as the fork server does: nothing imported is garbage
        train_cell(Path(place) / "plain", [*FIXED, "plots=false"])
        sizes = bytes_of(folders[-1])
        whole, plain = map(bytes_beside_weights, (folders[-1], Path(place) / "plain"))
    a_cell = 0.0
    for name, seconds in clock.seconds.items():
        median, times = statistics.median(seconds), len(seconds) // CELLS
        a_cell += times * median
        kilobytes = statistics.mean(sizes[name]) / 1e3
        print(f"    {times} x {name}: {1e3 * median:.0f} ms, {kilobytes:.0f} kB each")
    print(f"    drawing: {a_cell:.2f} s a cell")
    print(
        f"    disk beside weights: {whole / 1e6:.2f} MB a cell, {plain / 1e6:.2f} without pictures"
    )
    print(f"    {COMPARED_CELLS} cells: {COMPARED_CELLS * whole / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
