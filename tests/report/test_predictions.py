from pathlib import Path

import numpy as np
import pytest

from djd.errors import InputError
from djd.runs.predictions import read_predictions
from djd.runs.result import RunResult
from djd.statistics.held_out import HeldOut
from djd.sweeps.out_of_fold import predictions_at
from tests.sweeps.invented_cells import cell, grades_of, leave_cell


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    config = cell({"model.depth": 2, "data.fold": 1}).config
    leave_cell(tmp_path, config, range(5), {25: 0.5, 50: 0.5, 100: 0.9}, seed=3)
    return tmp_path


def validation(folder: Path) -> dict[int, HeldOut]:
    return predictions_at(folder, RunResult.load(folder / "result.json").validation)


def test_every_knee_comes_back_at_every_score_epoch(folder: Path) -> None:
    read = validation(folder)
    assert list(read) == [25, 50, 100]
    for each in read.values():
        np.testing.assert_array_equal(each.grades, grades_of(range(5)).ravel())
        np.testing.assert_array_equal(each.probabilities.argmax(axis=1), each.predicted)
        scans = ("0000000", "0000000", "0000001")
        assert each.knees[:3] == tuple(zip(scans, ("right", "left", "right"), scans, strict=True))
        assert list(each.patient[:3]) == [0, 0, 1]


def test_columns_may_stand_in_any_order_and_among_others(folder: Path) -> None:
    path = folder / "predictions.csv"
    before = read_predictions(path)["100"]
    lines = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
    turned = [",".join(["extra", *reversed(line)]) for line in lines]
    path.write_text("\n".join(turned), encoding="utf-8")
    after = read_predictions(path)["100"]
    assert after.knees == before.knees
    np.testing.assert_array_equal(after.probabilities, before.probabilities)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0000001,0000001,right", "0000001,0000001,middle"),
        ("0000001,0000001,left", "0000001,0000001,right"),
        (",0.1,", ",nan,"),
        (",0.1,", ",-0.1,"),
        (",0.6,", ",6,"),
        ("scan,patient", "scan,person"),
        ("\n", "\n0000009,0000009\n"),
        ("grade", "\x00"),
    ],
)
def test_a_damaged_file_is_one_sentence(folder: Path, old: str, new: str) -> None:
    path = folder / "predictions.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=r"predictions\.csv: expected the predictions of a train"):
        validation(folder)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"scan"])
def test_a_file_of_something_else_is_one_sentence(folder: Path, content: bytes) -> None:
    (folder / "predictions.csv").write_bytes(content)
    with pytest.raises(InputError, match="received a damaged file"):
        validation(folder)


def test_a_missing_file_is_said_to_be_missing(folder: Path) -> None:
    (folder / "predictions.csv").unlink()
    with pytest.raises(InputError, match="received no file"):
        validation(folder)


def test_predictions_that_the_result_does_not_count_are_refused(folder: Path) -> None:
    path = folder / "predictions.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(lines[:-1]), encoding="utf-8")
    with pytest.raises(InputError, match=r"expected the 10 predictions at epoch 100 that result"):
        validation(folder)


def test_repeats_are_kept_apart_and_folds_put_together(folder: Path) -> None:
    one = validation(folder)
    arrays = HeldOut.joined([[one[25]], [one[100]]])
    counts = arrays.counts()
    assert counts.shape == (2, 5, 5, 5)
    np.testing.assert_array_equal(counts[0].sum(axis=0), one[25].confusion())
    np.testing.assert_array_equal(counts[1].sum(axis=0), one[100].confusion())
    np.testing.assert_array_equal(counts.sum(axis=(0, 2, 3)), [4] * 5)
    np.testing.assert_allclose(arrays.mean_counts().sum(axis=(1, 2)), [2] * 5)
