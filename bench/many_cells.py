"""Invent the folder of a sweep of 10,000 finished cells, and time what is done with it.

    python bench/many_cells.py FOLDER                          # 2,000 settings on five folds
    python bench/many_cells.py FOLDER --folds 1                # 10,000 settings on one fold
    python bench/many_cells.py FOLDER --score-epochs 1,2       # three score epochs a cell
    python bench/many_cells.py FOLDER --failed 20 --missing 20 --only report

One real cell a fold is trained, tiny, and copied with other axes, predictions, scores and events,
so that every file is there that a real cell leaves. FOLDER is filled once and used again. Prints
for each command its seconds, those of a core, and the largest memory of a process: `dry_run=true`,
the same command again with everything finished, `djd report`; and what TensorBoard takes, with its
data server and without.

2,000 settings on five folds, two cores of an Intel Xeon (AVX-512), quiet, 2026-11-30.
Earlier code took 242 s and 3.6 GB for the command again, and 177 s of a core for a report, beside
other work:

    dry run: 12 s, 0.7 GB
    again: 60 s with its report, 1.4 GB; comparison.json isn't written
    djd report: 48 s, 1.4 GB; of 10,000 settings on one fold 87 s, 2.5 GB (108 s in threads)
    comparison.json 0.96 MB, report.html 1.1 MB, cells.csv 3.7 MB
    TensorBoard, data server: all rows after 11 s, 2.8 GB, with its files in the system's cache
    TensorBoard, load_fast=false: all rows after 446 s, 7.1 GB
    beside other work, data server: all rows after 67 s; without pictures after 15 s, 1.1 GB
"""

import argparse
import csv
import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # bench is no part of the package

DJD = "import sys; from djd.cli import main; sys.exit(main())"

FAILED = "the cell failed on purpose"

AXES = {
    5: {
        "model.depth": "1,2,3,4",
        "data.batch_size": "8,16,32,64,128",
        "optim.lr_times": "0.1,0.2,0.3,0.5,1,2,3,5,10,20",
        "model.width": "2,3,4,5,6,7,8,9,10,11",
    },
    1: {
        "model.depth": "1,2,3,4,5",
        "data.batch_size": "4,8,16,24,32,48,64,128",
        "optim.lr_times": ",".join(f"{0.1 * 1.2**step:.3g}" for step in range(25)),
        "model.width": "2,3,4,5,6,7,8,9,10,11",
    },
}
"""By the number of folds, axes that make 10,000 cells."""


def command(arguments: argparse.Namespace, axes: Mapping[str, str], folder: Path) -> list[str]:
    """Arguments of `train.py`."""
    folds = ",".join(map(str, range(arguments.folds)))
    return [
        "-m",
        "recipe=none",
        "trainer.max_epochs=3",
        f"score_epochs=[{arguments.score_epochs}]",
        "test=never",
        *(f"{key}={values}" for key, values in axes.items()),
        f"data.fold={folds}",
        f"hydra.sweep.dir={folder}",
    ]


def main() -> None:
    """Invent the folder if need be, then time the commands."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--folds", type=int, choices=sorted(AXES), default=5)
    parser.add_argument("--score-epochs", default="")
    parser.add_argument("--failed", type=int, default=0)
    parser.add_argument("--missing", type=int, default=0)
    parser.add_argument("--only", choices=["invent", "dry_run", "again", "report", "tensorboard"])
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    typed = command(arguments, AXES[arguments.folds], folder)
    if not folder.exists():
        template = folder.with_name(f"{folder.name}-template")
        invent(arguments, typed, folder, template)
    if arguments.only in (None, "dry_run"):
        timed("dry run", [sys.executable, str(ROOT / "train.py"), *typed, "dry_run=true"])
    if arguments.only in (None, "again"):
        timed("again", [sys.executable, str(ROOT / "train.py"), *typed])
    if arguments.only in (None, "report"):
        timed("report", [sys.executable, "-c", DJD, "report", str(folder)])
    if arguments.only in (None, "tensorboard"):
        runs = len(list(folder.glob("*fold=*/**/*tfevents*")))
        for slowly in (False, True):
            look_at_tensorboard(folder, runs=runs, slowly=slowly)
    for name in ("comparison.json", "report.html", "settings.csv", "cells.csv", "settings.tex"):
        if (folder / name).exists():
            print(f"{name}: {(folder / name).stat().st_size / 1e6:.2f} MB")


def timed(what: str, line: Sequence[str]) -> None:
    """Run a command; print its seconds and memory, and its last words if it fails."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    of_core = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    largest = after.ru_maxrss / 1024
    print(
        f"{what}: {seconds:.1f} s, {of_core:.1f} s of a core, at most {largest:.0f} MB so far",
        flush=True,
    )
    if done.returncode:
        print(f"{what} ended with status {done.returncode}: {(done.stdout + done.stderr)[-1500:]}")


