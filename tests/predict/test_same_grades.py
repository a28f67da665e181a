"""New scans are graded as the test patients were scored: the predictions of each kind of winner."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from djd import load_model
from djd.predict.grading import GradedScan, Grader, KneeGrades
from djd.runs.predictions import read_predictions
from djd.statistics.deciding import expected_grade
from djd.statistics.held_out import HeldOut
from tests.conftest import Compose
from tests.training import run_cell, run_refit

FIXED = ("data.fold=null", "score_epochs=[]")
CUTS = "cuts:{2:[1.8,1.9,2.0,2.1]}"


def refit(tiny: Compose, tmp_path: Path, *overrides: str) -> Path:
    """A winner's folder, as a sweep has it."""
    folder = tmp_path / "sweep" / "winner" / "best"
    folder.mkdir(parents=True)
    assert run_refit(tiny(*FIXED, *overrides), folder)
    return folder


def kept(folder: Path) -> HeldOut:
    return read_predictions(folder / "predictions.csv")["2"]


def opened(folder: Path, scans: Path) -> list[Path]:
    return [scans / f"{name}.mat" for name in dict.fromkeys(each[0] for each in kept(folder).knees)]


def require_same(folder: Path, graded: KneeGrades) -> None:
    """The rows of a winner's predictions are among the graded knees."""
    expected = kept(folder)
    place = {knee: at for at, knee in enumerate(zip(graded.scans, graded.sides, strict=True))}
    rows = [place[scan, side] for scan, side, _ in expected.knees]  # type: ignore[index]
    np.testing.assert_allclose(graded.probabilities[rows], expected.probabilities, atol=1e-6)
    assert graded.predicted[rows].tolist() == expected.predicted.tolist()
    np.testing.assert_allclose(
        graded.expected[rows], expected_grade(expected.probabilities), atol=1e-5
    )


@pytest.mark.parametrize(
    "overrides",
    [
        ("recipe=best",),
        ("model=cnn", "data.scaling=counts", "model.clip_logits=true", "optim.lr=1e-4"),
        ("model=cnn", "data.crop=robust", "data.views=both"),
        ("model=residual", "data.pixels=64", "loss=corn", "loss.class_weights=balanced"),
        ("data.views=both", "data.mirror_left=true", "data.scaling=sqrt", "loss=soft"),
        ("model=pooled", "data.views=both", "model.uptake=true", "model.both_knees=true"),
        ("model=pooled", "data.views=each", "model.uptake=true", "model.both_knees=true"),
        ("members=3", "fitted={seeds:[0,4,5]}", "loss=ordinal"),
        ("decide=shares", f"fitted={{{CUTS}}}"),
        (
            "members=2",
            "decide=shares",
            "calibrate=temperature",
            f"fitted={{seeds:[0,4],temperature:{{2:1.7}},{CUTS}}}",
        ),
    ],
    ids=lambda overrides: " ".join(overrides[:2]),
)
def test_each_kind_of_winner_grades_the_test_patients_as_it_was_scored(
    tiny: Compose, tmp_path: Path, phantom_folder: Path, overrides: tuple[str, ...]
) -> None:
    folder = refit(tiny, tmp_path, *overrides)
    grader = load_model(folder)
    require_same(folder, grader.grade(opened(folder, phantom_folder)))
    assert grader.stamp == "PHANTOM: invented scans, not patients"


@pytest.mark.slow
def test_networks_of_folds_grade_together_out_of_one_file(
    tiny: Compose, tmp_path: Path, phantom_folder: Path
) -> None:
    for fold in range(3):
        cell = tmp_path / "sweep" / f"fold={fold}"
        cell.mkdir(parents=True)
        run_cell(tiny(f"data.fold={fold}", "score_epochs=[]"), cell)
    cells = "fitted={cells:['fold=0','fold=1','fold=2'],temperature:{2:0.6}}"
    folder = refit(tiny, tmp_path, "winner=folds", cells, "calibrate=temperature")
    grader = load_model(folder / "model.ckpt")
    assert len(grader.models[0].networks) == 3
    require_same(folder, grader.grade(opened(folder, phantom_folder)))


@pytest.fixture(scope="module")
def whole(
    phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[Path, Grader]]:
    """Winners of networks of both knees, by their overrides; each is trained once."""
    from functools import cache, partial

    from tests.conftest import tiny_values

    @cache
    def made(*overrides: str) -> tuple[Path, Grader]:
        root = tmp_path_factory.mktemp("winner")
        options = ("model=pooled", "model.both_knees=true", "model.uptake=true")
        folder = refit(partial(tiny_values, phantom_folder, root), root, *options, *overrides)
        return folder, load_model(folder)

    return made


Made = Callable[..., tuple[Path, Grader]]


