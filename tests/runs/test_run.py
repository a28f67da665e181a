import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, cohen_kappa_score, recall_score, roc_auc_score

from djd.data.datamodule import select_views
from djd.data.split import split_knees
from djd.errors import InputError
from djd.grades import GRADE_NAMES, PHANTOM_STAMP
from djd.report.report import report_run
from djd.runs.config import RunConfig, read_config
from djd.runs.fit import build_classifier
from djd.runs.reading import read_data
from djd.runs.result import RunResult
from tests.conftest import Compose
from tests.finished_run import FinishedRun
from tests.ordinary_user import link
from tests.sweeping import rows_of
from tests.training import run, run_cell


def files_under(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_run_leaves_what_people_look_for(finished: FinishedRun) -> None:
    values = finished.values
    folder = finished.folder
    result = finished.result
    winner = f"winner/{read_config(values).setting_name}"
    assert {
        "blocks.json",
        "config.yaml",
        "split.json",
        "metrics.csv",
        "predictions.csv",
        "result.json",
        "test_openings.jsonl",
        "checkpoints/best.ckpt",
        "checkpoints/epoch=001.ckpt",
        "checkpoints/epoch=002.ckpt",
        "figures/confusion-validation.png",
        "figures/curves.png",
        f"{winner}/model.ckpt",
        f"{winner}/predictions.csv",
        f"{winner}/figures/confusion-test.png",
    } <= files_under(folder)
    assert not list(folder.rglob("hparams.yaml"))
    assert RunResult.load(folder / "result.json") == result
    assert result.phantom
    assert [scores.epoch for scores in result.validation] == [1, 2]
    assert [scores.patients for scores in result.test] == [8]


def test_the_scores_are_those_of_the_predictions(finished: FinishedRun) -> None:
    folder = finished.folder
    result = finished.result
    rows = [row for row in rows_of(folder / "predictions.csv") if row["epoch"] == "2"]
    truth = np.array([int(row["grade"]) for row in rows])
    predicted = np.array([int(row["predicted"]) for row in rows])
    chances = np.array([[float(row[f"p{grade}"]) for grade in range(5)] for row in rows])
    scores = result.validation[-1].scores
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(chances.argmax(axis=1), predicted)
    assert scores["accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    assert scores["kappa"] == pytest.approx(
        cohen_kappa_score(truth, predicted, labels=range(5), weights="quadratic")
    )
    assert scores["auroc_any"] == pytest.approx(roc_auc_score(truth >= 1, 1 - chances[:, 0]))
    recalls = recall_score(truth, predicted, labels=range(5), average=None, zero_division=0)
    for grade in set(truth.tolist()):
        assert scores[f"recall_{GRADE_NAMES[grade]}"] == pytest.approx(recalls[grade])


def test_validation_predicts_its_fold_and_no_test_patient(finished: FinishedRun) -> None:
    values = finished.values
    folder = finished.folder
    split = json.loads((folder / "split.json").read_text())
    cohort, patients = read_data(read_config(values))
    parts = split_knees(cohort, patients, folds=3, fold=0, split_seed=0)
    predicted = {row["patient"] for row in rows_of(folder / "predictions.csv")}
    assert predicted == set(cohort.knee_patients[parts.validation].tolist())
    assert not predicted & set(split["test"])
    winner = finished.winner
    tested = {row["patient"] for row in rows_of(winner / "predictions.csv")}
    assert tested == set(split["test"])
    assert len(split["test"]) == 8


def test_the_kept_model_is_plain_values_whose_weights_predict_the_same(
    finished: FinishedRun,
) -> None:
    content = torch.load(finished.winner / "model.ckpt", weights_only=True)["content"]
    classifier = build_classifier(read_config(finished.values), np.arange(5))
    classifier.load_state_dict(content["weights"][0])
    classifier.eval()
    cohort, patients = read_data(read_config(finished.values))
    parts = split_knees(cohort, patients, folds=3, fold=None, split_seed=0)
    crops = select_views(
        cohort, parts.test, views="anterior", scaling="standard", mirror_left=False
    )
    with torch.no_grad():
        chances = classifier(torch.from_numpy(crops)).softmax(dim=1).numpy()
    rows = rows_of(finished.winner / "predictions.csv")
    kept = np.array([[float(row[f"p{grade}"]) for grade in range(5)] for row in rows])
    np.testing.assert_allclose(chances, kept, atol=1e-5)


def test_metrics_hold_a_line_an_epoch(finished: FinishedRun) -> None:
    folder = finished.folder
    result = finished.result
    rows = rows_of(folder / "metrics.csv")
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {row["stamp"] for row in rows} == {PHANTOM_STAMP}
    assert float(rows[-1]["validation_kappa"]) == pytest.approx(
        result.validation[-1].scores["kappa"]
    )
    assert {"learning_rate", "train_loss", "validation_loss", "train_kappa"} <= rows[0].keys()


def test_two_runs_with_one_seed_are_equal_to_the_last_digit(
    finished: FinishedRun, tiny: Compose, tmp_path: Path
) -> None:
    torch.rand(5)
    run(tiny("optim.lr=0.001"), tmp_path)
    one, two = (
        [path.read_bytes() for path in sorted(folder.rglob("predictions.csv"))]
        for folder in (finished.folder, tmp_path)
    )
    assert len(one) == 2
    assert one == two


def test_another_seed_gives_other_predictions_on_the_same_knees(
    finished: FinishedRun, tiny: Compose, tmp_path: Path
) -> None:
    run(tiny("seed=1", "test=never"), tmp_path)
    one, two = (rows_of(folder / "predictions.csv") for folder in (finished.folder, tmp_path))
    assert [row["p0"] for row in one] != [row["p0"] for row in two]
    assert [(row["scan"], row["side"]) for row in one] == [
        (row["scan"], row["side"]) for row in two
    ]


def test_the_test_patients_stay_closed_where_asked(tiny: Compose, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    values = tiny("test=never")
    result = run(values, folder)
    assert result.test == []
    assert result.test_openings is None
    assert not (folder / "winner").exists()
    assert not (Path(values["paths"]["cache"]) / "test_openings.jsonl").exists()


@pytest.mark.slow
def test_each_opening_of_the_test_patients_is_counted(tiny: Compose, tmp_path: Path) -> None:
    values = tiny("trainer.max_epochs=1")
    counts = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        counts.append(run(values, tmp_path / name).test_openings)
    assert counts == [1, 2]
    ledger = (Path(values["paths"]["cache"]) / "test_openings.jsonl").read_text()
    assert [json.loads(line)["setting"] for line in ledger.splitlines()] == [
        read_config(values).setting_name
    ] * 2


def test_without_a_fold_the_one_fit_is_the_one_that_is_tested(
    tiny: Compose, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    result = run(tiny("data.fold=null"), folder)
    assert result.validation == []
    assert len(result.test) == 1
    assert not (folder / "predictions.csv").exists()
    (winner,) = (folder / "winner").iterdir()
    assert not (winner / "metrics.csv").exists()


def test_a_cohort_too_small_is_refused_before_anything_is_written(
    tiny: Compose, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(InputError, match=r"data.test_count: .* 40 patients .*, received 40"):
        run(tiny("data.test_count=40"), folder)
    assert files_under(folder) == set()


def test_a_network_that_diverges_is_one_sentence_not_a_constant_guess(
    tiny: Compose, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(InputError, match=r"diverged in epoch \d: .* lower optim\.lr"):
        run(tiny("optim=sgd", "optim.lr=1e38", "test=never"), folder)
    assert not (folder / "result.json").exists()


def test_a_finished_folder_is_never_written_over(finished: FinishedRun) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.folder.rglob("*")}
    with pytest.raises(InputError, match=r"one that is finished .*result\.json.* hydra\.run\.dir"):
        run(finished.values, finished.folder)
    assert {path: path.stat().st_mtime_ns for path in finished.folder.rglob("*")} == before


def test_a_cache_that_cannot_be_written_is_noticed_before_training(
    tiny: Compose, tmp_path: Path
) -> None:
    values = tiny("data=mat", f"data.root='{tmp_path / 'scans'}'")
    link(tmp_path / "scans", next((tmp_path / "cache").iterdir()))
    (tmp_path / "file").write_text("in the way")
    values["paths"]["cache"] = str(tmp_path / "file" / "cache")
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(OSError, match="Not a directory"):
        run(values, folder)
    assert files_under(folder) == set()


def test_scans_that_cannot_be_read_are_left_out_where_asked(
    tiny: Compose, phantom_folder: Path, tmp_path: Path
) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    for path in phantom_folder.glob("*.mat"):
        link(scans / path.name, path)
    last = max(scans.iterdir())
    last.unlink()
    last.write_bytes(b"hello")
    place = ("data=mat", f"data.root='{scans}'", "trainer.max_epochs=1")
    for name in ("stop", "skip"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=last.name):
        run(tiny(*place), tmp_path / "stop")
    result = run(tiny(*place, "data.on_error=skip"), tmp_path / "skip")
    assert [scores.patients for scores in result.test] == [7], (
        "the unreadable file keeps its place among the last eight"
    )


def test_groups_test_list_and_exclusions_come_from_files(
    tiny: Compose, phantom_folder: Path, tmp_path: Path
) -> None:
    names = sorted(path.stem for path in phantom_folder.glob("*.mat"))
    groups, tests, left_out = (tmp_path / name for name in ("g.csv", "시험 (1).txt", "x.txt"))
    groups.write_text(f"scan,patient\n{names[0]},twice\n{names[-1]},twice\n")
    tests.write_text("patient\ntwice\n" + "\n".join(names[1:8]))
    left_out.write_text(f"sep=;\nscan;why\n{names[9]};moved\n", encoding="utf-16")
    values = tiny("test=never", "trainer.max_epochs=1")
    values["data"] |= {
        "groups": str(groups),
        "test_list": str(tests),
        "exclude": str(left_out),
    }
    (tmp_path / "run").mkdir()
    run(values, tmp_path / "run")
    split = json.loads((tmp_path / "run" / "split.json").read_text(encoding="utf-8"))
    assert set(split["test"]) == {"twice", *names[1:8]}
    assert names[9] not in split["development"]
    cohort, _ = read_data(read_config(values))
    tested = {name for name, who in zip(cohort.scans, cohort.patients, strict=True)
              if who in split["test"]}  # fmt: skip
    assert {names[0], names[-1]} <= tested
    assert len(split["development"]) == 40 - 1 - 1 - 8


def test_scans_that_are_gone_at_the_end_cost_the_baselines_alone(
    finished: FinishedRun,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone(config: RunConfig) -> None:
        raise InputError("data.root: expected a folder, received nothing there")

    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    monkeypatch.setattr("djd.report.report.read_data", gone)
    with caplog.at_level("INFO", "djd"):
        report_run(folder, finished.result)
    assert (folder / "settings.csv").exists()
    assert "no baselines fitted: the scans can't be read again (data.root: expected" in caplog.text


def test_a_cell_validates_its_score_epochs_and_ten_others(tiny: Compose, tmp_path: Path) -> None:
    folder = tmp_path / "cell"
    folder.mkdir()
    run_cell(tiny("trainer.max_epochs=22", "score_epochs=[5]", "plots=false"), folder)
    rows = rows_of(folder / "metrics.csv")
    assert len(rows) == 22
    assert all(row["train_loss"] and "validation_recall_severe" in row for row in rows)
    validated = [int(row["epoch"]) for row in rows if row["validation_loss"]]
    assert validated == sorted({5, *range(2, 23, 2)})
    assert {row["epoch"] for row in rows_of(folder / "predictions.csv")} == {"5", "22"}
