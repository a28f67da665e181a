"""The first minute as a newcomer has it: an empty home, an empty folder, `python train.py`.

    python bench/first_minute.py                     # a minute on two cores
    python bench/first_minute.py --as-avx2           # the processor taken for one without AVX-512
    python bench/first_minute.py --cores 1 --again   # on one core, and once more with a full cache
    python bench/first_minute.py trainer.max_epochs=2 test=never

Seconds from the command to its first line, to the cohort read, to the announcement of the training,
to the end of its first epoch, to the end of the last one, and to the prompt; then the forecast of
the announcement against the training as it was. Lines that a calm first run doesn't have (warnings,
whatever a library says) are repeated at the end.

2026-11-30, two-core x86-64, AVX-512, both cores to itself:

    first run, 2 cores: seconds from the command to
      the first line          0.8
      the cohort read        16.3
      the announcement       17.1
      the first epoch        17.3
      the last epoch         35.9
      the prompt             39.3
      forecast 22 s, training 18.8 s: 1.17 times that

With `--as-avx2` the first epoch ended after 17.4 s and the command after 49.5, with `--cores 1` the
first epoch after 30.2. The version before printed its first line after 29.9 s and ended its first
epoch after 30.4.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # bench is no part of the package

from bench.processors import PROCESSORS  # noqa: E402

KEPT = ("PATH", "LANG", "SYSTEMROOT", "TEMP", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
"""All else of the environment is left out, above all what names folders of caches."""

UNITS = {"second": 1, "seconds": 1, "minutes": 60, "hours": 3600}
NOISE = re.compile(r"warn|font|deprecat|traceback|error(?! )|tip:|gpu available", re.IGNORECASE)
LOOK_SECONDS = 0.01


@dataclass
class Minute:
    """Seconds after the command, by what had happened then; and what was printed."""

    reached: dict[str, float] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def reach(self, what: str, seconds: float) -> None:
        """Note the first time."""
        self.reached.setdefault(what, seconds)


def main() -> None:
    """Measure and print."""
    arguments = read_arguments()
    if arguments.cores:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
    with tempfile.TemporaryDirectory() as place:
        for name in ("first", *(["again"] if arguments.again else [])):
            print_minute(name, run(Path(place), arguments.settings, as_avx2=arguments.as_avx2))


def read_arguments() -> argparse.Namespace:
    """What is measured."""
    parser = argparse.ArgumentParser(description="The first minute of a newcomer.")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="of train.py")
    parser.add_argument("--as-avx2", action="store_true", help="as without AVX-512")
    parser.add_argument("--cores", type=int, help="that the command may use (Linux)")
    parser.add_argument("--again", action="store_true", help="a second run in the same home")
    return parser.parse_args()


def run(place: Path, settings: list[str], *, as_avx2: bool) -> Minute:
    """Run the command in a home below `place`."""
    home, folder = place / "home", Path(tempfile.mkdtemp(dir=place))
    home.mkdir(exist_ok=True)
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment |= {"HOME": str(home), "USERPROFILE": str(home), "LOCALAPPDATA": str(home)}
    environment |= PROCESSORS["avx2"] if as_avx2 else {}
    minute, began, ended = Minute(), time.perf_counter(), threading.Event()
    process = subprocess.Popen(
        [sys.executable, "-u", str(ROOT / "train.py"), *settings],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    )
    watch = threading.Thread(target=watch_epochs, args=(folder, minute, began, ended))
    watch.start()
    try:
        listen(process, minute, began)
    finally:
        ended.set()
        watch.join()
        process.kill()
    if process.wait():
        sys.exit("\n".join(minute.lines[-15:]))
    minute.reach("the prompt", time.perf_counter() - began)
    return minute


def listen(process: "subprocess.Popen[str]", minute: Minute, began: float) -> None:
    """Note the moments that lines show, until the process ends."""
    assert process.stdout
    for line in process.stdout:
        now = time.perf_counter() - began
        minute.lines.append(line.rstrip())
        minute.reach("the first line", now)
        if re.match(r"\d+ scans of ", line):
            minute.reach("the cohort read", now)
        elif line.startswith("Training "):
            minute.reach("the announcement", now)
        elif re.search(r"epoch (\d+) of \1\b", line):
            minute.reached["the last epoch"] = now
    process.wait()


def watch_epochs(folder: Path, minute: Minute, began: float, ended: threading.Event) -> None:
    """Note the end of the first epoch: a line is printed every tenth epoch alone."""
    while not ended.wait(LOOK_SECONDS):
        for path in folder.glob("outputs/*/metrics.csv"):
            if path.read_bytes().count(b"\n") > 1:
                minute.reach("the first epoch", time.perf_counter() - began)
                return


def print_minute(name: str, minute: Minute) -> None:
    """A line a moment, and the forecast."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{name} run, {cores} cores: seconds from the command to")
    for what, seconds in sorted(minute.reached.items(), key=lambda each: each[1]):
        print(f"  {what:20}{seconds:7.1f}")
    print(forecast_line(minute))
    for line in filter(NOISE.search, minute.lines):
        print(f"  printed: {line}")
    sys.stdout.flush()


def forecast_line(minute: Minute) -> str:
    """The forecast and the truth."""
    said = next((each for each in minute.lines if each.startswith("Training ")), "")
    found = re.search(r"about (?:(\d+(?:\.\d+)?)|a) (second|seconds|minutes|hours)\b", said)
    begin, end = (minute.reached.get(each) for each in ("the announcement", "the last epoch"))
    if not found or begin is None or end is None:
        return "  no forecast"
    expected, truth = float(found[1] or 1) * UNITS[found[2]], end - begin
    return f"  forecast {expected:.0f} s, training {truth:.1f} s: {expected / truth:.2f} times that"


if __name__ == "__main__":
    main()
