"""A network, loss, augmentation, optimizer, schedule and logger that the package doesn't know.

Everything is done as a person would do it, with the files and commands of `docs/extending.md`.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.ordinary_user import link, posix
from tests.runs.test_hparams import columns_of, session_of
from tests.sweeping import ROOT, rows_of

pytestmark = posix  # the page's commands are bash's

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")

FILES = re.findall(r"^`(own/\w+\.py)`.*?^```python\n(.*?)^```", PAGE, re.M | re.S)
"""Names and texts of the modules."""

COMMANDS = [
    text for kind, text in re.findall(r"^```(\w*)\n(.*?)^```", PAGE, re.M | re.S) if not kind
]
"""Blocks for a shell."""

DOORS = ("loss=mine", "augment=mine", "optim=mine", "logger=[tensorboard,mine]", "plots=true")


@dataclass(frozen=True)
class Own:
    """A person's folder outside of the package: `own` beside `multirun` and `outputs`."""

    folder: Path

    def environment(self, *python_path: Path) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(map(str, python_path)),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }

    def call(self, *arguments: str | Path, found: bool = True) -> subprocess.CompletedProcess[str]:
        """Python with some arguments; `found` says whether the modules are on its path."""
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment(*([self.folder / "own"] if found else []), ROOT),
            capture_output=True,
            text=True,
        )

    def train(self, *overrides: str, found: bool = True) -> subprocess.CompletedProcess[str]:
        known = ("--config-dir", "own/conf", "experiment=small")
        return self.call(ROOT / "train.py", *known, *overrides, found=found)


def begun(folder: Path, phantom_folder: Path) -> Own:
    """The page's modules and YAML files, and a cache that has the invented cohort."""
    own = Own(folder)
    (folder / "own").mkdir()
    for name, text in FILES:
        (folder / name).write_text(text)
    (folder / "cache" / "djd").mkdir(parents=True)
    link(folder / "cache" / "djd" / phantom_folder.name, phantom_folder)
    lines = "".join(COMMANDS).splitlines()
    files = [line for line in lines if line.startswith(("mkdir", "printf"))]
    subprocess.run(["bash", "-ec", "\n".join(files)], cwd=folder, check=True)
    return own


