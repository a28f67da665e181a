"""What a model file knows of its training cohort, and the knees that it makes doubtful."""

from pathlib import Path

import numpy as np
import pytest

from djd import load_model
from djd.predict.doubts import model_cut
from djd.predict.grading import GradedScan, Grader
from djd.runs.predictions import read_predictions
from djd.statistics.risk_coverage import entropy
from tests.finished_run import FinishedRun
from tests.sweeping import Sweep, rows_of
from tests.test_cli import run_djd


def graded(grader: Grader, scans: list[Path]) -> list[GradedScan]:
    return [each for each in grader.grade_each(scans) if isinstance(each, GradedScan)]


def test_a_runs_model_holds_its_validation_knees_out_of_fold(finished: FinishedRun) -> None:
    training = load_model(finished.folder).models[0].content.training
    kept = read_predictions(finished.folder / "predictions.csv")["2"]
    assert training.out_of_fold is not None
    assert training.out_of_fold_grades is not None
    found = training.out_of_fold.numpy()
    assert found.shape == (1, len(kept.grades), 5)
    order = np.lexsort(found[0].T)
    expected = np.lexsort(kept.probabilities.T)
    np.testing.assert_allclose(found[0][order], kept.probabilities[expected], atol=1e-6)
    assert np.bincount(training.out_of_fold_grades.numpy(), minlength=5).tolist() == [
        *np.bincount(kept.grades, minlength=5)
    ]
    assert len(training.knee_patients) == len(training.features) == len(training.digests)
    assert len(np.unique(training.knee_patients.numpy())) == training.patients


@pytest.mark.slow
def test_a_sweeps_model_holds_every_development_knee_out_of_fold(sweep: Sweep) -> None:
    training = load_model(sweep.folder).models[0].content.training
    assert training.out_of_fold is not None
    assert training.out_of_fold.shape[1] == len(training.digests)
    depth = load_model(sweep.folder).models[0].content.network["depth"]
    rows = [
        row
        for file in sweep.folder.glob(f"depth={depth} fold=*/predictions.csv")
        for row in rows_of(file)
    ]
    last = max(int(row["epoch"]) for row in rows)
    expected = {
        tuple(round(float(row[f"p{grade}"]), 6) for grade in range(5))
        for row in rows
        if int(row["epoch"]) == last
    }
    found = {tuple(np.round(row.astype(float), 6)) for row in training.out_of_fold.numpy()[0]}
    assert len(found) == len(expected)
    np.testing.assert_allclose(sorted(found), sorted(expected), atol=2e-6)


def test_knees_that_were_trained_on_are_marked_and_no_others(
    finished: FinishedRun, phantom_folder: Path
) -> None:
    scans = sorted(phantom_folder.glob("*.mat"))
    grader = load_model(finished.folder)
    test = {scan for scan, _, _ in read_predictions(finished.winner / "predictions.csv")["2"].knees}
    for each in graded(grader, [*scans[:3], *scans[-3:]]):
        for side in range(2):
            marked = "trained on" in each.flags[side]
            # An unspecified knee trained nothing.
            assert marked == (each.name not in test and bool(each.present[side]))


def test_probabilities_flatter_than_nearly_all_out_of_fold_are_flagged(
    finished: FinishedRun, phantom_folder: Path
) -> None:
    grader = load_model(finished.folder)
    (each,) = graded(grader, sorted(phantom_folder.glob("*.mat"))[:1])
    limits = grader.doubts.limits
    even = np.full((2, 5), 0.2)
    sure = np.eye(5)[[0, 3]]
    features = np.tile(grader.doubts.likeness.mean.astype(np.float32), (2, 1))
    assert (entropy(even) > limits.entropy).all()
    for probabilities, expected in ((even, True), (sure, False)):
        members = probabilities[None]
        flags = grader.doubts.flags(
            each.counts, each.crops, each.places, members, probabilities, features
        )
        assert ["flat" in of_knee for of_knee in flags] == [expected] * 2
        assert not any("unlike" in of_knee for of_knee in flags)
    far = grader.doubts.flags(
        each.counts, each.crops, each.places, sure[None], sure, features + 1e6
    )
    assert all("unlike" in of_knee for of_knee in far)


def test_the_cut_rests_on_the_normal_knees_out_of_fold(finished: FinishedRun) -> None:
    grader = load_model(finished.folder)
    training = grader.models[0].content.training
    assert training.out_of_fold is not None
    assert training.out_of_fold_grades is not None
    normal = training.out_of_fold_grades.numpy() == 0
    cut = model_cut(grader.models, 0.8)
    assert cut
    assert cut.normals == normal.sum()
    chances = 1 - training.out_of_fold.numpy()[0, normal, 0].astype(float)
    assert (chances < cut.probability).mean() >= 0.8
    assert model_cut([*grader.models, *grader.models], 0.8) is None


def test_a_patient_is_a_row_and_a_picture(
    monkeypatch: pytest.MonkeyPatch, finished: FinishedRun, phantom_folder: Path, tmp_path: Path
) -> None:
    first, second = sorted(phantom_folder.glob("*.mat"))[-2:]
    (other := tmp_path / "다른 folder").mkdir()
    (other / first.name).write_bytes(second.read_bytes())
    out = tmp_path / "out"
    command = ("predict", finished.folder, first, other / first.name, "--out", out)
    assert run_djd(monkeypatch, *command, "--specificity", "0.8") == 0
    rows = rows_of(out / "patients.csv")
    assert [row["scan"] for row in rows] == [first.stem] * 2
    assert {row["specificity"] for row in rows} == {"0.8"}
    knees = rows_of(out / "predictions.csv")
    for row, right, left in zip(rows, knees[::2], knees[1::2], strict=True):
        means = float(right["expected"]), float(left["expected"])
        assert row["worse_side"] == ("left" if means[1] > means[0] else "right")
        assert float(row["asymmetry"]) == pytest.approx(means[0] - means[1], abs=1e-4)
    pictures = {knee["picture"] for knee in knees}
    assert len(pictures) == 2  # scans of one name have two
    assert all((out / each).read_bytes().startswith(b"\x89PNG") for each in pictures)
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "PHANTOM" in page
    (out / sorted(pictures)[0]).unlink()
    assert run_djd(monkeypatch, *command) == 0
    assert (out / sorted(pictures)[0]).exists()
