"""What a training takes of memory and time as patients grow, with their crops mapped.

    python bench/patients.py                           # 1,000, 10,000 and 100,000 patients
    python bench/patients.py --patients 100000 --share 0.1 --refit
    python bench/patients.py --together 4

Simulated patients (noise, the middle hotter by grade) are written straight as a kept cohort beside
empty scans, 131 kB a patient; in --folder they stay for the next call. Then each line is a cell in
a process of its own, on one thread, by the calls of a sweep: cohort out of the cache, split, one
epoch of a share of the training patients, validation, predictions, figures. "anon" is the most
memory of the process itself, "file" the most of mapped files that it touched, which the system
keeps once for all processes and gives back where memory is short; both beyond those of a process at
its start. "held" and "anew" are batches out of memory and those made when they are due. A cohort
that is small enough is trained both ways, in turn.

--refit fits all development patients, scores the test patients and writes the model file.
--together runs so many cells at a time on 2,000 patients and adds up their own memory.

2026-11-30, two cores of an Intel Xeon (AVX-512), quiet; one or two rounds a line:

    patients  recipe      batches  share  opened s  ms a step   epoch s  valid s  anon MB  file MB
       1,000  128 pixels  held         1       0.4         56       2.7      0.2      225      187
       1,000  128 pixels  anew         1       0.4         58       2.8      0.3      138      187
       1,000  default     held         1       0.4        9.5       0.9      0.1       74      190
       1,000  default     anew         1       0.5       10.6       1.0      0.1       55      190
      10,000  128 pixels  anew         1       5.1         59        30      2.4      147    1,367
      10,000  default     held         1       4.8       10.1        10      0.6      225    1,369
      10,000  default     anew         1       4.9       13.3        13      0.9       66    1,369
     100,000  128 pixels  anew       0.1        38         58        29       23      269   13,164
     100,000  default     anew         1        49       12.0       120      7.9      205   13,166

The kept cohort of 100,000 patients was written in 69 s (13.1 GB). Of 40 s of opening 100,000
patients, 17 check the mapped crops, 20 split the folds, the rest looks at every file.

Four cells at a time on 2,000 patients (262 MB of crops, 128 pixels, held): 1,485 MB of their own,
378 MB at most, and the mapped crops once for all.
"""

import argparse
import contextlib
import io
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from djd.data.cohort import Cohort
from djd.data.cohort_cache import cached_cohort
from djd.data.crop import CROP_SIZE, MOST_BYTES_IN_MEMORY, Pixels, Views, seen_bytes
from djd.data.scan_files import ScanFolder, find_scans
from djd.environment import let_waiting_threads_sleep
from djd.grades import GRADE_COUNT
from djd.sweeps.processes import Ending, Watcher, run_in_processes

PATIENTS = (1_000, 10_000, 100_000)
TOGETHER_PATIENTS = 2_000
MOST_COUNTS = 40
"""Of a pixel of noise."""

KINDS = ("RssAnon", "RssFile")
SAMPLE_SECONDS = 0.05
RECIPES: dict[str, tuple[str, ...]] = {"128 pixels": ("recipe=none",), "default": ()}
SEEN: dict[str, tuple[Views, Pixels]] = {"128 pixels": ("anterior", 128), "default": ("each", 32)}
"""What networks of these recipes see."""


@dataclass
class Course:
    """When a training reached its stages, in seconds, and its memory.

    Attributes:
        most: Peak bytes by kind, as in /proc/self/status.
        start: Those at the start.
    """

    opened: float = 0.0
    began: float = 0.0
    trained: float = 0.0
    validated: float = 0.0
    steps: int = 0
    most: dict[str, int] = field(default_factory=dict)
    start: dict[str, int] = field(default_factory=dict)


