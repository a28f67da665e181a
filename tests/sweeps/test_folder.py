import json
import shutil
from pathlib import Path

import pytest

from djd.errors import InputError
from djd.runs.keys import AxisValue
from djd.sweeps.folder import plan_and_save
from djd.sweeps.setting_scores import score_settings
from djd.sweeps.sweep import read_folder
from tests.sweeps.invented_cells import DIGEST, cell, leave_comparison

AXES: dict[str, tuple[AxisValue, ...]] = {"model.depth": (1, 2), "optim": ("sgd", "momentum")}


def test_a_comparison_comes_back_as_it_was_left(tmp_path: Path) -> None:
    planned = leave_comparison(tmp_path, AXES)
    contents = read_folder(tmp_path)
    assert [each.folder for each in contents.cells] == [each.folder for each in planned]
    assert [each.axes for each in contents.cells] == [each.axes for each in planned]
    assert len(contents.finished) == 12
    assert contents.stamp == "PHANTOM: invented scans, not patients"
    settings, incomplete = score_settings(contents.cells, contents.finished)
    assert len(settings) == 2 * 2 * 3
    assert incomplete == 0


@pytest.mark.parametrize("name", ["depth=2 optim=sgd fold=1", "depth=2 optim=momentum fold=0"])
def test_a_cell_that_was_never_started_is_known_from_the_plan(tmp_path: Path, name: str) -> None:
    leave_comparison(tmp_path, AXES, untrained=[name])
    contents = read_folder(tmp_path)
    assert [each.folder.name for each in contents.to_do] == [name]
    assert contents.notes == ()
    settings, incomplete = score_settings(contents.cells, contents.finished)
    assert len(settings) == 9
    assert incomplete == 3


def test_cells_from_before_an_axis_was_added_stand_on_it_too(tmp_path: Path) -> None:
    never = "depth=2 fold=2"
    leave_comparison(tmp_path, {"model.depth": (1, 2)}, untrained=[never])
    both = {"model.depth": (1,), "optim": ("adam", "sgd")}
    leave_comparison(tmp_path, both)
    contents = read_folder(tmp_path)
    assert contents.notes == ()
    assert {each.folder.name: each.axes["optim"] for each in contents.cells} == {
        **{f"depth={depth} fold={fold}": "adam" for depth in (1, 2) for fold in range(3)},
        **{f"depth=1 fold={fold} optim=sgd": "sgd" for fold in range(3)},
    }
    assert [each.folder.name for each in contents.to_do] == [never]


def test_a_failed_cell_keeps_its_reason(tmp_path: Path) -> None:
    name = "depth=1 optim=sgd fold=0"
    leave_comparison(tmp_path, AXES, untrained=[name])
    (tmp_path / name).mkdir()
    (tmp_path / name / "error.txt").write_text("ValueError: too hot\n", encoding="utf-8")
    ((planned, reason),) = read_folder(tmp_path).failed
    assert planned.folder.name == name
    assert "too hot" in reason


def test_what_lies_in_the_wrong_folder_is_not_taken_for_a_cell(tmp_path: Path) -> None:
    leave_comparison(tmp_path, AXES)
    one, other = tmp_path / "depth=1 optim=sgd fold=0", tmp_path / "depth=2 optim=sgd fold=0"
    shutil.rmtree(one)
    shutil.copytree(other, one)
    contents = read_folder(tmp_path)
    assert [each.folder.name for each in contents.to_do] == [one.name]


def test_a_damaged_cell_costs_itself_alone(tmp_path: Path) -> None:
    leave_comparison(tmp_path, AXES)
    (tmp_path / "depth=1 optim=sgd fold=0" / "result.json").write_bytes(b"{")
    (tmp_path / "depth=1 optim=sgd fold=1" / "config.yaml").write_bytes(b"\xff")
    contents = read_folder(tmp_path)
    assert [each.folder.name for each in contents.to_do] == ["depth=1 optim=sgd fold=0"]
    assert len(contents.finished) == 11


def test_cells_scored_at_different_epochs_are_compared_where_all_were(tmp_path: Path) -> None:
    planned = leave_comparison(tmp_path, {"model.depth": (1,)})
    result = planned[0].folder / "result.json"
    values = json.loads(result.read_text(encoding="utf-8"))
    values["validation"] = [each for each in values["validation"] if each["epoch"] != 50]
    values["config"]["score_epochs"] = [25]
    result.write_text(json.dumps(values), encoding="utf-8")
    config = planned[0].config.model_copy(update={"score_epochs": (25,)})
    (planned[0].folder / "config.yaml").write_text(config.as_yaml(), encoding="utf-8")
    contents = read_folder(tmp_path)
    settings, _ = score_settings(contents.cells, contents.finished)
    assert sorted(each.epochs for each in settings) == [25, 100]


def test_a_plan_without_any_cell_to_go_by_is_said_to_be_unknown(tmp_path: Path) -> None:
    plan_and_save(tmp_path, [cell({"model.depth": 1})], digest=DIGEST, arguments=())
    contents = read_folder(tmp_path)
    assert contents.cells == ()
    assert contents.notes == ("left out: depth=1: it isn't known what was to be trained there",)


@pytest.mark.parametrize(
    ("make", "received"),
    [
        (lambda folder: None, "nothing there"),
        (lambda folder: folder.write_bytes(b""), "a file"),
        (lambda folder: folder.mkdir(), "neither"),
    ],
)
def test_another_folder_is_one_sentence(tmp_path: Path, make, received: str) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "엉뚱한 folder")
    with pytest.raises(InputError, match=f"expected the folder of a sweep .* received {received}"):
        read_folder(tmp_path / "엉뚱한 folder")


def test_the_folder_above_names_the_one_that_was_meant(tmp_path: Path) -> None:
    leave_comparison(tmp_path / "sweep", {"model.depth": (1,)})
    with pytest.raises(InputError, match=r"did you mean .*sweep"):
        read_folder(tmp_path)


def test_a_run_that_is_not_finished_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("a: 1", encoding="utf-8")
    with pytest.raises(InputError, match="a run that isn't finished"):
        read_folder(tmp_path)
