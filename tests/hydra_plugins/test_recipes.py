"""Recipes: one name for options of groups and values of keys."""

from pathlib import Path

import pytest
import yaml
from hydra.core.config_loader import ConfigLoader
from hydra.types import RunMode
from omegaconf import OmegaConf

import train
from djd.runs.config import RunConfig, read_config
from djd.runs.keys import differences
from djd.sweeps.cells import Cell, identity_of
from djd.sweeps.plan import plan_cells
from hydra_plugins.djd._axes import read_axes
from hydra_plugins.djd._composing import CellComposer, plain_values
from tests.conftest import compose_values

LADDER = ["study", "scaled", "adaptive", "coarse", "pooled", "augmented"]
LADDER += ["cycled", "ordered", "views", "best"]


def config_of(*overrides: str) -> RunConfig:
    return read_config(compose_values(*overrides))


def cells_of(loader: ConfigLoader, *overrides: str) -> list[Cell]:
    master = loader.load_configuration("config", [], run_mode=RunMode.MULTIRUN)
    return CellComposer(loader, master, read_axes({}, overrides, loader)).cells()


def test_every_recipe_is_a_rung_of_the_ladder_that_the_experiment_climbs() -> None:
    experiment = yaml.safe_load((Path(train.CONF) / "experiment" / "recipes.yaml").read_text())
    assert experiment["hydra"]["sweeper"]["params"]["recipe"] == ",".join(LADDER)
    files = {path.stem for path in (Path(train.CONF) / "recipe").glob("*.yaml")}
    assert files == {*LADDER, "none"}


def test_each_rung_changes_one_thing() -> None:
    rungs = [config_of(f"recipe={rung}", "trainer.max_epochs=60") for rung in LADDER]
    together = {  # one idea, two keys
        "scaled": {"data.scaling", "model.clip_logits"},
        "cycled": {"optim.lr", "optim.schedule"},
        "views": {"data.views", "data.batch_size"},
    }
    for name, before, now in zip(LADDER[1:], rungs, rungs[1:], strict=False):
        groups = {group for group in now.choices if now.choices[group] != before.choices[group]}
        groups.discard("recipe")
        keys = {
            key
            for key, value in now.by_key().items()
            if before.by_key().get(key) != value and key.partition(".")[0] not in groups
        }
        assert len(groups) + len(keys) == 1 or keys == together[name], (name, groups, keys)


def test_a_recipe_names_its_setting_alone() -> None:
    for rung in LADDER:
        assert config_of(f"recipe={rung}", "trainer.max_epochs=7").setting_name == (
            f"recipe={rung} epochs=7"
        )
    changed = config_of("recipe=best", "optim=sgd", "model.depth=2", "trainer.max_epochs=7")
    assert changed.setting_name == "recipe=best optim=sgd depth=2 epochs=7"


def test_what_is_typed_beside_a_recipe_wins() -> None:
    config = config_of("recipe=best", "model.depth=1", "data.pixels=64", "optim.schedule=constant")
    assert config.model.arguments["depth"] == 1
    assert config.data.pixels == 64
    assert config.optim.schedule == "constant"
    assert config.choices["loss"] == "ordinal"


def test_values_for_a_recipes_option_leave_another_option_alone() -> None:
    other = config_of("recipe=study", "model=pooled", "optim=adam")
    alone = config_of("model=pooled", "optim=adam")
    assert other.model == alone.model
    assert other.optim == alone.optim
    kept = config_of("recipe=study", "model=pooled", "++model.clip_logits=true", "optim.lr=0.2")
    assert kept.model.arguments["clip_logits"] is True
    assert kept.optim.lr == 0.2


def test_a_schedule_of_a_recipe_holds_for_every_optimizer() -> None:
    assert config_of("recipe=best", "optim=sgd").optim.schedule == "one_cycle"


def test_a_schedule_of_ones_own_wins_over_that_of_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "optim").mkdir()
    for name, schedule in (("mine", {"_target_": "mine.Steps", "after": 3}), ("fallen", "cosine")):
        own = {"_target_": "torch.optim.SGD", "lr": 0.5, "schedule": schedule}
        (tmp_path / "optim" / f"{name}.yaml").write_text(yaml.safe_dump(own))
        config = config_of("recipe=best", f"optim={name}", f"hydra.searchpath=[{tmp_path}]")
        assert config.optim.schedule == schedule
        assert config.optim.lr == 0.5


@pytest.mark.slow
def test_recipes_are_an_axis_beside_others(loader: ConfigLoader) -> None:
    cells = cells_of(loader, "recipe=study,best", "optim=sgd,adam", "data.fold=0,1")
    assert len({identity_of(cell.config, "") for cell in cells}) == 8
    for cell in cells:
        composed = loader.load_configuration("config", [*cell.overrides], run_mode=RunMode.RUN)
        chosen = dict(composed.hydra.runtime.choices)
        alone = read_config(plain_values(composed, chosen, loader, cell.overrides))
        assert not differences(alone.by_key(), cell.config.by_key(), free=())
        assert alone.choices == cell.config.choices


def test_a_plan_knows_the_recipe_of_a_cell_that_was_never_started(
    loader: ConfigLoader, tmp_path: Path
) -> None:
    cells = cells_of(loader, "recipe=study,pooled", "data.fold=0,1")
    plan, placed = plan_cells(None, tmp_path, cells, digest="d", arguments=[])
    sample = placed[0].config
    for named, each in zip(plan.cells, placed, strict=True):
        config = plan.config_of(named, sample)
        assert config
        assert not differences(config.by_key(), each.config.by_key(), free=())
        assert config.choices == each.config.choices


@pytest.mark.slow
def test_a_ladder_grows_and_goes_on_in_part(loader: ConfigLoader, tmp_path: Path) -> None:
    first, _ = plan_cells(
        None, tmp_path, cells_of(loader, "recipe=study,pooled"), digest="d", arguments=[]
    )
    grown, placed = plan_cells(
        first, tmp_path, cells_of(loader, "recipe=best,study"), digest="d", arguments=[]
    )
    assert [each.folder.name for each in placed] == ["recipe=best", "recipe=study"]
    part, _ = plan_cells(
        grown, tmp_path, cells_of(loader, "recipe=best,best"), digest="d", arguments=[]
    )
    sample = placed[0].config
    assert all(part.config_of(named, sample) for named in part.cells)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hyperparameters", "architecture", "optimizers", "matrix"])
def test_experiments_ask_about_the_chosen_recipe(loader: ConfigLoader, name: str) -> None:
    said = [f"experiment={name}", "recipe=study", "data.fold=0"]
    master = loader.load_configuration("config", said, run_mode=RunMode.MULTIRUN)
    params = OmegaConf.to_container(master.hydra.sweeper.params)
    axes = read_axes(params, said, loader)  # type: ignore[arg-type]
    cells = CellComposer(loader, master, axes).cells()
    assert {cell.config.data.scaling for cell in cells} == {"counts"}
