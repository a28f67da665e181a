"""Folders of results_version 2, whose files knew one network, one loss and no option's name."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from djd.errors import InputError
from djd.runs.config import RunConfig
from djd.runs.folder import saved_config
from djd.runs.keys import AxisValue
from djd.sweeps.folder import plan_and_save
from djd.sweeps.setting_scores import gather, score_settings
from djd.sweeps.sweep import Sweep, read_folder
from djd.sweeps.winner import sweep_opened
from tests.sweeps.invented_answers import leave_run, leave_tested
from tests.sweeps.invented_cells import DIGEST, cell, leave_comparison

AXES: dict[str, tuple[AxisValue, ...]] = {"model.depth": (1, 2), "optim": ("sgd", "momentum")}
UNTRAINED = ["depth=2 optim=sgd fold=1", "depth=1 optim=momentum fold=0"]


def config_before(config: RunConfig) -> dict[str, Any]:
    values = config.plain()
    values["optim"]["name"] = values["choices"]["optim"]
    for group in ("model", "loss"):
        del values[group]["_target_"]
    for key in ("augment", "plots", "kind", "choices", "changed"):
        del values[key]
    del values["paths"]["python"], values["data"]["grade_names"]
    return values | {"logger": {"figures": True}}


def make_old(training: Path) -> None:
    """Rewrite the files of a training as the version before wrote them."""
    before = config_before(saved_config(training))
    (training / "config.yaml").write_text(yaml.safe_dump(before), encoding="utf-8")
    result = json.loads((training / "result.json").read_text(encoding="utf-8"))
    result |= {"results_version": 2, "config": before}
    (training / "result.json").write_text(json.dumps(result), encoding="utf-8")


def make_plan_old(folder: Path) -> None:
    plan = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    del plan["options"]
    new = ("_target_", "augment._target_", "loss._target_", "model._target_")
    plan["results_version"] = 2
    plan["fixed"] = {key: each for key, each in plan["fixed"].items() if key not in new}
    plan["choices"] = {
        choice: keys | {"optim.name": choice.partition("=")[2]}
        for choice, keys in plan["choices"].items()
        if choice.startswith("optim=")
    }
    plan["cells"] = [
        {"name": name, "identity": "0" * 16, "axes": dict(zip(plan["axes"], values, strict=True))}
        for name, _, values in plan["cells"]
    ]
    (folder / "comparison.json").write_text(json.dumps(plan), encoding="utf-8")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = tmp_path / "sweep"
    cells = leave_comparison(folder, AXES, untrained=UNTRAINED)
    winner = folder / "winner" / "depth=1 optim=sgd epochs=25"
    leave_tested(winner, cells[0].config, 25, 0.5)
    result = json.loads((winner / "result.json").read_text(encoding="utf-8"))
    result["test"] = result["validation"][-1:]
    (winner / "result.json").write_text(json.dumps(result), encoding="utf-8")
    for path in [*folder.glob("*/result.json"), winner / "result.json"]:
        make_old(path.parent)
    make_plan_old(folder)
    return folder


def scores(sweep: Sweep) -> dict[str, float]:
    settings, _ = score_settings(sweep.cells, sweep.finished)
    return {each.name: each.scores["kappa"] for each in gather(settings).settings}


def test_an_old_sweep_is_reported_on_as_a_new_one(old: Path, tmp_path: Path) -> None:
    leave_comparison(tmp_path / "new", AXES, untrained=UNTRAINED)
    before, now = read_folder(old), read_folder(tmp_path / "new")
    assert before.notes == now.notes == ()
    assert [each.axes for each in before.cells] == [each.axes for each in now.cells]
    assert {each.folder.name for each in before.to_do} == set(UNTRAINED)
    assert scores(before) == scores(now) != {}


def test_a_winner_of_an_old_sweep_is_known_by_its_name(old: Path) -> None:
    sweep = read_folder(old)
    settings, _ = score_settings(sweep.cells, sweep.finished)
    assert [each.name for each in sweep_opened(sweep, settings)] == ["depth=1 optim=sgd epochs=25"]


def test_what_lies_in_the_wrong_folder_of_an_old_sweep_is_not_taken_for_a_cell(old: Path) -> None:
    one, other = old / "depth=1 optim=sgd fold=0", old / "depth=2 optim=sgd fold=0"
    shutil.rmtree(one)
    shutil.copytree(other, one)
    assert one.name in {each.folder.name for each in read_folder(old).to_do}


def test_an_old_sweep_is_not_gone_on_with(old: Path) -> None:
    with pytest.raises(InputError, match=r"results_version 4\), received one .* another way \(2\)"):
        plan_and_save(old, [cell({"model.depth": 1})], digest=DIGEST, arguments=())


def test_an_old_run_is_reported_on(tmp_path: Path) -> None:
    leave_run(tmp_path)
    make_old(tmp_path)
    (run,) = read_folder(tmp_path).finished
    assert run.axes["model.depth"] == 2
    assert run.axes["optim"] == "adam"
    assert run.result.results_version == 2
