from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

import train
from djd.errors import InputError
from djd.models.build import (
    build_augmentation,
    build_loss,
    build_network,
    build_optimizer,
    build_schedule,
)
from djd.models.losses import CrossEntropy
from djd.models.networks import KneeCNN
from tests.foreign import Convolutions, Perceptron

FILES = sorted((Path(train.CONF) / "optim").glob("*.yaml"))
CNN: dict[str, Any] = {"_target_": "djd.models.networks.KneeCNN"}
SIZES = {"views": 2, "pixels": 32, "outputs": 3}


def parameters() -> list[torch.Tensor]:
    return [torch.zeros(2, requires_grad=True)]


def sgd() -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters(), lr=1)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_file_of_the_group_makes_its_optimizer(file: Path) -> None:
    values = yaml.safe_load(file.read_text())
    assert (values.pop("schedule"), values.pop("warmup")) == ("constant", 0)
    rate = values.pop("lr") * values.pop("lr_times")
    optimizer = build_optimizer(parameters(), values, learning_rate=rate)
    assert type(optimizer).__name__ == values.pop("_target_").rsplit(".", 1)[1]
    assert optimizer.param_groups[0]["lr"] == rate
    for key, value in values.items():
        assert optimizer.param_groups[0][key] == value


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_one_pass_over_the_weights_steps_as_the_loop_over_tensors(file: Path) -> None:
    values = yaml.safe_load(file.read_text())
    spec = {
        key: each for key, each in values.items() if key not in ("schedule", "warmup", "lr_times")
    }
    rate, stepped = spec.pop("lr"), []
    for given in (spec, {**spec, "foreach": False}):
        (weights,) = own = [torch.linspace(-1, 1, 50, requires_grad=True)]
        optimizer = build_optimizer(own, given, learning_rate=rate)
        assert bool(optimizer.param_groups[0].get("fused")) == ("foreach" not in given)
        for _ in range(5):
            optimizer.zero_grad()
            (weights - 2).square().sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        stepped.append(weights.detach())
    torch.testing.assert_close(*stepped)


def test_the_group_holds_the_studys_optimizers_and_adamw() -> None:
    assert [file.stem for file in FILES] == ["adagrad", "adam", "adamw", "momentum", "sgd"]


@pytest.mark.parametrize(
    ("target", "arguments", "key"),
    [
        ("torch.optim.Adma", {}, r"optim\._target_"),
        ("torch.optim.SGD", {"momentun": 0.9}, "optim"),
        ("nonsense", {}, r"optim\._target_"),
    ],
)
def test_an_optimizer_that_cannot_be_made_is_one_sentence(
    target: str, arguments: dict[str, float], key: str
) -> None:
    with pytest.raises(InputError, match=f"^{key}: .*{target}") as caught:
        build_optimizer(parameters(), {"_target_": target, **arguments}, learning_rate=0.1)
    assert "\n" not in str(caught.value)


def test_an_optimizer_without_parameters_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"^optim: .*empty parameter list"):
        build_optimizer([], {"_target_": "torch.optim.Adam"}, learning_rate=0.1)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("mine.networks.Net", "ModuleNotFoundError"),
        ("tests.foreign.Nte", "AttributeError"),
        ("Net", "no module is named"),
        (None, "no module is named"),
    ],
)
def test_a_class_that_cannot_be_imported_is_named_with_the_place_to_put_it(
    target: str | None, reason: str
) -> None:
    with pytest.raises(InputError, match=rf"^model\._target_: .*received {target} ") as caught:
        build_network({"_target_": target}, **SIZES)
    assert reason in str(caught.value)
    assert "PYTHONPATH" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_module_that_fails_while_it_is_imported_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "failing_module.py").write_text("raise RuntimeError('no such thing')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="RuntimeError: no such thing"):
        build_augmentation({"_target_": "failing_module.shift"})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"depth": 2, "widht": 4}, "widht"),
        ({}, "depth"),
        ({"depth": 2, "width": "4"}, "model.width: expected a whole number from 1 to 256"),
        ({"depth": 9}, "model.depth: expected a whole number from 1 to 5, received 9"),
        ({"depth": True}, "model.depth: expected a whole number from 1 to 5, received True"),
    ],
)
def test_arguments_that_a_network_does_not_take_are_one_sentence(
    arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=r"^model") as caught:
        build_network({**CNN, **arguments}, **SIZES)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(InputError, match=r"model\._target_: expected a torch\.nn\.Module.*NoNet"):
        build_network({"_target_": "tests.foreign.NoNetwork"}, **SIZES)


