"""`djd score`: who is scored and who isn't, scores against references, and what is refused."""

import json
import math
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from sklearn import metrics as reference
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from djd import load_model
from djd.data.cohort import read_cohort
from djd.data.crop import VIEW_INDICES
from djd.data.phantom.cohort import make_cohort
from djd.data.scan_files import find_scans
from djd.data.uptake import relative_uptake
from djd.models.model_content import COUNT_QUANTILES
from djd.predict.grading import Grader
from djd.predict.score_files import COLUMNS
from djd.predict.score_words import stamp_of
from djd.predict.scoring import baselines_of, distance_of, score_knees
from djd.runs.config import read_config
from djd.runs.reading import read_data
from djd.statistics.held_out import HeldOut
from tests.browser import Browser
from tests.data.mat_files import counts_image, write_v5
from tests.finished_run import FinishedRun
from tests.sweeping import rows_of
from tests.test_cli import run_djd

PATIENTS = 15
STAMP = "PHANTOM: invented scans, not patients"


class ScoredScans(NamedTuple):
    """Scans that the finished run knows nothing of, scored; nobody changes them."""

    scans: Path
    out: Path
    said: str

    @property
    def scores(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads((self.out / "scores.json").read_text())
        return values

    @property
    def rows(self) -> list[dict[str, str]]:
        return rows_of(self.out / "predictions.csv")


@pytest.fixture(scope="module")
def new_scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospital") / "스캔"
    make_cohort(folder, patients=PATIENTS, seed=7, style="soft")
    return folder


@pytest.fixture
def scored(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    finished: FinishedRun,
    new_scans: Path,
    tmp_path: Path,
) -> ScoredScans:
    out = tmp_path / "out"
    assert run_djd(monkeypatch, "score", finished.folder, new_scans, "--out", out) == 0
    return ScoredScans(new_scans, out, capsys.readouterr().out)


def numbers(rows: list[dict[str, str]], *columns: str) -> np.ndarray:
    return np.array([[float(row[column]) for column in columns] for row in rows])


def test_scores_are_those_of_scikit_learn_on_the_same_predictions(
    finished: FinishedRun, scored: ScoredScans
) -> None:
    rows, scores = scored.rows, scored.scores
    true, given = numbers(rows, "grade", "predicted").astype(int).T
    cohort = read_cohort(find_scans(scored.scans))
    assert true.tolist() == cohort.grades.tolist()
    grader = load_model(finished.folder)
    expected = grader.grade(find_scans(scored.scans))
    chosen = 2 * cohort.scan_index + cohort.side_index
    chances = numbers(rows, *(f"p{grade}" for grade in range(5)))
    np.testing.assert_allclose(chances, expected.probabilities[chosen], atol=1e-6)
    np.testing.assert_array_equal(given, expected.predicted[chosen])
    found = {name: value["value"] for name, value in scores["scores"]["model"].items()}
    kappa = reference.cohen_kappa_score(true, given, weights="quadratic", labels=range(5))
    right = {
        "kappa": kappa,
        "accuracy": reference.accuracy_score(true, given),
        "balanced_accuracy": reference.recall_score(
            true, given, labels=np.unique(true), average="macro", zero_division=0
        ),
        "off_by_one": (np.abs(true - given) <= 1).mean(),
        "brier": ((chances - np.eye(5)[true]) ** 2).sum(axis=1).mean(),
    }
    recalls = reference.recall_score(
        true, given, labels=range(5), average=None, zero_division=np.nan
    )
    precisions = reference.precision_score(
        true, given, labels=range(5), average=None, zero_division=np.nan
    )
    for place, name in enumerate(("normal", "minimal", "mild", "moderate", "severe")):
        right[f"recall_{name}"], right[f"precision_{name}"] = recalls[place], precisions[place]
    for name, value in right.items():
        received = math.nan if found[name] is None else found[name]
        assert received == pytest.approx(value, abs=1e-6, nan_ok=True), name
    np.testing.assert_array_equal(
        scores["confusion"], reference.confusion_matrix(true, given, labels=range(5))
    )
    accuracy = scores["scores"]["model"]["accuracy"]
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]


def test_the_files_and_the_terminal_say_research_use_only_and_phantom(scored: ScoredScans) -> None:
    assert tuple(scored.rows[0]) == COLUMNS
    assert {(row["use"], row["stamp"]) for row in scored.rows} == {("research use only", STAMP)}
    assert (scored.scores["use"], scored.scores["stamp"]) == ("research use only", STAMP)
    page = (scored.out / "score.html").read_text()
    for text in (scored.said, page):
        assert STAMP in text
        assert "research use only" in text.lower()
    assert page.count('alt="') == page.count("<img") == 3
    assert "http" not in page
    knees = len(scored.rows)
    assert f"scored: {knees} knees of {PATIENTS} patients" in scored.said
    chances = numbers(scored.rows, "p0")[:, 0]
    ill = numbers(scored.rows, "grade")[:, 0] > 0
    predicted, observed = 100 * (1 - chances).mean(), 100 * ill.mean()
    average = f"{predicted:.0f} % predicted on average, {observed:.0f} % observed"
    assert f"Any disease: {average}" in scored.said
    far, well = scored.said.index("Counts a pixel"), scored.said.index("Quadratic kappa")
    assert far < well, "first how far the scans lie from the training"