def look_at_tensorboard(
    folder: Path, *, runs: int, slowly: bool = False, seconds: int = 1200
) -> None:
    """Print when TensorBoard has so many runs in the rows of its HParams tab, and its memory."""
    with tempfile.TemporaryDirectory() as place:
        log = Path(place, "log")
        line = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--port", "0"]
        line += ["--load_fast=false"] if slowly else []
        began = time.perf_counter()
        with log.open("wb") as said:
            server = subprocess.Popen(line, stdout=said, stderr=said, start_new_session=True)
        try:
            while not (found := re.search(r"at (http://\S+?)/ ", log.read_text())):
                time.sleep(0.5)
            columns = {"sliceSize": 10**6, "allowedStatuses": ["STATUS_SUCCESS"]}
            sessions, ended = -1, began + seconds
            while sessions < runs and time.perf_counter() < ended:
                time.sleep(5)
                shown = len(asked(f"{found[1]}/data/runs")[0])
                address, body = (
                    f"{found[1]}/data/plugin/hparams/session_groups",
                    json.dumps(columns),
                )
                answer, took = asked(address, body.encode())
                groups = answer.get("sessionGroups", [])
                sessions = sum(len(each["sessions"]) for each in groups)
                print(
                    f"TensorBoard after {time.perf_counter() - began:.0f} s: {shown} runs, "
                    f"{sessions} of them in {len(groups)} rows of HParams ({took:.1f} s), "
                    f"{memory(server.pid)}",
                    flush=True,
                )
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()


def asked(address: str, body: bytes | None = None) -> tuple[Any, float]:
    """The answer to a request, and its seconds."""
    began = time.perf_counter()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.loads(answer.read()), time.perf_counter() - began


def memory(group: int) -> str:
    """Resident memory and time of all processes of a group."""
    kilobytes, ticks = 0, 0
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                kilobytes += int(fields[21]) * os.sysconf("SC_PAGE_SIZE") // 1024
                ticks += int(fields[11]) + int(fields[12])
    return f"{kilobytes / 1024:.0f} MB, {ticks / os.sysconf('SC_CLK_TCK'):.0f} s of a core"


def invent(
    arguments: argparse.Namespace, typed: Sequence[str], folder: Path, template: Path
) -> None:
    """Leave all cells of a command as if they were trained."""
    from djd.runs.folder import ERROR_NAME
    from djd.sweeps.folder import leave_hparam_columns, plan_and_save, read_plan

    began = time.perf_counter()
    if not template.exists():
        first = {key: values.partition(",")[0] for key, values in AXES[arguments.folds].items()}
        line = [*command(arguments, first, template), "keep=none"]
        subprocess.run([sys.executable, str(ROOT / "train.py"), *line], check=True)
    cells = composed([each for each in typed[1:] if not each.startswith("hydra.")])
    digest = read_plan(template).cohort_digest
    _, placed = plan_and_save(folder, cells, digest=digest, arguments=typed)
    leave_hparam_columns(folder, placed)
    below = {json.loads((path / "result.json").read_text())["config"]["data"]["fold"]: path
             for path in template.iterdir() if (path / "result.json").exists()}  # fmt: skip
    templates = {fold: _Template(path) for fold, path in below.items()}
    chosen = np.random.default_rng(0).permutation(len(placed))
    failed = set(chosen[: arguments.failed].tolist())
    missing = set(chosen[arguments.failed :][: arguments.missing].tolist())
    for number, cell in enumerate(placed):
        if number not in missing:
            templates[cell.config.data.fold].leave(cell.folder, cell.config, number)
        if number in failed:
            (cell.folder / "result.json").unlink()
            (cell.folder / ERROR_NAME).write_text(f"RuntimeError: {FAILED}\n")
    for each in (*template.glob("*.json"), *template.glob("*.csv"), *template.glob("*.npz")):
        if each.name not in ("comparison.json", "result.json"):
            shutil.copy(each, folder)
    print(f"invented {len(placed)} cells in {time.perf_counter() - began:.0f} s", flush=True)


