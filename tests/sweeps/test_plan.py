from pathlib import Path
from typing import Any

import pytest

from djd.errors import InputError
from djd.runs.keys import AxisValue
from djd.sweeps.cells import Cell
from djd.sweeps.folder import plan_and_save, read_plan
from djd.windows import require_room
from tests.sweeps.invented_cells import cell


def planned(
    folder: Path, cells: list[dict[str, AxisValue]], *, digest: str = "cohort", **fixed: Any
) -> list[Cell]:
    """Plan and save, as a sweep does."""
    made = [cell(axes, **fixed) for axes in cells]
    return plan_and_save(folder, made, digest=digest, arguments=["-m"])[1]


def names(cells: list[Cell]) -> list[str]:
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
    assert len(read_plan(tmp_path).cells) == 2


def test_one_cell_said_twice_is_trained_once(tmp_path: Path) -> None:
    assert names(planned(tmp_path, [{"optim.lr_times": 1}, {"optim.lr_times": 1.0}])) == [
        "lr_times=1"
    ]


def test_names_that_differ_in_case_alone_get_folders_that_windows_tells_apart(
    tmp_path: Path,
) -> None:
    there = planned(tmp_path, [{"model.name": "Wide"}, {"model.name": "wide"}])
    assert names(there)[0] == "name=Wide"
    assert len({name.casefold() for name in names(there)}) == 2


@pytest.mark.parametrize(("characters", "fits"), [(170, True), (171, False)])
def test_a_folder_too_long_for_windows_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, characters: int, fits: bool
) -> None:
    folder = Path("/").absolute() / ("x" * (characters - 1))
    names = ["winner/a", "b"]  # 259 characters less 80 for files, 8 for the name and 1 between
    require_room(folder, names, "hydra.sweep.dir")
    monkeypatch.setattr("djd.windows.takes_long_paths", lambda: False)
    if fits:
        require_room(folder, names, "hydra.sweep.dir")
        return
    with pytest.raises(InputError, match=r"^hydra\.sweep\.dir: expected a path of at most 170 "):
        require_room(folder, names, "hydra.sweep.dir")


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
    monkeypatch.setattr("djd.sweeps.plan.RESULTS_VERSION", 99)
    with pytest.raises(InputError, match=r"results_version 99.*another way"):
        planned(tmp_path, [{"model.depth": 1}])


def test_a_damaged_plan_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "comparison.json").write_text('{"axes": [')
    with pytest.raises(InputError, match=r"comparison\.json: expected the plan.*damaged"):
        planned(tmp_path, [{"model.depth": 1}])


def test_commands_that_widen_one_comparison_lose_none_of_its_cells(tmp_path: Path) -> None:
    planned(tmp_path, [{"model.depth": 1}])
    planned(tmp_path, [{"model.depth": 2}])
    assert {each.name for each in read_plan(tmp_path).cells} == {"depth=1", "depth=2"}


def test_the_same_command_again_leaves_the_file_alone(tmp_path: Path) -> None:
    planned(tmp_path, [{"model.depth": 1}])
    path = tmp_path / "comparison.json"
    written = path.stat().st_ino, path.read_bytes()
    planned(tmp_path, [{"model.depth": 1}])
    assert (path.stat().st_ino, path.read_bytes()) == written
    planned(tmp_path, [{"model.depth": 2}])
    assert path.read_bytes() != written[1]
    assert path.stat().st_ino != written[0]


def test_the_file_of_an_earlier_version_is_read_and_gone_on_with(tmp_path: Path) -> None:
    cells: list[dict[str, AxisValue]] = [{"model.depth": 1, "optim": "sgd"}, {"model.depth": 2}]
    first = planned(tmp_path, cells[:1])
    path, plan = tmp_path / "comparison.json", read_plan(tmp_path)
    path.write_text(plan.model_dump_json(indent=1), encoding="utf-8")  # an object a cell
    assert '"name": "depth=1 optim=sgd"' in path.read_text(encoding="utf-8")
    assert read_plan(tmp_path) == plan
    assert names(planned(tmp_path, cells[:1])) == names(first)
    assert '"name"' not in path.read_text(encoding="utf-8")
    assert read_plan(tmp_path) == plan