def test_a_network_gets_of_the_sizes_those_that_it_takes() -> None:
    network = build_network({**CNN, "depth": 1, "width": 2}, **SIZES)
    assert isinstance(network, KneeCNN)
    assert network(torch.zeros(4, 2, 32, 32)).shape == (4, 3)
    mine = build_network({"_target_": "tests.foreign.Convolutions"}, **SIZES)
    assert isinstance(mine, Convolutions)
    assert mine(torch.zeros(4, 2, 32, 32)).shape == (4, 3)


def test_what_the_file_says_counts_more_than_what_is_offered() -> None:
    spec = {"_target_": "tests.foreign.Perceptron", "hidden": 2, "pixels": 8}
    network = build_network(spec, **SIZES)
    assert isinstance(network, Perceptron)
    assert network(torch.zeros(4, 1, 8, 8)).shape == (4, 3)


def test_a_loss_without_probabilities_is_refused() -> None:
    sentence = r"loss\._target_: expected a loss with .*WithoutProb.* lacks probabilities"
    with pytest.raises(InputError, match=sentence):
        build_loss({"_target_": "tests.foreign.WithoutProbabilities"}, class_weights=None)
    with pytest.raises(InputError, match="lacks outputs and probabilities"):
        build_loss({"_target_": "torch.nn.MSELoss"}, class_weights=None)


def test_weights_of_grades_are_refused_where_a_loss_has_none() -> None:
    weights = [1.0, 2.0, 1.0, 1.0, 1.0]
    with pytest.raises(InputError, match=r"loss\.class_weights: expected none, .* balanced"):
        build_loss({"_target_": "tests.foreign.Thresholds"}, class_weights=weights)
    loss = build_loss({"_target_": "djd.models.losses.CrossEntropy"}, class_weights=weights)
    assert isinstance(loss, CrossEntropy)
    assert loss.weight is not None
    assert loss.weight.tolist() == weights


def test_no_augmentation_unless_a_function_is_named() -> None:
    assert build_augmentation({"_target_": None}) is None
    augment = build_augmentation({"_target_": "tests.foreign.add_noise", "most": 0.0})
    assert augment is not None
    counts = torch.ones(1, 1, 2, 2)
    assert torch.equal(augment(counts, torch.Generator()), counts)


@pytest.mark.parametrize("arguments", [{}, {"most": 0.0, "least": 1.0}, {"counts": 1, "most": 0.0}])
def test_arguments_that_an_augmentation_does_not_take_are_one_sentence(
    arguments: dict[str, float],
) -> None:
    """Before any scan is read, and not in the first step."""
    with pytest.raises(InputError, match=r"^augment: tests\.foreign\.add_noise can't be called"):
        build_augmentation({"_target_": "tests.foreign.add_noise", **arguments})


def rates(schedule: str | dict[str, Any], epochs: int) -> list[float]:
    optimizer = sgd()
    scheduler = build_schedule(optimizer, schedule, epochs=epochs, steps=3 * epochs)
    seen = []
    for _ in range(epochs):
        seen.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if scheduler:
            scheduler.step()
    return seen


def test_a_schedule_is_told_how_many_epochs_there_are() -> None:
    linear = {"_target_": "torch.optim.lr_scheduler.LinearLR", "start_factor": 1, "end_factor": 0}
    assert rates(linear, 4) == pytest.approx([1, 0.75, 0.5, 0.25])
    assert rates(linear | {"total_iters": 2}, 4) == pytest.approx([1, 0.5, 0, 0])
    assert rates("constant", 3) == [1, 1, 1]
    cosine = {"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR"}
    assert rates("cosine", 4) == rates(cosine, 4)
    assert rates("cosine", 4)[2] == pytest.approx(0.5)


OF_TORCH = "torch.optim.lr_scheduler"


def test_a_schedule_that_cannot_be_made_is_one_sentence() -> None:
    with pytest.raises(InputError, match=r"^optim\.schedule: .*StepLR"):
        build_schedule(sgd(), {"_target_": "torch.optim.lr_scheduler.StepLR"}, epochs=3, steps=6)
    with pytest.raises(InputError, match=r"^optim\.schedule\._target_: .*PYTHONPATH"):
        build_schedule(sgd(), {"_target_": "mine.Warmup"}, epochs=3, steps=6)
    with pytest.raises(InputError, match="follows from the epoch alone"):
        build_schedule(sgd(), {"_target_": f"{OF_TORCH}.ReduceLROnPlateau"}, epochs=3, steps=6)


def test_sizes_that_a_network_does_not_accept_are_said_with_its_reason() -> None:
    """Whatever a person's constructor raises."""
    spec = {"_target_": "tests.foreign.Perceptron", "hidden": -1}
    with pytest.raises(InputError, match=r"model: tests\.foreign\.Perceptron can't be made of"):
        build_network(spec, **SIZES)


def test_networks_are_plain_modules() -> None:
    assert isinstance(build_network({**CNN, "depth": 1}, **SIZES), nn.Module)
