"""`logger=`: TensorBoard, CSV, MLflow, W&B, several at once, and a class of one's own."""

import importlib.util
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import Logger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from djd.errors import InputError
from djd.models.classifier import GradeClassifier
from tests.conftest import Compose, tiny_values
from tests.sweeping import ROOT, rows_of, sweep_arguments
from tests.training import is_rehearsing, run

needs_mlflow = pytest.mark.skipif(
    importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed (djd[mlflow])"
)
needs_wandb = pytest.mark.skipif(
    importlib.util.find_spec("wandb") is None, reason="wandb is not installed (djd[wandb])"
)

ALONE = ("test=never", "data.fold=0")


class ListLogger(Logger):
    """Keeps all calls, by the run that they belong to."""

    runs: dict[str, list[tuple[str, Any]]] = {}  # noqa: RUF012

    def __init__(self, save_dir: Path, run_name: str, run_id: str | None = None) -> None:
        super().__init__()
        self.save_dir_given, self.run_name = save_dir, run_name
        self.run = run_id or f"run {len(self.runs)}"
        self.runs.setdefault(self.run, [])

    @property
    def name(self) -> str:
        return "list"

    @property
    def version(self) -> str:
        return self.run

    def log_hyperparams(self, params: Any) -> None:
        self.runs[self.run].append(("setting", dict(params)))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.runs[self.run].append(("scores", (step, dict(metrics))))

    def steps(self) -> list[int | None]:
        return [given[0] for kind, given in self.runs[self.run] if kind == "scores"]


class NoLogger:
    """Lightning doesn't know it."""


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(ListLogger, "runs", {})
    return {"mine": {"_target_": "tests.test_loggers.ListLogger"}}


def stop_after_two_epochs(values: dict[str, Any], folder: Path) -> None:
    def start(self: GradeClassifier) -> None:
        if self.current_epoch == 2 and not is_rehearsing(self):
            raise RuntimeError("stopped")

    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GradeClassifier, "on_train_epoch_start", start)
        with pytest.raises(RuntimeError, match="stopped"):
            run(values, folder)


