import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.config_loader import ConfigLoader
from hydra.errors import HydraException
from hydra.types import RunMode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

import train
from djd.errors import InputError
from djd.runs.config import RunConfig, read_config
from djd.runs.keys import differences
from djd.sweeps.cells import Cell, identity_of
from hydra_plugins.djd._axes import Axes, read_axes
from hydra_plugins.djd._composing import CellComposer, plain_values
from hydra_plugins.djd._parsing import files_parsed_once

VALUES = {
    "optim.lr_times": ("0.1", "1", "1e1"),
    "optim": ("sgd", "momentum", "adamw"),
    "model.depth": ("1", "2"),
    "recipe": ("study", "none", "best"),
    "data.fold": ("0", "null", "4"),
    "data.mirror_left": ("true", "false"),
    "trainer.gradient_clip_val": ("null", "0.5"),
    "optim.schedule": ("constant", "cosine"),
    "seed": ("3", "1"),
}


def composed_by_hydra(loader: ConfigLoader, master: DictConfig, cell: Cell) -> RunConfig:
    config = loader.load_sweep_config(master, list(cell.overrides))
    choices = dict(config.hydra.runtime.choices)
    return read_config(plain_values(config, choices, loader, cell.overrides))


@pytest.mark.slow
@settings(
    max_examples=8,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(keys=st.lists(st.sampled_from(list(VALUES)), unique=True, max_size=4))
def test_every_cell_is_what_hydra_composes_of_its_overrides(
    loader: ConfigLoader, master: DictConfig, keys: list[str]
) -> None:
    axes = Axes({key: VALUES[key] for key in keys}, ("model.width=4",))
    cells = CellComposer(loader, master, axes).cells()
    expected = list(itertools.product(*(VALUES[key] for key in keys)))
    assert [
        tuple(each.partition("=")[2] for each in cell.overrides[1:]) for cell in cells
    ] == expected
    for cell in (cells[0], cells[len(cells) // 2], cells[-1]):
        assert cell.config == composed_by_hydra(loader, master, cell)


def test_few_compositions_make_many_cells(
    loader: ConfigLoader, master: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    composed = []
    load = loader.load_sweep_config

    def counted(*arguments: Any) -> DictConfig:
        composed.append(arguments)
        return load(*arguments)

    monkeypatch.setattr(loader, "load_sweep_config", counted)
    axes = Axes({key: VALUES[key] for key in ("optim", "optim.lr_times", "data.fold")}, ())
    assert len(CellComposer(loader, master, axes).cells()) == 27
    assert len(composed) == 1 + 2 + 2 + 2


def test_files_are_parsed_anew_after_the_cells_are_composed(
    tmp_path: Path, loader: ConfigLoader
) -> None:
    file = tmp_path / "optim" / "mine.yaml"
    file.parent.mkdir()
    said = [f"hydra.searchpath=['{tmp_path}']", "recipe=none", "optim=mine"]
    for rate in (0.5, 0.25):
        file.write_text(f"lr: {rate}")
        with files_parsed_once(loader):
            for _ in range(2):
                composed = loader.load_configuration("config", said, run_mode=RunMode.RUN)
                assert composed.optim.lr == rate
    (tmp_path / "optim" / "mine.yaml").unlink()
    with pytest.raises(HydraException, match="mine"):
        loader.load_configuration("config", said, run_mode=RunMode.RUN)


def test_an_axis_that_another_value_is_made_of_is_composed_by_hydra(
    tmp_path: Path, master: DictConfig, loader: ConfigLoader
) -> None:
    axes = Axes(
        {"model.depth": ("1", "2"), "seed": ("3", "4")},
        ("model.width=${model.depth}", "data.split_seed=${seed}"),
    )
    cells = CellComposer(loader, master, axes).cells()
    assert [
        (cell.config.model.arguments["width"], cell.config.data.split_seed) for cell in cells
    ] == [
        (1, 3),
        (1, 4),
        (2, 3),
        (2, 4),
    ]


def test_axes_have_the_values_of_the_configuration_not_of_the_typing(
    loader: ConfigLoader, master: DictConfig
) -> None:
    axes = Axes({"optim.lr_times": ("1e1", "0.10"), "optim": ("sgd", "adam")}, ())
    cells = CellComposer(loader, master, axes).cells()
    assert [dict(cell.axes) for cell in cells] == [
        {"optim.lr_times": factor, "optim": name}
        for factor in (10.0, 0.1)
        for name in ("sgd", "adam")
    ]


@pytest.mark.parametrize(
    ("axes", "error"),
    [
        ({"model.dept": ("1", "2")}, HydraException),
        ({"optim": ("adam", "nope")}, HydraException),
        ({"optim": ("momentum", "adam"), "optim.momentum": ("0.5", "0.9")}, HydraException),
        ({"optim.lr": ("0.1", "x")}, InputError),
    ],
)
def test_a_key_or_value_that_is_not_known_stops_before_any_cell(
    loader: ConfigLoader,
    master: DictConfig,
    axes: dict[str, tuple[str, ...]],
    error: type[Exception],
) -> None:
    with pytest.raises(error):
        CellComposer(loader, master, Axes(axes, ())).cells()


# Settings and cells of the protocol: rates x batch sizes x epochs, depths x rates x epochs, ...
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "trainings"),
    [("hyperparameters", 9), ("architecture", 9), ("optimizers", 12), ("matrix", 108)],
)
def test_the_experiments_are_the_grids_of_the_protocol(
    loader: ConfigLoader, name: str, trainings: int
) -> None:
    said = [f"experiment={name}"]
    master = loader.load_configuration("config", said, run_mode=RunMode.MULTIRUN)
    assert master.hydra.mode == RunMode.MULTIRUN
    axes = read_axes(OmegaConf.to_container(master.hydra.sweeper.params), said, loader)  # type: ignore[arg-type]
    cells = CellComposer(loader, master, axes).cells()
    assert len(cells) == 5 * trainings * 3
    assert {cell.config.epochs_to_score for cell in cells} == {(25,), (50,), (100,)}
    assert len({identity_of(cell.config, "") for cell in cells}) == len(cells)
    base = read_config(base_values(loader))
    free = (
        "trainer.max_epochs",
        "score_epochs",
        "optim.lr",
        "optim.weight_decay",
        "optim._target_",
    )
    assert any(not differences(cell.config.by_key(), base.by_key(), free=free) for cell in cells), (
        "the base setting is in it, at other epochs, and in the matrix by another optimizer"
    )


def base_values(loader: ConfigLoader) -> dict[str, Any]:
    base = loader.load_configuration("config", [], run_mode=RunMode.RUN)
    return plain_values(base, dict(base.hydra.runtime.choices), loader, [])


def test_experiment_files_leave_launchers_alone() -> None:
    """A key of one launcher in them would break every other `hydra/launcher=`."""
    for path in (Path(train.CONF) / "experiment").glob("*.yaml"):
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert set(values.get("hydra", {})) <= {"mode", "sweeper"}
