from pathlib import Path

from djd.runs.keys import AxisValue
from djd.sweeps.folder import hparam_values, leave_hparam_columns, plan_and_save, read_plan
from tests.runs.test_hparams import columns_of
from tests.sweeps.invented_cells import cell


def left(folder: Path, *axes: dict[str, AxisValue]) -> dict[str, tuple[list[float], bool]]:
    """Plan cells; number values of each column, and whether it is compared."""
    _, planned = plan_and_save(folder, [cell(each) for each in axes], digest="", arguments=())
    leave_hparam_columns(folder, planned)
    return {
        info.name: ([value.number_value for value in info.domain_discrete.values], info.differs)
        for info in columns_of(folder).hparam_infos
    }


def test_axes_and_epochs_are_columns_and_folds_are_not(tmp_path: Path) -> None:
    columns = left(
        tmp_path,
        {"model.depth": 1, "data.fold": 0},
        {"model.depth": 2, "data.fold": 0},
        {"model.depth": 2, "data.fold": 1},
    )
    assert columns["model.depth"] == ([1, 2], True)
    assert columns["data.batch_size"] == ([32], False)
    assert columns["epochs"] == ([25, 50, 100], True)
    assert not {"data.fold", "seed"} & set(columns)


def test_a_widened_comparison_has_the_columns_and_values_of_all_its_commands(
    tmp_path: Path,
) -> None:
    left(tmp_path, {"model.depth": 1}, {"model.depth": 2})
    columns = left(tmp_path, {"model.depth": 3, "model.width": 8})
    assert columns["model.depth"] == ([1, 2, 3], True)
    assert columns["model.width"] == ([8, 16], True)


def test_epochs_that_only_an_earlier_command_scored_are_kept(tmp_path: Path) -> None:
    _, planned = plan_and_save(tmp_path, [cell({"model.depth": 1})], digest="", arguments=())
    (planned[0].folder / "epochs=5").mkdir(parents=True)
    values = hparam_values(tmp_path, read_plan(tmp_path), planned)
    assert set(values["epochs"]) == {5, 25, 50, 100}