def test_every_logger_gets_every_scalar_of_every_epoch(tiny: Compose, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    run(tiny("logger=[tensorboard,csv]", "trainer.max_epochs=2", *ALONE), folder)
    events = EventAccumulator(str(folder))
    events.Reload()
    rows = rows_of(folder / "csv" / "metrics.csv")
    assert [row["step"] for row in rows] == ["1", "2"]
    assert set(rows[0]) - {"step"} == set(events.Tags()["scalars"])
    for row, event in zip(rows, events.Scalars("kappa/validation"), strict=True):
        assert float(row["kappa/validation"]) == pytest.approx(event.value)


def test_without_tensorboard_there_are_no_events_and_plots_still_go_to_figures(
    tiny: Compose, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    run(tiny("logger=csv", "plots=true"), folder)
    assert not list(folder.rglob("*tfevents*"))
    assert {path.name for path in (folder / "figures").iterdir()} >= {
        "confusion-validation.png",
        "curves.png",
    }
    (winner,) = (folder / "winner").iterdir()
    (last,) = (row for row in rows_of(winner / "csv" / "metrics.csv") if row["kappa/test"])
    assert last["step"] == "2"


def test_a_csv_of_a_resumed_training_has_every_epoch_once(tiny: Compose, tmp_path: Path) -> None:
    values = tiny("logger=csv", "trainer.max_epochs=3", *ALONE)
    stop_after_two_epochs(values, tmp_path / "run")
    run(values, tmp_path / "run")
    rows = rows_of(tmp_path / "run" / "csv" / "metrics.csv")
    assert [row["step"] for row in rows] == ["1", "2", "3"]
    metrics = rows_of(tmp_path / "run" / "metrics.csv")
    for row, ours in zip(rows, metrics, strict=True):
        assert float(row["loss/train"]) == pytest.approx(float(ours["train_loss"]))


def test_a_class_of_ones_own_gets_the_setting_and_goes_on_with_its_run(
    tiny: Compose, tmp_path: Path, own: dict[str, Any]
) -> None:
    values = tiny("trainer.max_epochs=3", *ALONE) | {"logger": own}
    stop_after_two_epochs(values, tmp_path / "run")
    run(values, tmp_path / "run")
    ((name, calls),) = ListLogger.runs.items()
    assert name == "run 0"
    settings = [given for kind, given in calls if kind == "setting"]
    assert settings[0] == settings[1], "the resumed training says the same"
    assert settings[0]["model.depth"] == 1
    assert settings[0]["optim"] == "adam"
    assert settings[0]["stamp"].startswith("PHANTOM")
    assert [given[0] for kind, given in calls if kind == "scores"] == [1, 2, 3]


def test_another_data_base_gets_a_whole_run(
    tiny: Compose, tmp_path: Path, own: dict[str, Any]
) -> None:
    values = tiny("trainer.max_epochs=3", *ALONE)
    folder = tmp_path / "run"
    stop_after_two_epochs(values | {"logger": own}, folder)
    run(values | {"logger": {"mine": own["mine"] | {"run_name": "another"}}}, folder)
    assert [len(calls) for calls in ListLogger.runs.values()] == [3, 4]


def test_no_logger_at_all_trains(tiny: Compose, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    run(tiny("logger=[]", "trainer.max_epochs=1", *ALONE), folder)
    assert not list(folder.rglob("*tfevents*"))


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("nowhere.Mine", r"logger\.mine\._target_: .* received nowhere\.Mine .*PYTHONPATH"),
        ("tests.test_loggers.NoLogger", r"logger\.mine\._target_: expected a Lightning logger"),
        ("lightning.pytorch.loggers.CometLogger", r"logger\.mine: .*comet.* not met"),
    ],
)
def test_what_is_no_logger_is_one_sentence(
    tiny: Compose, tmp_path: Path, target: str, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        run(tiny(*ALONE) | {"logger": {"mine": {"_target_": target}}}, tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "config.yaml").exists(), "no false start is left"


def asked(data_base: Path, question: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(data_base) as connection:
        return list(connection.execute(question))


@needs_mlflow
@pytest.mark.slow
def test_cells_of_a_sweep_that_start_at_once_are_runs_of_one_mlflow_data_base(
    phantom_folder: Path, tmp_path: Path
) -> None:
    cache = Path(tiny_values(phantom_folder, tmp_path)["paths"]["cache"])
    sweep = tmp_path / "sweep"
    arguments = sweep_arguments(cache, sweep, "data.fold=0,1,2", "logger=[mlflow,csv]")
    subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *arguments, "hydra.launcher.n_jobs=3"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    data_base = tmp_path / "mlflow.db"
    runs = dict(asked(data_base, "select run_uuid, name from runs where status = 'FINISHED'"))
    (winner,) = (sweep / "winner").iterdir()
    assert sorted(runs.values()) == [
        *(f"sweep fold={fold}" for fold in (0, 1, 2)),
        f"sweep winner {winner.name}",
    ]
    for run_id, name in runs.items():
        params = dict(asked(data_base, f"select key, value from params where run_uuid='{run_id}'"))
        assert params["optim"] == "adam"
        assert params["kind"] == ("refit" if "winner" in name else "cell")
        assert params["sweep"] == "sweep"
        scored = "kappa/test" if "winner" in name else "kappa/validation"
        question = f"select step from metrics where run_uuid='{run_id}' and key='{scored}'"
        assert asked(data_base, question)


@needs_mlflow
@pytest.mark.filterwarnings("ignore")  # of packages that mlflow imports
def test_a_resumed_training_is_one_finished_run_of_mlflow(tiny: Compose, tmp_path: Path) -> None:
    data_base = tmp_path / "mlflow.db"
    place = f"logger.mlflow.tracking_uri=sqlite:///{data_base}"
    values = tiny("logger=mlflow", place, "trainer.max_epochs=3", *ALONE)
    stop_after_two_epochs(values, tmp_path / "run")
    run(values, tmp_path / "run")
    assert asked(data_base, "select name, status from runs") == [("run", "FINISHED")]
    question = "select step from metrics where key='kappa/validation' order by step"
    assert asked(data_base, question) == [(1,), (2,), (3,)]


@needs_wandb
@pytest.mark.slow
def test_wandb_keeps_both_trainings_of_a_run_offline(phantom_folder: Path, tmp_path: Path) -> None:
    cache = tiny_values(phantom_folder, tmp_path)["paths"]["cache"]
    _, _, *fixed = sweep_arguments(cache, tmp_path / "run")
    arguments = [each for each in fixed if not each.startswith("hydra.")]
    subprocess.run(
        [
            sys.executable,
            str(ROOT / "train.py"),
            *arguments,
            "logger=wandb",
            f"hydra.run.dir={tmp_path / 'run'}",
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    (winner,) = (tmp_path / "run" / "winner").iterdir()
    for folder, score in ((tmp_path / "run", b"kappa/validation"), (winner, b"kappa/test")):
        (kept,) = (folder / "wandb").glob("offline-run-*/run-*.wandb")
        content = kept.read_bytes()
        assert score in content
        assert str(tmp_path).encode() not in content