def test_results_do_not_depend_on_the_scans_beside(whole: Made, phantom_folder: Path) -> None:
    _, grader = whole()
    scans = sorted(phantom_folder.glob("*.mat"))[:7]
    together = grader.grade(scans)
    for at_once in (0, 1, 3):
        some = grader.grade(iter(scans), at_once=at_once)
        np.testing.assert_allclose(some.probabilities, together.probabilities, atol=1e-6)
        assert some.scans == together.scans
    assert len(together) == 14
    assert together.sides == ("right", "left") * 7


def test_types_shapes_and_ranges_are_those_of_the_docstring(
    whole: Made, phantom_folder: Path
) -> None:
    from djd import read_scan

    _, grader = whole()
    paths = sorted(phantom_folder.glob("*.mat"))[:2]
    graded = grader.grade([read_scan(paths[0]), str(paths[1])])
    assert graded.scans == tuple(path.stem for path in paths for _ in range(2))
    assert graded.probabilities.dtype == np.float32
    assert graded.probabilities.shape == (4, 5)
    assert graded.predicted.dtype == np.uint8
    assert graded.expected.dtype == graded.entropy.dtype == np.float32
    chances: NDArray[np.float64] = graded.probabilities.astype(np.float64)
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(graded.expected, chances @ np.arange(5), atol=1e-5)
    np.testing.assert_allclose(
        graded.entropy, -(chances * np.log(np.maximum(chances, 1e-30))).sum(axis=1), atol=1e-5
    )
    nothing = grader.grade([])
    assert len(nothing) == 0
    assert nothing.probabilities.shape == (0, 5)


def test_one_scan_alone_is_no_list_of_letters(whole: Made, phantom_folder: Path) -> None:
    _, grader = whole()
    path = min(phantom_folder.glob("*.mat"))
    assert grader.grade(str(path)).scans == (path.stem,) * 2


def test_a_scan_that_cannot_be_read_costs_itself_alone(
    whole: Made, phantom_folder: Path, tmp_path: Path
) -> None:
    _, grader = whole()
    good = sorted(phantom_folder.glob("*.mat"))[:3]
    bad = tmp_path / "bad.mat"
    bad.write_bytes(b"hello")
    each = list(grader.grade_each([good[0], bad, good[1], tmp_path / "none.mat", good[2]]))
    assert [isinstance(one, GradedScan) for one in each] == [True, False, True, False, True]
    assert str(bad) in str(each[1].error)  # type: ignore[union-attr]
    alone = grader.grade(good)
    assert isinstance(each[4], GradedScan)
    np.testing.assert_allclose(each[4].probabilities, alone.probabilities[4:], atol=1e-6)
    with pytest.raises(Exception, match=r"bad\.mat: "):
        grader.grade([good[0], bad])


@pytest.mark.slow
def test_models_grade_together_by_their_mean(whole: Made, phantom_folder: Path) -> None:
    rule = ("decide=shares", "calibrate=temperature")
    one, first = whole(*rule, "fitted={temperature:{2:1.5},cuts:{2:[1,2,3,4]}}")
    two, second = whole(*rule, "seed=3", "fitted={temperature:{2:0.5},cuts:{2:[0,1,2,3]}}")
    both = load_model(one, two)
    scans = sorted(phantom_folder.glob("*.mat"))[:5]
    graded = both.grade(scans)
    mean = (first.grade(scans).probabilities + second.grade(scans).probabilities) / 2
    np.testing.assert_allclose(graded.probabilities, mean, atol=1e-6)
    assert both.decision.cuts == (0.5, 1.5, 2.5, 3.5)
    assert both.decision.temperature == 1
    reached = (graded.expected[:, None] >= np.array(both.decision.cuts)).sum(axis=1)
    assert graded.predicted.tolist() == reached.tolist()


def test_models_of_several_rules_are_refused(whole: Made) -> None:
    one, _ = whole()
    two, _ = whole("decide=median")
    with pytest.raises(Exception, match=r"decide=likeliest\), received decide=median"):
        load_model(one, two)


def test_a_file_without_labels_has_both_knees(
    whole: Made, phantom_folder: Path, tmp_path: Path
) -> None:
    from scipy.io import savemat

    from djd import read_scan

    _, grader = whole()
    path = next(
        each for each in sorted(phantom_folder.glob("*.mat")) if None not in read_scan(each).grades
    )
    image = np.moveaxis(read_scan(path).counts, 0, -1)
    bare = tmp_path / path.name
    savemat(bare, {"Y": image})
    np.testing.assert_allclose(
        grader.grade(bare).probabilities, grader.grade(path).probabilities, atol=1e-6
    )


def test_memory_holds_the_scans_of_two_batches(
    whole: Made, phantom_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, grader = whole()
    path = min(phantom_folder.glob("*.mat"))
    asked: list[int] = []

    def scans() -> object:
        for number in range(10):
            asked.append(number)
            yield path

    each: Any = grader.grade_each(scans(), at_once=2)  # type: ignore[arg-type]
    next(each)
    each.close()  # waits for the batch that is read meanwhile
    assert asked == [0, 1, 2, 3]
