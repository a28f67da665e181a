"""Whole comparisons, of tiny cells."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from djd.runs.result import RunResult
from tests.conftest import Compose, compose_values, tiny_values
from tests.sweeping import (
    AXES,
    HIDE_FORK_SERVER,
    ROOT,
    Sweep,
    predictions,
    rows_of,
    run_train,
    start_train,
    sweep_arguments,
)
from tests.test_cli import run_djd
from tests.training import run

BASIC = "hydra/launcher=basic"

pytestmark = pytest.mark.usefixtures("no_timing")


def pooled_kappa(folder: Path, depth: int, epoch: str) -> float:
    rows = [
        row
        for fold in range(3)
        for row in rows_of(folder / f"depth={depth} fold={fold}" / "predictions.csv")
        if row["epoch"] == epoch
    ]
    assert len({(row["scan"], row["side"]) for row in rows}) == len(rows)
    truth, predicted = ([int(row[column]) for row in rows] for column in ("grade", "predicted"))
    return float(cohen_kappa_score(truth, predicted, labels=range(5), weights="quadratic"))


def test_the_winner_is_the_setting_with_the_best_kappa_over_all_folds(sweep: Sweep) -> None:
    kappas = {
        f"depth={depth} epochs={epoch}": pooled_kappa(sweep.folder, depth, epoch)
        for depth in (1, 2)
        for epoch in ("1", "2")
    }
    result = json.loads((sweep.folder / "result.json").read_text(encoding="utf-8"))
    assert {each["name"]: each["scores"]["kappa"] for each in result["settings"]} == (
        pytest.approx(kappas)
    )
    assert result["best"] == max(kappas, key=lambda name: kappas[name])
    (winner,) = (sweep.folder / "winner").iterdir()
    assert winner.name == result["best"]
    assert (winner / "model.ckpt").exists()


def test_the_test_patients_are_scored_once_by_the_winner_alone(sweep: Sweep) -> None:
    split = json.loads(next(sweep.folder.glob("*/split.json")).read_text(encoding="utf-8"))
    tested = [
        path
        for path in sweep.folder.rglob("predictions.csv")
        if {row["patient"] for row in rows_of(path)} & set(split["test"])
    ]
    assert [path.parent.parent.name for path in tested] == ["winner"]
    for ledger in (sweep.folder / "test_openings.jsonl", sweep.cache / "test_openings.jsonl"):
        assert len(ledger.read_text().splitlines()) == 1


def test_the_winner_is_what_a_single_run_on_all_development_patients_gives(
    sweep: Sweep, phantom_folder: Path, tmp_path: Path
) -> None:
    (winner,) = (sweep.folder / "winner").iterdir()
    words = dict(word.split("=") for word in winner.name.split(" "))
    values = tiny_values(
        phantom_folder,
        tmp_path,
        "data.fold=null",
        f"model.depth={words['depth']}",
        f"trainer.max_epochs={words['epochs']}",
    )
    (tmp_path / "run").mkdir()
    alone = run(values, tmp_path / "run")
    assert RunResult.load(winner / "result.json").test == alone.test
    assert list(predictions(winner).values()) == list(predictions(tmp_path / "run").values())


def test_a_finished_cell_holds_its_files_and_is_small(sweep: Sweep) -> None:
    cells = [path.parent for path in sweep.folder.glob("*/result.json")]
    assert len(cells) == 6
    for cell in cells:
        names = {path.name for path in cell.iterdir()}
        assert {"config.yaml", "split.json", "run.log", "metrics.csv", "figures"} <= names
        assert not {".claim", "error.txt"} & names
        assert any(name.startswith("events.out") for name in names)
        assert {row["epoch"] for row in rows_of(cell / "predictions.csv")} == {"1", "2"}
        assert sum(path.stat().st_size for path in cell.rglob("*") if path.is_file()) < 2e6
        assert RunResult.load(cell / "result.json").threads == 1
    best = json.loads((sweep.folder / "result.json").read_text(encoding="utf-8"))["best"]
    depth, epochs = (word.partition("=")[2] for word in best.split(" "))
    assert {
        str(path.relative_to(sweep.folder)) for path in sweep.folder.glob("*/checkpoints/*")
    } == {
        f"depth={depth} fold={fold}/checkpoints/epoch={int(epochs):03d}.ckpt" for fold in range(3)
    }


def test_which_blocks_are_compiled_is_recorded_once_for_cells_and_winner(sweep: Sweep) -> None:
    assert list(sweep.folder.rglob("blocks.json")) == [sweep.folder / "blocks.json"]


@pytest.mark.slow
def test_the_same_command_trains_nothing_again(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = {path: path.stat().st_mtime_ns for path in sweep.folder.glob("*/*/result.json")}
    monkeypatch.setattr("djd.sweeps.processes.multiprocessing", None)
    assert run_train(monkeypatch, *sweep_arguments(sweep.cache, sweep.folder, *AXES)) == 0
    assert {path: path.stat().st_mtime_ns for path in results} == results
    assert len((sweep.cache / "test_openings.jsonl").read_text().splitlines()) == 1
    shown = capsys.readouterr().out
    assert "6 cells done, 0 to do" in shown
    assert "Winner: depth=" in shown
    assert "have been opened once so far" in shown


def test_a_dry_run_tells_what_is_left_and_writes_nothing(
    sweep: Sweep,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    files = sorted(sweep.folder.rglob("*"))
    axes = ("model.depth=1,2,3", "data.fold=0,1,2", "dry_run=true")
    assert run_train(monkeypatch, *sweep_arguments(sweep.cache, sweep.folder, *axes)) == 0
    shown = capsys.readouterr().out
    assert "6 settings in 9 cells: depth 1, 2, 3; fold 0, 1, 2; epochs 1, 2" in shown
    assert "6 cells done, 3 to do: about" in shown
    assert "Disk: about" in shown
    assert sorted(sweep.folder.rglob("*")) == files
    assert run_train(monkeypatch, *sweep_arguments(sweep.cache, tmp_path / "new", *axes)) == 0
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_another_comparison_or_cohort_in_its_folder_is_refused_by_name(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {path: path.stat().st_mtime_ns for path in sweep.folder.rglob("*")}
    for said, sentence in (
        ("loss.class_weights=balanced", "loss.class_weights=none (now balanced)"),
        ("data.exclude=[0000001]", "expected the cohort"),
        ("data.test_count=7", "expected the cohort and the test patients"),
    ):
        arguments = sweep_arguments(sweep.cache, sweep.folder, *AXES, said)
        assert run_train(monkeypatch, *arguments) == 1
        assert sentence in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in sweep.folder.rglob("*")} == files


@pytest.fixture
def cache(tiny: Compose) -> Path:
    return Path(tiny()["paths"]["cache"])


@pytest.mark.slow
def test_axes_may_grow_and_what_is_finished_stays(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    cache: Path,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "sweep"

    def sweep(*axes: str) -> str:
        assert run_train(monkeypatch, *sweep_arguments(cache, folder, *axes, BASIC)) == 0
        return capsys.readouterr().out

    sweep("optim=adam,sgd")
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/result.json")}
    first = {path.name for path in (folder / "winner").iterdir()}
    assert "2 cells done, 2 to do" in sweep("optim=adam,sgd", "seed=0,1")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert {path.parent.name for path in folder.glob("*/result.json")} == {
        "optim=adam", "optim=adam seed=1", "optim=sgd", "optim=sgd seed=1",
    }  # fmt: skip
    assert first <= {path.name for path in (folder / "winner").iterdir()}, "winners stay"
    assert "2 cells done, 0 to do" in sweep("optim=adam", "seed=0,1"), "and shrink"


NETWORK = """
from torch import nn


