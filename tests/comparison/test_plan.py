from pathlib import Path
from typing import Any

import pytest

from djd.comparison.cells import AxisValue
from djd.comparison.plan import Plan, PlannedCell, plan_cells, save_plan
from djd.errors import InputError
from tests.comparison.invented_cells import cell


def planned(
    folder: Path, cells: list[dict[str, AxisValue]], *, digest: str = "cohort", **fixed: Any
) -> list[PlannedCell]:
    """Plan and save, as a sweep does."""
    plan, there = plan_cells(
        folder, [cell(axes, **fixed) for axes in cells], digest=digest, arguments=["-m"]
    )
    save_plan(folder, plan)
    return there


def names(cells: list[PlannedCell]) -> list[str]:
    return [each.folder.name for each in cells]


def test_cells_lie_side_by_side_below_the_comparison(tmp_path: Path) -> None:
    there = planned(
        tmp_path, [{"model.depth": 1, "data.fold": 0}, {"model.depth": 1, "data.fold": 1}]
    )
    assert names(there) == ["depth=1 fold=0", "depth=1 fold=1"]
    assert {each.folder.parent for each in there} == {tmp_path}
    assert there[0].setting_axes == {"model.depth": 1}


def test_a_grown_axis_leaves_finished_cells_where_they_are(tmp_path: Path) -> None:
    planned(tmp_path, [{"model.depth": 1}, {"model.depth": 2}])
    grown = planned(
        tmp_path,
        [{"model.depth": depth, "seed": seed} for depth in (1, 2) for seed in (0, 1)],
    )
    assert names(grown) == ["depth=1", "depth=1 seed=1", "depth=2", "depth=2 seed=1"]
    assert [each.axes["seed"] for each in grown] == [0, 1, 0, 1]


def test_a_cut_axis_finds_its_cells_again(tmp_path: Path) -> None:
    planned(tmp_path, [{"model.depth": 1, "optim": name} for name in ("adam", "sgd")])
    cut = planned(tmp_path, [{"model.depth": 1}], optim="sgd")
    assert names(cut) == ["depth=1 optim=sgd"]
    assert cut[0].setting_axes == {"model.depth": 1, "optim": "sgd"}
    assert len(Plan.load(tmp_path).cells) == 2


def test_one_cell_said_twice_is_trained_once(tmp_path: Path) -> None:
    assert names(planned(tmp_path, [{"optim.lr_times": 1}, {"optim.lr_times": 1.0}])) == [
        "lr_times=1"
    ]


def test_values_that_look_alike_get_folders_of_their_own(tmp_path: Path) -> None:
    there = planned(tmp_path, [{"optim.lr_times": 1.0000001}, {"optim.lr_times": 1.0000002}])
    assert len(set(names(there))) == 2


@pytest.mark.parametrize(
    ("fixed", "sentence"),
    [
        ({"loss__class_weights": "balanced"}, r"loss\.class_weights=none \(now balanced\)"),
        ({"trainer__max_epochs": 7, "seed": 3}, r"trainer\.max_epochs=100 \(now 7\), seed=0"),
        ({"digest": "another"}, "expected the cohort and the test patients of the comparison"),
    ],
)
def test_another_comparison_is_refused_by_name(
    tmp_path: Path, fixed: dict[str, Any], sentence: str
) -> None:
    axes: list[dict[str, AxisValue]] = [{"model.depth": 1}]
    planned(tmp_path, axes)
    before = (tmp_path / "comparison.json").read_bytes()
    with pytest.raises(InputError, match=sentence):
        planned(tmp_path, axes, **fixed)
    assert (tmp_path / "comparison.json").read_bytes() == before


def test_a_comparison_of_other_numbers_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(tmp_path, [{"model.depth": 1}])
    monkeypatch.setattr("djd.comparison.plan.RESULTS_VERSION", 99)
    with pytest.raises(InputError, match=r"results_version 99.*another way"):
        planned(tmp_path, [{"model.depth": 1}])


def test_a_damaged_plan_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text('{"axes": [')
    with pytest.raises(InputError, match=r"comparison\.json: expected the plan.*damaged"):
        planned(tmp_path, [{"model.depth": 1}])


def test_two_processes_that_widen_one_comparison_lose_none_of_its_cells(tmp_path: Path) -> None:
    one, _ = plan_cells(tmp_path, [cell({"model.depth": 1})], digest="c", arguments=[])
    other, _ = plan_cells(tmp_path, [cell({"model.depth": 2})], digest="c", arguments=[])
    save_plan(tmp_path, one)
    save_plan(tmp_path, other)
    assert {each.name for each in Plan.load(tmp_path).cells} == {"depth=1", "depth=2"}
