from pathlib import Path

import pytest
import torch
import yaml

import train
from djd.errors import InputError
from djd.models.build import build_optimizer

FILES = sorted((Path(train.CONF) / "optim").glob("*.yaml"))


def parameters() -> list[torch.Tensor]:
    return [torch.zeros(2, requires_grad=True)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_file_of_the_group_makes_its_optimizer(file: Path) -> None:
    values = yaml.safe_load(file.read_text())
    name, target = values.pop("name"), values.pop("_target_")
    assert values.pop("schedule") == "constant"
    rate = values.pop("lr") * values.pop("lr_times")
    optimizer = build_optimizer(parameters(), target=target, learning_rate=rate, arguments=values)
    assert name == file.stem
    assert type(optimizer).__name__ == target.rsplit(".", 1)[1]
    assert optimizer.param_groups[0]["lr"] == rate
    for key, value in values.items():
        assert optimizer.param_groups[0][key] == value


def test_the_group_holds_the_studys_optimizers_and_adamw() -> None:
    assert [file.stem for file in FILES] == ["adagrad", "adam", "adamw", "momentum", "sgd"]


@pytest.mark.parametrize(
    ("target", "arguments"),
    [("torch.optim.Adma", {}), ("torch.optim.SGD", {"momentun": 0.9}), ("nonsense", {})],
)
def test_an_optimizer_that_cannot_be_made_is_one_sentence(
    target: str, arguments: dict[str, float]
) -> None:
    with pytest.raises(InputError, match=f"optim: {target}"):
        build_optimizer(parameters(), target=target, learning_rate=0.1, arguments=arguments)
