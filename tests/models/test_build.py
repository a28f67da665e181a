import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

import train
from djd.errors import InputError
from djd.models.build import (
    build_augmentation,
    build_loss,
    build_network,
    build_optimizer,
    build_schedule,
)
from djd.models.networks import KneeCNN

FILES = sorted((Path(train.CONF) / "optim").glob("*.yaml"))
HERE = "tests.models.test_build"
KNEES: dict[str, Any] = {"views": 1, "pixels": 128, "outputs": 5}


class Greedy(nn.Module):
    """Takes all that is offered."""

    def __init__(self, views: int, pixels: int, outputs: int, hidden: int = 2) -> None:
        super().__init__()
        self.given = (views, pixels, outputs, hidden)


class Frugal(nn.Module):
    """Takes nothing."""


class Unweighted:
    """A loss that can't weigh grades, and is no module."""

    outputs = 4

    def __call__(self, outputs: Tensor, grades: Tensor) -> Tensor:
        return outputs.mean()

    def probabilities(self, outputs: Tensor) -> Tensor:
        return outputs


def brighter(counts: Tensor, generator: torch.Generator, factor: float) -> Tensor:
    return counts * factor


def parameters() -> list[torch.Tensor]:
    return [torch.zeros(2, requires_grad=True)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_file_of_the_group_makes_its_optimizer(file: Path) -> None:
    values = yaml.safe_load(file.read_text())
    assert values.pop("schedule") == "constant"
    rate = values.pop("lr") * values.pop("lr_times")
    optimizer = build_optimizer(parameters(), values, learning_rate=rate)
    target = values.pop("_target_")
    assert type(optimizer).__name__ == target.rsplit(".", 1)[1]
    assert optimizer.param_groups[0]["lr"] == rate
    for key, value in values.items():
        assert optimizer.param_groups[0][key] == value


def test_the_group_holds_the_studys_optimizers_and_adamw() -> None:
    assert [file.stem for file in FILES] == ["adagrad", "adam", "adamw", "momentum", "sgd"]


@pytest.mark.parametrize(
    ("target", "arguments", "said"),
    [
        ("torch.optim.Adma", {}, r"optim\._target_: .*received torch\.optim\.Adma .*PYTHONPATH"),
        (
            "torch.optim.SGD",
            {"momentun": 0.9},
            r"optim: torch\.optim\.SGD can't be made .*momentun",
        ),
        ("nonsense", {}, r"optim\._target_: .*received nonsense"),
        ("no_such_module.Adam", {}, "No module named 'no_such_module'"),
    ],
)
def test_an_optimizer_that_cannot_be_made_is_one_sentence(
    target: str, arguments: dict[str, float], said: str
) -> None:
    with pytest.raises(InputError, match=said) as caught:
        build_optimizer(parameters(), {"_target_": target, **arguments}, learning_rate=0.1)
    assert "\n" not in str(caught.value)


def test_a_network_gets_what_its_constructor_takes() -> None:
    greedy = build_network({"_target_": f"{HERE}.Greedy", "hidden": 7}, **KNEES)
    assert isinstance(greedy, Greedy)
    assert greedy.given == (1, 128, 5, 7)
    assert isinstance(build_network({"_target_": f"{HERE}.Frugal"}, **KNEES), Frugal)
    both = build_network({"_target_": f"{HERE}.Greedy", "pixels": 9}, **KNEES | {"views": 2})
    assert isinstance(both, Greedy)
    assert both.given == (2, 9, 5, 2), "the group's own values count more"


@pytest.mark.parametrize(
    ("override", "received"),
    [({"depth": 9}, "9"), ({"depth": 0}, "0"), ({"depth": "two"}, "two"), ({"depth": 2.5}, "2.5")],
)
def test_a_depth_out_of_range_is_one_sentence(override: dict[str, Any], received: str) -> None:
    said = f"model.depth: expected a whole number from 1 to 5, received {received}"
    with pytest.raises(InputError, match=re.escape(said)):
        build_network({"_target_": "djd.models.networks.KneeCNN", **override}, **KNEES)


def test_a_width_out_of_range_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"model\.width: .* from 1 to 256, received 300"):
        KneeCNN(depth=1, width=300)


def test_what_is_no_network_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"model\._target_: expected a torch\.nn\.Module, "):
        build_network({"_target_": f"{HERE}.Unweighted"}, **KNEES)


def test_a_loss_needs_outputs_and_probabilities() -> None:
    with pytest.raises(InputError, match=r"loss\._target_: .* lacks outputs and probabilities"):
        build_loss({"_target_": "torch.nn.CrossEntropyLoss"}, class_weights=None)


def test_a_loss_is_no_module_by_duty_but_cannot_weigh_what_it_does_not_take() -> None:
    spec = {"_target_": f"{HERE}.Unweighted"}
    assert build_loss(spec, class_weights=None).outputs == 4
    with pytest.raises(InputError, match=r"loss\.class_weights: expected none, since .*Unweighted"):
        build_loss(spec, class_weights=[1.0] * 5)


def test_an_augmentation_is_a_function_with_its_values() -> None:
    assert build_augmentation({"_target_": None}) is None
    change = build_augmentation({"_target_": f"{HERE}.brighter", "factor": 2.0})
    assert change
    assert change(torch.ones(1), torch.Generator()).item() == 2.0


def test_schedules_have_a_name_or_a_class_of_ones_own() -> None:
    optimizer = torch.optim.SGD(parameters(), lr=1.0)
    assert build_schedule(optimizer, "constant", epochs=4) is None
    cosine = build_schedule(optimizer, "cosine", epochs=4)
    assert isinstance(cosine, torch.optim.lr_scheduler.CosineAnnealingLR)
    assert cosine.T_max == 4
    step = {"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 2}
    scheduler = build_schedule(optimizer, step, epochs=4)
    assert isinstance(scheduler, torch.optim.lr_scheduler.StepLR)
    with pytest.raises(InputError, match=r"optim\.schedule: torch.*StepLR can't be made"):
        build_schedule(optimizer, {**step, "step": 1}, epochs=4)