class Mine(nn.Module):
    def __init__(self, rings, outputs):
        super().__init__()
        layers = nn.Linear(64, rings), nn.ReLU(), nn.Linear(rings, outputs)
        self.layers = nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), *layers)

    def forward(self, crops):
        return self.layers(crops)
"""


@pytest.mark.slow
def test_a_network_of_ones_own_widens_a_sweep_of_ours(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    cache: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "networks_of_ones_own.py").write_text(NETWORK, encoding="utf-8")
    (tmp_path / "conf" / "model").mkdir(parents=True)
    values = "_target_: networks_of_ones_own.Mine\nrings: 3\n"
    (tmp_path / "conf" / "model" / "mine.yaml").write_text(values, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "sweep"

    def sweep(*axes: str) -> str:
        arguments = sweep_arguments(cache, folder, *axes, "test=never", BASIC)
        # Keys of one network are no keys of the other.
        arguments = [each for each in arguments if not each.startswith("model.")]
        assert run_train(monkeypatch, "--config-dir", str(tmp_path / "conf"), *arguments) == 0
        return capsys.readouterr().out

    sweep("optim=adam,sgd", "model=cnn")
    shown = sweep("optim=adam,sgd", "model=cnn,mine", "logger=[tensorboard,csv]")
    assert "2 cells done, 2 to do" in shown
    assert "8 settings in 4 cells: optim adam, sgd; model cnn, mine; epochs 1, 2" in shown
    assert {path.parent.name for path in folder.glob("*/result.json")} == {
        "optim=adam", "optim=sgd", "optim=adam model=mine", "optim=sgd model=mine",
    }  # fmt: skip
    assert list(folder.glob("optim=adam model=mine/csv/metrics.csv"))
    assert {row["model"] for row in rows_of(folder / "settings.csv") if row["rank"]} == {
        "cnn",
        "mine",
    }


@pytest.mark.slow
def test_score_epochs_that_are_there_train_nothing_again_and_others_do(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    cache: Path,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "sweep"
    for epochs, to_do in (("1,2", 1), ("1", 0), ("2,3", 1), ("1,3", 0)):
        axes = ("trainer.max_epochs=4", f"score_epochs=[{epochs}]", "test=never", BASIC)
        arguments = sweep_arguments(cache, folder, "+hydra.sweeper.params.seed=0", *axes)
        assert run_train(monkeypatch, *arguments) == 0
        assert f"{to_do} to do" in capsys.readouterr().out, epochs
    rows = rows_of(folder / "seed=0" / "predictions.csv")
    assert {row["epoch"] for row in rows} == {"1", "2", "3", "4"}
    assert [row["epoch"] for row in rows_of(folder / "seed=0" / "metrics.csv")] == list("1234")


@pytest.mark.slow
def test_each_setting_is_scored_on_the_test_patients_where_asked(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    cache: Path,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "sweep"
    arguments = sweep_arguments(cache, folder, "model.depth=1,2", "test=each", BASIC)
    assert run_train(monkeypatch, *arguments) == 0
    results = {path.name: RunResult.load(path / "result.json") for path in folder.glob("each/*")}
    assert {name: [each.epoch for each in result.test] for name, result in results.items()} == {
        "depth=1": [1, 2],
        "depth=2": [1, 2],
    }
    for name, result in results.items():
        for scores in result.test:
            rows = rows_of(folder / "each" / name / "predictions.csv")
            of_epoch = [row for row in rows if row["epoch"] == str(scores.epoch)]
            right = np.mean([row["grade"] == row["predicted"] for row in of_epoch])
            assert scores.scores["accuracy"] == pytest.approx(right)
    (winner,) = (folder / "winner").iterdir()
    depth, epochs = (word.partition("=")[2] for word in winner.name.split(" "))
    of_winner = RunResult.load(winner / "result.json").test
    assert of_winner == [results[f"depth={depth}"].test[int(epochs) - 1]]
    assert len((folder / "test_openings.jsonl").read_text().splitlines()) == 5
    assert "The best of 4 settings on the test patients is " in capsys.readouterr().out
    settings = [row for row in rows_of(folder / "settings.csv") if row["rank"]]
    for row in settings:
        tested = results[f"depth={row['depth']}"].test[int(row["epochs"]) - 1]
        assert float(row["test_kappa"]) == pytest.approx(tested.scores["kappa"], abs=1e-5)


def test_the_test_patients_stay_closed_where_asked(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    cache: Path,
    tmp_path: Path,
) -> None:
    arguments = sweep_arguments(cache, tmp_path / "s", "model.depth=1,2", "test=never", BASIC)
    assert run_train(monkeypatch, *arguments) == 0
    assert not (cache / "test_openings.jsonl").exists()
    assert not list((tmp_path / "s").rglob("model.ckpt"))
    shown = capsys.readouterr().out
    assert "Best out of fold: depth=" in shown
    assert "20 knees of 10 patients decide" in shown
    assert "With data.fold=0,1,2 in the command" in shown


def test_what_cannot_be_composed_stops_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    cache: Path,
    tmp_path: Path,
) -> None:
    for axis, sentence in (
        ("optim.lr=0,1", "optim.lr: expected greater than 0, received 0"),
        ("model.dept=1,2", "model.dept: expected a key of the configuration"),
        ("model.depth=[1,2]", "model.depth: expected values with commas"),
    ):
        assert run_train(monkeypatch, *sweep_arguments(cache, tmp_path / "s", axis)) == 1
        said = capsys.readouterr().err.strip()
        assert sentence in said
        assert "\n" not in said
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_the_whole_matrix_is_counted_and_nothing_trained(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    cache: Path,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "matrix"
    cohort = ("data.phantom_patients=40", "data.test_count=8", f"paths.cache={cache}")
    arguments = ("experiment=matrix", "dry_run=true", *cohort, f"hydra.sweep.dir={folder}")
    assert run_train(monkeypatch, *arguments) == 0
    shown = capsys.readouterr().out
    assert "324 settings in 1620 cells" in shown
    assert "0 cells done, 1620 to do: about" in shown
    assert not folder.exists()


@pytest.mark.slow
def test_a_comparison_that_was_stopped_is_the_latest(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    cache: Path,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = sweep_arguments(cache, tmp_path, "model.depth=1,2", "test=never", BASIC)[:-1]
    assert run_train(monkeypatch, *arguments) == 0
    (folder,) = Path("multirun").iterdir()
    (folder / "result.json").unlink()
    (folder / "depth=2" / "result.json").unlink()
    capsys.readouterr()
    assert run_train(monkeypatch, "resume=latest") == 0
    assert "1 cell done, 1 to do" in capsys.readouterr().out
    assert (folder / "depth=2" / "result.json").exists()
    assert run_train(monkeypatch, "resume=latest") == 1
    assert "received none" in capsys.readouterr().err


@pytest.mark.slow
def test_other_sweepers_get_the_validation_kappa(
    monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path: Path
) -> None:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    returned = []
    sweep = BasicSweeper.sweep

    def noted(self: BasicSweeper, arguments: list[str]) -> object:
        returned.extend(sweep(self, arguments))
        return returned

    monkeypatch.setattr(BasicSweeper, "sweep", noted)
    arguments = sweep_arguments(cache, tmp_path / "s", "seed=0,1", "hydra/sweeper=basic")
    assert run_train(monkeypatch, *arguments) == 0
    results = [RunResult.load(path) for path in (tmp_path / "s").rglob("result.json")]
    assert len(results) == 2
    assert {each.return_value for each in returned[0]} == {
        result.validation[-1].scores["kappa"] for result in results
    }
    assert all(not result.test for result in results)


def test_dry_run_of_a_single_run_trains_nothing(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    cache: Path,
    tmp_path: Path,
) -> None:
    fixed = [each for each in sweep_arguments(cache, tmp_path)[1:] if not each.startswith("hydra")]
    assert run_train(monkeypatch, *fixed, "dry_run=true", f"hydra.run.dir={tmp_path / 'run'}") == 0
    assert "nothing was trained" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "run").iterdir()} == {".hydra", "run.log"}
    assert compose_values()["dry_run"] is False


@pytest.mark.slow
def test_the_same_winner_is_not_scored_again_when_axes_have_grown(
    monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "sweep"
    for axes in (("model.depth=1",), ("model.depth=1", "+hydra.sweeper.params.optim=adam")):
        arguments = sweep_arguments(cache, folder, *axes, BASIC)
        assert run_train(monkeypatch, *arguments) == 0
    assert len(list(folder.glob("winner/*"))) == 1
    assert len((folder / "test_openings.jsonl").read_text().splitlines()) == 1


@pytest.mark.slow
def test_a_damaged_result_costs_its_own_cell_alone(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    cache: Path,
    tmp_path: Path,
) -> None:
    arguments = sweep_arguments(cache, tmp_path / "s", "seed=0,1", "test=never", BASIC)
    assert run_train(monkeypatch, *arguments) == 0
    whole = predictions(tmp_path / "s")
    (tmp_path / "s" / "seed=1" / "result.json").write_text('{"results_version"')
    capsys.readouterr()
    assert run_train(monkeypatch, *arguments) == 0
    assert "1 cell done, 1 to do" in capsys.readouterr().out
    assert predictions(tmp_path / "s") == whole


@pytest.mark.slow
def test_seeds_in_another_order_have_the_same_winner(
    monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "s"
    for seeds in ("seed=0,1", "seed=1,0"):
        assert run_train(monkeypatch, *sweep_arguments(cache, folder, seeds, BASIC)) == 0
    assert len((folder / "test_openings.jsonl").read_text().splitlines()) == 1


@pytest.mark.slow
def test_what_holds_nothing_out_is_said_before_it_is_trained(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    cache: Path,
    tmp_path: Path,
) -> None:
    for axes, winners in ((("data.fold=null",), 0), (("data.fold=0,null",), 1)):
        folder = tmp_path / axes[0]
        arguments = sweep_arguments(cache, folder, "+hydra.sweeper.params.seed=0", *axes, BASIC)
        assert run_train(monkeypatch, *arguments) == 0
        said = "holds nothing out" in capsys.readouterr().out
        assert said is not bool(winners)
        assert len(list(folder.glob("winner/*"))) == winners


def test_an_empty_sweep_folder_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_train(monkeypatch, "-m", "seed=0,1", "hydra.sweep.dir=") == 1
    assert "hydra.sweep.dir: expected a path, received an empty one" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_without_a_fork_server_every_number_is_the_same(sweep: Sweep, tmp_path: Path) -> None:
    """Cells are spawned, and one process trains several."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(HIDE_FORK_SERVER)
    search = os.pathsep.join([str(hidden), str(ROOT)])
    arguments = sweep_arguments(sweep.cache, tmp_path / "sweep", *AXES)
    log = tmp_path / "log"
    assert start_train(log, *arguments, "test=never", PYTHONPATH=search).wait() == 0, (
        log.read_text()
    )
    cells = {place: text for place, text in predictions(sweep.folder).items() if "fold=" in place}
    spawned = predictions(tmp_path / "sweep")
    assert {place: spawned[place] for place in cells} == cells
    logs = {path.parent.name: path.read_text() for path in tmp_path.glob("sweep/*/run.log")}
    assert all(f"{name}: validation kappa" in text for name, text in logs.items())
    assert all(text.count(": validation kappa") == 1 for text in logs.values()), "each in its own"
    events = tmp_path.glob("sweep/depth=*/events.out.tfevents.*")
    processes = [path.name.split(".")[-2] for path in events]
    assert len(processes) == len(cells) > len(set(processes)), "kept for several cells"


@pytest.mark.slow
def test_crops_in_either_order_are_one_comparison_whose_baselines_have_the_crops_of_the_best(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    phantom_folder: Path,
    tmp_path: Path,
) -> None:
    folder, cache = tmp_path / "sweep", phantom_folder.parent
    for crops in ("robust,study", "study,robust"):
        arguments = sweep_arguments(cache, folder, f"data.crop={crops}", "report=true")
        assert run_train(monkeypatch, *arguments) == 0
    shutil.rmtree(folder / "baselines")
    capsys.readouterr()
    assert run_djd(monkeypatch, "report", folder) == 0
    assert "no baselines" not in capsys.readouterr().out
    best = json.loads((folder / "result.json").read_text())["best"]
    kept = json.loads((folder / "baselines" / "uptake" / "baseline.json").read_text())
    assert kept["fitted_on"].get("crop", "study") == best.removeprefix("crop=").split()[0]