@pytest.fixture(scope="module")
def own(phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Own:
    return begun(tmp_path_factory.mktemp("doors"), phantom_folder)


@pytest.fixture(scope="module")
def sweep(own: Own) -> Path:
    """All doors at once: a sweep of one network, then widened by one's own; not to be changed."""
    folder = own.folder / "multirun" / "doors-2026-01-01_00-00-00"
    where = f"hydra.sweep.dir={folder}"
    first = own.train("-m", "model=cnn", *DOORS, where)
    assert first.returncode == 0, first.stdout + first.stderr
    before = (folder / "base" / "result.json").read_bytes()
    widened = own.train("-m", "model=cnn,mine", *DOORS, where)
    assert widened.returncode == 0, widened.stdout + widened.stderr
    assert "1 cell done, 1 to do" in widened.stdout
    assert (folder / "base" / "result.json").read_bytes() == before
    return folder


@pytest.mark.slow
def test_cells_and_settings_are_named_by_the_options(sweep: Path) -> None:
    cells = {path.parent.name for path in sweep.glob("*/result.json")}
    assert cells == {"base", "model=mine"}, "the first command compared nothing"
    settings = [row for row in rows_of(sweep / "settings.csv") if row["model"]]
    assert {row["model"] for row in settings} == {"cnn", "mine"}
    assert {row["epochs"] for row in settings} == {"2"}, "a scheduled run has one score epoch"
    assert (sweep / "winner" / "epochs=2" / "model.ckpt").exists(), "the winner of one setting"


@pytest.mark.slow
def test_each_part_of_ones_own_was_called(sweep: Path) -> None:
    lines = (sweep / "model=mine" / "scores.txt").read_text().splitlines()
    assert lines[0] == "optim=mine"
    assert [line[:3] for line in lines[1:]] == ["1: ", "2: "]
    rates = [float(row["learning_rate"]) for row in rows_of(sweep / "model=mine" / "metrics.csv")]
    assert rates == pytest.approx([0.002, 0.001]), "the schedule knows that there are two epochs"
    for row in rows_of(sweep / "model=mine" / "predictions.csv"):
        assert sum(float(row[f"p{grade}"]) for grade in range(5)) == pytest.approx(1, abs=1e-4)


@pytest.mark.slow
def test_the_dashboard_shows_what_the_package_does_not_know(sweep: Path) -> None:
    hparams = session_of(sweep / "model=mine").hparams
    assert {hparams[key].string_value for key in ("model", "loss", "augment", "optim")} == {"mine"}
    assert hparams["model.channels"].number_value == 8
    assert "model" in {info.name for info in columns_of(sweep).hparam_infos}
    events = EventAccumulator(str(sweep / "model=mine"), {"images": 0})
    events.Reload()
    assert "mistakes/validation" in events.Tags()["images"], "the sheet with attention"


@pytest.mark.slow
def test_a_report_is_written_without_the_classes(own: Own, sweep: Path) -> None:
    before = (sweep / "settings.csv").read_bytes()
    (sweep / "report.html").unlink()
    finished = own.call("-c", "from djd.cli import main; main()", "report", sweep, found=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert (sweep / "settings.csv").read_bytes() == before
    assert "mine" in (sweep / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_new_scans_are_graded_with_ones_own_classes_once_they_are_trusted(
    own: Own, sweep: Path, phantom_folder: Path
) -> None:
    scan = min(phantom_folder.glob("*.mat"))
    command = ("-c", "from djd.cli import main; main()", "predict", sweep, scan, "--out", "grades")
    refused = own.call(*command)
    assert refused.returncode == 2
    assert re.search(r"received (losses|networks)\.\w+; .* say --trust \1 ", refused.stderr)
    graded = own.call(*command, "--trust", "losses", "--trust", "networks")
    assert graded.returncode == 0, graded.stdout + graded.stderr
    assert len(rows_of(own.folder / "grades" / "predictions.csv")) == 2


@pytest.mark.slow
def test_a_forecast_names_settings_and_trains_nothing(own: Own) -> None:
    axes = ("model=cnn,mine", "optim=sgd,adam", "loss=cross_entropy,mine")
    forecast = own.train("-m", *axes, "dry_run=true", "hydra.sweep.dir=forecast")
    assert forecast.returncode == 0, forecast.stdout + forecast.stderr
    assert "8 settings in 8 cells: model cnn, mine; optim sgd, adam; loss" in forecast.stdout
    assert not list(own.folder.glob("forecast/*/config.yaml"))


def test_help_shows_options_and_keys_of_ones_own(own: Own) -> None:
    shown = own.train("recipe=none", "model=mine", "optim=mine", "--help").stdout
    assert "model: cnn, mine" in shown
    assert "channels: 8" in shown
    assert "PolynomialLR" in shown


@pytest.mark.slow
def test_a_class_that_is_not_found_is_one_sentence_before_anything_is_trained(own: Own) -> None:
    failed = own.train(
        "-m", "model=cnn,mine", "data.batch_size=7", "hydra.sweep.dir=lost", found=False
    )
    assert failed.returncode == 1
    said = failed.stdout + failed.stderr
    assert "Traceback" not in said
    assert "model._target_: " in said
    assert "networks.Pooled" in said
    assert "PYTHONPATH" in said
    assert not list(own.folder.glob("lost/*/config.yaml"))


@pytest.mark.slow
def test_resume_latest_finds_classes_and_options_again(own: Own, sweep: Path) -> None:
    copy = own.folder / "copy"
    shutil.copytree(sweep, copy / "multirun" / sweep.name)
    (again,) = (copy / "multirun").iterdir()
    saved = (again / "comparison.json").read_text().replace(str(sweep), str(again))
    (again / "comparison.json").write_text(saved)
    link(copy / "own", own.folder / "own")
    for lost in (again / "result.json", again / "model=mine" / "result.json"):
        lost.unlink()
    resumed = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), "resume=latest"],
        cwd=copy,
        env=own.environment(ROOT),
        capture_output=True,
        text=True,
    )
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    predictions = [(each / "model=mine" / "predictions.csv").read_text() for each in (sweep, again)]
    assert predictions[0] == predictions[1]


@pytest.mark.slow
def test_the_commands_of_the_page_run(phantom_folder: Path, tmp_path: Path) -> None:
    own = begun(tmp_path, phantom_folder)
    text = "".join(COMMANDS).replace("python train.py", f"python {ROOT / 'train.py'}")
    environment = own.environment(ROOT)
    text = text.replace('PYTHONPATH="$PWD/own"', f'PYTHONPATH="$PWD/own:{ROOT}"')
    finished = subprocess.run(
        ["bash", "-ec", text], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    shown = finished.stdout.splitlines()
    example = re.findall(r"^```text\n(.*?)^```", PAGE, re.M | re.S)[0].splitlines()
    for line in example[:2]:
        assert line in shown