def composed(overrides: Sequence[str]) -> list[Any]:
    """The cells of a command, as the sweeper composes them."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode

    import train
    from hydra_plugins.djd._axes import read_axes
    from hydra_plugins.djd._composing import CellComposer

    with initialize_config_dir(train.CONF, version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("config", ["recipe=none"], run_mode=RunMode.MULTIRUN)
        return CellComposer(loader, master, read_axes({}, overrides, loader)).cells()


class _Template:
    """A real cell, and copies of it with other numbers."""

    def __init__(self, folder: Path) -> None:
        from djd.runs.config import read_config

        self.folder = folder
        self.result = json.loads((folder / "result.json").read_text())
        self.config = read_config(self.result["config"])
        with (folder / "predictions.csv").open(newline="", encoding="utf-8-sig") as file:
            self.head, *rows = csv.reader(file)
        self.by_epoch: dict[int, list[list[str]]] = {}
        for row in rows:
            self.by_epoch.setdefault(int(row[self.head.index("epoch")]), []).append(row)
        self.same = [
            path.relative_to(folder)
            for path in folder.rglob("*")
            if path.is_file() and "tfevents" not in path.name
            if path.name not in ("result.json", "predictions.csv", "config.yaml", ".lock")
        ]
        self.events = {
            path.relative_to(folder): list(_records(path.read_bytes()))
            for path in folder.rglob("*tfevents*")
        }

    def leave(self, folder: Path, config: Any, number: int) -> None:
        """Leave a cell; the number seeds what its network guesses."""
        plain = config.plain() | {"kind": "cell"}
        for below in self.same:
            (folder / below).parent.mkdir(parents=True, exist_ok=True)
            os.link(self.folder / below, folder / below)
        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        (folder / "config.yaml").write_text(yaml.dump(plain, Dumper=dumper, sort_keys=False))
        text, parts = self._predictions(number)
        (folder / "predictions.csv").write_text(text, encoding="utf-8-sig", newline="")
        result = self.result | {
            "setting": config.setting_name,
            "config": plain,
            "validation": parts,
            "fit_seconds": round(2 + number % 7 / 10, 3),
        }
        (folder / "result.json").write_text(json.dumps(result, indent=1))
        for below, records in self.events.items():
            (folder / below).parent.mkdir(exist_ok=True)
            epoch = below.parent.name.partition("=")[2]
            events = self._events(records, config, folder, int(epoch or 3), parts)
            (folder / below).write_bytes(events)

    def _predictions(self, number: int) -> tuple[str, list[dict[str, Any]]]:
        from djd.statistics.metrics import confusion_counts, score_table

        generator = np.random.default_rng(number)
        skill = 0.3 + 0.4 * generator.random()
        out = io.StringIO(newline="")
        writer = csv.writer(out)
        writer.writerow(self.head)
        parts = []
        place = self.head.index("p0")
        for before in self.result["validation"]:
            rows = self.by_epoch[before["epoch"]]
            grades = np.array([int(row[3]) for row in rows])
            chances = _chances(generator, grades, skill)
            predicted = chances.argmax(axis=1)
            counts = confusion_counts(grades, predicted)
            for row, given, each in zip(rows, predicted, chances, strict=True):
                sides = row[:4], [f"{chance:.8f}" for chance in each], row[place + 5 :]
                writer.writerow([*sides[0], int(given), *sides[1], *sides[2]])
            scores = before["scores"] | score_table(counts)
            scores = {key: None if value != value else value for key, value in scores.items()}
            parts.append(before | {"confusion": counts.tolist(), "scores": scores})
        return out.getvalue(), parts

    def _events(
        self,
        records: Sequence[bytes],
        config: Any,
        folder: Path,
        epochs: int,
        parts: Sequence[Mapping[str, Any]],
    ) -> bytes:
        """The records with this cell's hyperparameters and last scores."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.plugins.hparams import metadata
        from tensorboard.summary.writer.record_writer import RecordWriter

        from djd.runs.callbacks.hparams import Sessions, session_summaries

        training = Sessions(config, folder, self.result["fingerprint"], "PHANTOM: invented")
        start, _ = session_summaries(training, epochs)
        scores = next(each["scores"] for each in parts if each["epoch"] == epochs)
        last = (epochs, "validation", "simple_value")
        content = io.BytesIO()
        writer = RecordWriter(content)
        for record in records:
            if len(record) > 4096:  # pictures stay as they are
                writer.write(record)
                continue
            event = Event.FromString(record)
            for value in event.summary.value:
                name, _, part = value.tag.partition("/")
                if value.tag == metadata.SESSION_START_INFO_TAG:
                    value.CopyFrom(start.value[0])
                elif (event.step, part, value.WhichOneof("value")) == last and scores.get(name):
                    value.simple_value = scores[name]
            writer.write(event.SerializeToString())
        return content.getvalue()


def _chances(
    generator: np.random.Generator, grades: NDArray[np.int64], skill: float
) -> NDArray[np.float64]:
    """Probabilities that a network of some skill might give."""
    logits = generator.normal(size=(len(grades), 5)) + 3 * skill * np.eye(5)[grades]
    raised = np.exp(logits)
    chances: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return chances


def _records(data: bytes) -> Iterator[bytes]:
    """Records of an event file: length, its checksum, content, its checksum."""
    place = 0
    while place < len(data):
        length = int.from_bytes(data[place : place + 8], "little")
        yield data[place + 12 : place + 12 + length]
        place += length + 16


if __name__ == "__main__":
    main()