def test_training_patients_are_left_out_and_test_patients_open_the_ledger(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    finished: FinishedRun,
    phantom_folder: Path,
    tmp_path: Path,
) -> None:
    # A copy of the run with a cache of its own: the shared one's ledger stays as it is.
    run, cache = tmp_path / "run", tmp_path / "cache"
    shutil.copytree(finished.folder, run)
    config = (run / "config.yaml").read_text()
    own = finished.values["paths"]["cache"]
    assert own in config
    (run / "config.yaml").write_text(config.replace(own, str(cache)))
    cohort, split = read_data(read_config(finished.values))
    test = np.isin(cohort.knee_patients, split.test)
    for openings in (1, 2):
        out = tmp_path / f"out{openings}"
        assert run_djd(monkeypatch, "score", run, phantom_folder, "--out", out) == 0
        said = capsys.readouterr().out
        assert f"left out: {(~test).sum()} knees of patients whom the model was trained on" in said
        assert f"test patients of the model's own cohort: {test.sum()} knees" in said
        assert f"{openings} opening" in said
        lines = (cache / "test_openings.jsonl").read_text().splitlines()
        assert len(lines) == openings
    ours = json.loads(lines[-1])
    theirs = json.loads((finished.folder / "test_openings.jsonl").read_text().splitlines()[-1])
    assert ours["test_scans"] == theirs["test_scans"]
    assert {row["patient"] for row in rows_of(out / "predictions.csv")} == set(split.test)
    # The same knees as the run's own table has.
    own_rows = rows_of(finished.winner / "predictions.csv")
    last = [row for row in own_rows if row["epoch"] == own_rows[-1]["epoch"]]
    np.testing.assert_allclose(
        numbers(rows_of(out / "predictions.csv"), "p0", "p4"), numbers(last, "p0", "p4"), atol=1e-6
    )


def test_new_scans_open_no_ledger(finished: FinishedRun, scored: ScoredScans) -> None:
    assert scored.scores["test_patients"] == {"knees": 0, "openings": 0}
    ledger = Path(finished.values["paths"]["cache"]) / "test_openings.jsonl"
    fingerprint = read_cohort(find_scans(scored.scans)).fingerprint()
    assert fingerprint not in ledger.read_text()


def test_the_opening_is_in_the_ledger_before_anything_is_graded(
    monkeypatch: pytest.MonkeyPatch, finished: FinishedRun, phantom_folder: Path, tmp_path: Path
) -> None:
    def stopped(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Grader, "grade_each", stopped)
    given = ("--out", tmp_path / "out", "--cache", tmp_path)
    assert run_djd(monkeypatch, "score", finished.folder, phantom_folder, *given) == 130
    assert len((tmp_path / "test_openings.jsonl").read_text().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> str:
    capsys.readouterr()
    assert run_djd(monkeypatch, "score", *arguments) == 2
    said = capsys.readouterr()
    assert said.err.strip().count("\n") == 0
    assert "expected" in said.err
    assert "Quadratic kappa" not in said.out
    return said.err


def test_nothing_but_training_knees_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    finished: FinishedRun,
    phantom_folder: Path,
    tmp_path: Path,
) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    for path in sorted(phantom_folder.glob("*.mat"))[:3]:  # the last eight are the test patients
        shutil.copy(path, scans)
    out = tmp_path / "out"
    said = refused(monkeypatch, capsys, finished.folder, scans, "--out", out)
    assert "patients whom the model was not trained on" in said
    assert not out.exists()
    # Both knees of a patient are left out, also where the model saw one of them alone.
    test = sorted(phantom_folder.glob("*.mat"))[-1]
    shutil.copy(test, scans)
    groups = tmp_path / "groups.csv"
    names = [path.stem for path in sorted(scans.glob("*.mat"))]
    groups.write_text("scan,patient\n" + "".join(f"{name},A\n" for name in names))
    said = refused(monkeypatch, capsys, finished.folder, scans, "--groups", groups, "--out", out)
    assert "patients whom the model was not trained on" in said


def test_scans_without_grades_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    finished: FinishedRun,
    tmp_path: Path,
) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    write_v5(scans / "1.mat", {"Y": counts_image(1)})
    said = refused(monkeypatch, capsys, finished.folder, scans, "--out", tmp_path / "out")
    assert str(scans) in said
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_bad_file_is_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    finished: FinishedRun,
    new_scans: Path,
    tmp_path: Path,
) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    for path in sorted(new_scans.glob("*.mat"))[:6]:
        shutil.copy(path, scans)
    (scans / "bad.mat").write_bytes(b"hello")
    assert run_djd(monkeypatch, "score", finished.folder, scans, "--out", out) == 1
    assert f"left out: {scans / 'bad.mat'}" in capsys.readouterr().out
    assert list(json.loads((out / "scores.json").read_text())["left_out"]["unreadable"]) == ["bad"]
    exclude = ("--exclude", "bad", "--out", out)
    assert run_djd(monkeypatch, "score", finished.folder, scans, *exclude) == 0