def test_a_cell_takes_a_short_line_whatever_the_number_of_axes(tmp_path: Path) -> None:
    axes: dict[str, AxisValue] = {"model.depth": 1, "optim.lr_times": 0.1, "data.batch_size": 8}
    sizes = []
    for count in (10, 60):
        cells = [{**axes, "model.width": width + 2, "data.fold": 0} for width in range(count)]
        planned(tmp_path / str(count), cells)
        sizes.append((tmp_path / str(count) / "comparison.json").stat().st_size)
    assert (sizes[1] - sizes[0]) / 50 < 130


@pytest.mark.parametrize(
    "line", ['["a", "b"]', '["a", "b", 3]', '["a", "b", [1, 2]]', "[]", "7", '["a", "b", {}]']
)
def test_a_damaged_line_of_a_cell_is_one_sentence(tmp_path: Path, line: str) -> None:
    planned(tmp_path, [{"model.depth": 1}])
    path = tmp_path / "comparison.json"
    whole = path.read_text(encoding="utf-8")
    start = whole.index('"cells": [') + len('"cells": [')
    path.write_text(f"{whole[:start]}{line}]}}", encoding="utf-8")
    with pytest.raises(InputError, match=r"comparison\.json: expected the plan.*damaged"):
        read_plan(tmp_path)


def test_what_is_fixed_below_a_compared_group_may_not_change_either(tmp_path: Path) -> None:
    both: list[dict[str, AxisValue]] = [{"optim": "adam"}, {"optim": "sgd"}]
    planned(tmp_path, both)
    for cells in (both, both[:1]):
        with pytest.raises(InputError, match=r"optim\.lr_times=1\.0 \(now 1\.5\)"):
            planned(tmp_path, cells, optim__lr_times=1.5)
    with pytest.raises(InputError, match=r"optim\.lr_times=1\.0 \(now 1\.5\)"):
        planned(tmp_path, [{"model.depth": 1}], optim__lr_times=1.5)
    grown = planned(tmp_path, [{"optim": "sgd", "optim.lr_times": 1.5}])
    assert names(grown) == ["optim=sgd lr_times=1.5"]


def test_a_new_choice_of_a_group_widens(tmp_path: Path) -> None:
    planned(tmp_path, [{"optim": "adam"}])
    assert names(planned(tmp_path, [{"optim": "adam"}, {"optim": "sgd"}])) == [
        "optim=adam",
        "optim=sgd",
    ]


def test_cells_that_no_plan_tells_of_are_not_taken_for_ours(tmp_path: Path) -> None:
    (tmp_path / "depth=1").mkdir()
    (tmp_path / "depth=1" / "result.json").write_text("{}")
    with pytest.raises(InputError, match=r"holds .*depth=1.* and no comparison\.json"):
        planned(tmp_path, [{"model.depth": 1}])


GROUPS: list[dict[str, AxisValue]] = [
    {"model": model, "optim": optim} for model in ("cnn", "mine") for optim in ("adam", "sgd")
]


def test_a_group_that_was_fixed_may_become_an_axis(tmp_path: Path) -> None:
    planned(tmp_path, [{"optim": "adam"}])
    assert names(planned(tmp_path, GROUPS)) == [
        "optim=adam",
        "optim=sgd model=cnn",
        "optim=adam model=mine",
        "optim=sgd model=mine",
    ]
    assert names(planned(tmp_path, [{"optim": "adam"}])) == ["optim=adam"]


def test_another_option_of_a_group_that_is_not_compared_is_refused_by_name(tmp_path: Path) -> None:
    planned(tmp_path, [{"optim": "adam"}])
    with pytest.raises(InputError, match=r"it has model=cnn \(now mine\); say the same"):
        planned(tmp_path, [{"optim": "adam"}], model="mine")


def test_cells_of_every_option_are_known_before_they_are_started(tmp_path: Path) -> None:
    planned(tmp_path, [{"model.depth": depth} for depth in (1, 2)])
    planned(tmp_path, [{"model": "mine", "model.rings": rings} for rings in (2, 3)])
    cells = planned(tmp_path, GROUPS)
    plan = read_plan(tmp_path)
    sample = cells[0].config
    configs = [plan.config_of(named, sample) for named in plan.cells]
    assert [config and config.model.target for config in configs] == [
        *["djd.models.networks.KneeCNN"] * 2,
        *["networks.Mine"] * 2,
        "djd.models.networks.KneeCNN",
        "networks.Mine",
    ]
    assert [config and config.choices["optim"] for config in configs] == [
        *["adam"] * 4,
        *["sgd"] * 2,
    ]