def memory() -> dict[str, int]:
    """Resident bytes of this process: its own (RssAnon), and of files that it maps (RssFile)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    pairs = [line.split(":") for line in lines if line.startswith(KINDS)]
    return {name: int(value.split()[0]) * 1024 for name, value in pairs}


@contextlib.contextmanager
def watched(course: Course) -> Iterator[None]:
    """Keep the most memory of each kind meanwhile."""
    over = threading.Event()
    course.start = course.most = memory()

    def watch() -> None:
        while not over.wait(SAMPLE_SECONDS):
            now = memory()
            course.most = {kind: max(now[kind], most) for kind, most in course.most.items()}

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def keep_cohort(place: Path, patients: int) -> tuple[Path, Path]:
    """Folders of empty scans and of the cache with their cohort, as an earlier call made them."""
    scans, cache = place / "scans", place / "cache"
    if cache.is_dir():
        return scans, cache
    began = time.perf_counter()
    scans.mkdir(parents=True)
    for number in range(1, patients + 1):
        (scans / f"{number:07d}.mat").touch()
    course = Course()
    with patch("djd.data.cohort_cache.examine_cohort", simulate), watched(course):
        cached_cohort(cache, find_scans(scans), placement="study", labels_from="auto")
    own = (course.most[KINDS[0]] - course.start[KINDS[0]]) / 1e6
    print(f"{patients:8,}  written in {time.perf_counter() - began:.0f} s, anon {own:,.0f} MB")
    return scans, cache


def simulate(folder: ScanFolder, *_: Any, rows: Any, **__: Any) -> tuple[Cohort, None]:
    """In place of reading scans: two knees a patient."""
    from djd.runs.rehearsal import simulated_cohort

    random = np.random.default_rng(0)
    grades = random.integers(0, GRADE_COUNT, 2 * len(folder))
    size = (2, CROP_SIZE, CROP_SIZE)
    for grade in grades.tolist():
        crop = random.integers(0, MOST_COUNTS, size, dtype=np.uint16)
        crop[:, 48:80, 48:80] += 5 * grade
        rows[0].add(crop)
    cohort = simulated_cohort(rows[0].all(), grades)
    names = tuple(folder.names)
    digests = dict.fromkeys(names, "0" * 64)
    return replace(
        cohort, root=folder.root, scans=names, patients=names, pixel_digests=digests
    ), None


def train_once(scans: Path, cache: Path, overrides: Sequence[str], kind: str, anew: bool) -> Course:
    """In a process of its own: train one cell, or one refit."""
    sys.path.insert(0, str(Path(__file__).parents[1]))  # train.py is no part of the package
    import train as command
    from djd.models.classifier import GradeClassifier
    from djd.runs.config import read_config
    from djd.runs.prepare import prepare
    from djd.runs.train import train
    from hydra_plugins.djd._composing import compose_values

    course, step, end = Course(), GradeClassifier.training_step, GradeClassifier._finish
    given = [*overrides, "data=mat", f"data.root='{scans}'", f"paths.cache='{cache}'"]
    given += ["trainer.max_epochs=1", "score_epochs=[1]", "trainer.accelerator=cpu"]
    given += ["trainer.threads=1", *(["data.fold=null"] if kind == "refit" else [])]
    config = read_config(compose_values(command.CONF, given) | {"kind": kind})

    def timed_step(self: GradeClassifier, batches: Any, index: int) -> None:
        course.began, course.steps = time.perf_counter(), len(batches)
        step(self, batches, index)
        course.trained = time.perf_counter()

    def timed_end(self: GradeClassifier, stage: Any) -> None:
        end(self, stage)
        if stage == "validation":
            course.validated = time.perf_counter()

    def timed_prepare(*arguments: Any) -> Any:
        began = time.perf_counter()
        prepared = prepare(*arguments)
        course.opened = time.perf_counter() - began
        return prepared

    with (
        tempfile.TemporaryDirectory() as place,
        patch.object(GradeClassifier, "training_step", timed_step),
        patch.object(GradeClassifier, "_finish", timed_end),
        patch("djd.runs.train.prepare", timed_prepare),
        patch("djd.data.datamodule.MOST_BYTES_IN_MEMORY", 0 if anew else MOST_BYTES_IN_MEMORY),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        watched(course),
    ):
        train(config, Path(place))
    return course


class Stop(Watcher):
    """Stops at the first process that fails."""

    def ended(self, index: int, ending: Ending) -> bool:
        """Whether to go on."""
        return not ending.reason


def courses_of(calls: Sequence[tuple[Any, ...]], at_once: int = 1) -> list[Course]:
    """What `train_once` gives of each call."""
    endings = run_in_processes(train_once, calls, at_once=at_once, watcher=Stop())
    for ending in endings:
        if ending is None or ending.reason:
            raise SystemExit(ending.reason if ending else "stopped")
    return [ending.value for ending in endings if ending]


HEAD = "patients  recipe      batches  opened s  ms a step   epoch s  valid s  anon MB  file MB"


def print_course(patients: int, recipe: str, batches: str, course: Course) -> None:
    """A line of the table."""
    seconds = course.trained - course.began
    validated = max(0.0, course.validated - course.trained)
    own, files = ((course.most[kind] - course.start[kind]) / 1e6 for kind in KINDS)
    print(
        f"{patients:8,}  {recipe:10}  {batches:7}  {course.opened:8.1f}  "
        f"{1e3 * seconds / course.steps:9.2f}  {seconds:8.1f}  {validated:7.1f}  "
        f"{own:7,.0f}  {files:7,.0f}",
        flush=True,
    )


def main() -> None:
    """Print the tables."""
    let_waiting_threads_sleep()
    parser = argparse.ArgumentParser(description="How a training grows with its patients.")
    parser.add_argument("--patients", type=int, nargs="*", default=PATIENTS)
    parser.add_argument("--recipe", choices=RECIPES, nargs="*", default=list(RECIPES))
    parser.add_argument("--share", type=float, default=1.0, help="of the training patients")
    parser.add_argument("--refit", action="store_true", help="refits in place of cells")
    parser.add_argument("--together", type=int, help="so many cells at a time, in place of it all")
    parser.add_argument("--folder", type=Path, help="where the cohorts stay")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = options.folder or Path(place)
        if options.together:
            print_together(root / str(TOGETHER_PATIENTS), options.together)
            return
        print(HEAD)
        for patients in options.patients:
            print_patients(root / str(patients), patients, options)


def print_patients(place: Path, patients: int, options: argparse.Namespace) -> None:
    """Lines of one cohort."""
    scans, cache = keep_cohort(place, patients)
    for name in options.recipe:
        overrides = (*RECIPES[name], f"data.share={options.share:g}")
        kind = "refit" if options.refit else "cell"
        is_large = seen_bytes(2 * patients, *SEEN[name]) > MOST_BYTES_IN_MEMORY
        for anew in (True,) if is_large else (False, True) * 2:
            (course,) = courses_of([(scans, cache, overrides, kind, anew)])
            print_course(patients, name, "anew" if anew else "held", course)


def print_together(root: Path, cells: int) -> None:
    """The memory of several cells at a time."""
    scans, cache = keep_cohort(root, TOGETHER_PATIENTS)
    call = (scans, cache, RECIPES["128 pixels"], "cell", False)
    courses = courses_of([call] * cells, at_once=cells)
    own = [course.most["RssAnon"] - course.start["RssAnon"] for course in courses]
    files = [course.most["RssFile"] - course.start["RssFile"] for course in courses]
    print(
        f"{cells} cells on {TOGETHER_PATIENTS:,} patients ({TOGETHER_PATIENTS * 131 / 1e3:,.0f} MB "
        f"of crops): {sum(own) / 1e6:,.0f} MB of their own, {max(own) / 1e6:,.0f} at most; mapped "
        f"files {max(files) / 1e6:,.0f} MB at most, once for all"
    )


if __name__ == "__main__":
    main()