def test_predictions_of_a_training_are_never_overwritten(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    finished: FinishedRun,
    new_scans: Path,
) -> None:
    before = (finished.winner / "predictions.csv").read_bytes()
    said = refused(monkeypatch, capsys, finished.folder, new_scans, "--out", finished.winner)
    assert "choose another --out" in said
    assert (finished.winner / "predictions.csv").read_bytes() == before
    file = finished.winner / "predictions.csv"
    assert "received a file" in refused(
        monkeypatch, capsys, finished.folder, new_scans, "--out", file
    )


def test_the_baselines_are_fitted_on_the_training_knees(
    finished: FinishedRun, new_scans: Path
) -> None:
    content = load_model(finished.folder).models[0].content
    cohort, split = read_data(read_config(finished.values))
    train = np.isin(cohort.knee_patients, split.development)
    fresh = read_cohort(find_scans(new_scans)).crops
    views = VIEW_INDICES[content.crops.views]
    known, new = (
        relative_uptake(crops[:, views]).reshape(len(crops), -1)
        for crops in (cohort.crops[train], fresh)
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(known, cohort.grades[train])
    expected = np.zeros((len(fresh), 5))
    expected[:, model.classes_] = model.predict_proba(new)
    found = baselines_of(content, fresh)
    np.testing.assert_allclose(found["uptake"], expected, atol=1e-4)
    shares = np.bincount(cohort.grades[train], minlength=5) / train.sum()
    np.testing.assert_allclose(found["majority"], np.tile(shares, (len(fresh), 1)))


def graded(grades: np.ndarray, predicted: np.ndarray) -> HeldOut:
    knees = tuple((f"{scan:03}", side, f"{scan:03}") for scan in range(100) for side in ("r", "l"))
    chances = 0.8 * np.eye(5)[predicted] + 0.04
    return HeldOut.of_knees(knees, grades, predicted, chances)


def test_shuffled_grades_give_no_kappa() -> None:
    random = np.random.default_rng(0)
    predicted = random.integers(0, 5, 200)
    near = np.clip(predicted + random.integers(-1, 2, 200), 0, 4)
    flat = {"majority": np.full((200, 5), 0.2), "uptake": 0.8 * np.eye(5)[near] + 0.04}
    kappa = score_knees(graded(near, predicted), flat).graders["model"].scores["kappa"]
    assert kappa.low > 0.7
    found = score_knees(graded(random.permutation(near), predicted), flat)
    kappa = found.graders["model"].scores["kappa"]
    assert abs(kappa.value) < 0.2
    assert kappa.low < 0 < kappa.high
    diseased = sum(each.observed.value * each.knees for each in found.reliability)
    assert diseased == pytest.approx((near > 0).sum())
    assert all(each.observed.low < each.observed.high for each in found.reliability)


def test_the_distance_counts_knees_outside_the_training_range() -> None:
    random = np.random.default_rng(1)
    crops = random.poisson(20, (50, 2, 128, 128)).astype(np.uint16)
    crops[:10, 0] *= 3
    means = random.normal(20, 0.05, (2, 5000))
    quantiles = np.quantile(means, COUNT_QUANTILES, axis=1).T
    flags = [("flat", "trained on")] * 5 + [("trained on",)] * 40 + [("unlike", "flat")] * 5
    found = distance_of(crops, flags, quantiles, has_features=True)
    anterior, posterior = found.counts
    assert anterior.outside == pytest.approx(0.2, abs=0.05)
    assert posterior.outside < 0.1
    assert posterior.median == pytest.approx(np.median(crops[:, 1].mean(axis=(1, 2))))
    assert posterior.training_median == pytest.approx(np.median(means[1]))
    assert found.flagged == {"flat": 0.2, "unlike": 0.1}
    assert found.any_flag == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("model", "scans", "expected"),
    [
        (None, None, None),
        (STAMP, STAMP, STAMP),
        (None, STAMP, f"{STAMP} (the scored scans)"),
        (STAMP, None, f"{STAMP} (the model's training)"),
        ("LEAK", STAMP, f"LEAK (the model's training). {STAMP} (the scored scans)"),
    ],
)
def test_the_stamp_says_whose_it_is(
    model: str | None, scans: str | None, expected: str | None
) -> None:
    assert stamp_of(model, scans) == expected


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_never_scrolls_sideways(browser: Browser, scored: ScoredScans, width: int) -> None:
    browser.open(scored.out / "score.html", width=width)
    assert browser.ask("return document.documentElement.scrollWidth") == width
