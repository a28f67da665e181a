from typing import Any

import pytest
import torch
from torch import Tensor

from djd.errors import InputError
from djd.models.build import build_network
from djd.models.classifier import extra_inputs
from djd.models.pooled import OpenBatchNorm, PooledCNN, ResidualNet

KINDS: list[type[PooledCNN]] = [PooledCNN, ResidualNet]


def crops_of(knees: int, views: int = 1, pixels: int = 32) -> Tensor:
    return torch.rand(knees, views, pixels, pixels, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pixels", [32, 64, 128])
@pytest.mark.parametrize("depth", [1, 5])
def test_every_depth_grades_crops_of_every_size_even_one_knee(
    kind: type[PooledCNN], pixels: int, depth: int
) -> None:
    network = kind(depth=depth, width=2, views=2, pixels=pixels, outputs=3, uptake=True)
    for knees in (5, 1):
        outputs = network(crops_of(knees, 2, pixels), torch.rand(knees, 4))
        assert outputs.shape == (knees, 3)
        outputs.sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_the_head_is_a_linear_layer_of_mean_and_maximum(kind: type[PooledCNN]) -> None:
    torch.manual_seed(0)
    network = kind(depth=2, width=4, pixels=32, outputs=1)
    network(crops_of(8))
    network.eval()
    last = network.blocks(crops_of(3)).detach().numpy()
    weights = network.linear.weight[0].detach().numpy()
    expected = last.mean(axis=(2, 3)) @ weights[:8] + last.max(axis=(2, 3)) @ weights[8:]
    received = network(crops_of(3))[:, 0].detach() - network.linear.bias.detach()
    torch.testing.assert_close(received, torch.from_numpy(expected), rtol=1e-4, atol=1e-5)


def test_a_knee_that_is_absent_counts_as_features_of_0_and_in_no_statistics() -> None:
    torch.manual_seed(0)
    network = PooledCNN(depth=2, width=4, pixels=32, both_knees=True, outputs=1)
    own, other, there = crops_of(4), crops_of(4).flip(2), torch.tensor([True, False, True, False])
    outputs = []
    for absent in (0.0, 9.0):  # the crop of an absent knee is never looked at
        filled = torch.where(there[:, None, None, None], other, absent)
        outputs.append(network.eval()(own, other_knee=filled, has_other_knee=there))
        network.train()(own, other_knee=filled, has_other_knee=there)
        network.blocks.apply(lambda part: getattr(part, "reset_running_stats", lambda: None)())
    assert torch.equal(*outputs)
    network.eval()
    own_features, other_features = network.pooled(own), network.pooled(other) * there[:, None]
    expected = network.linear(torch.cat([own_features, other_features], dim=1))
    received = network(own, other_knee=other, has_other_knee=there)
    torch.testing.assert_close(received, expected)


def test_measures_of_uptake_are_standardized_over_the_training() -> None:
    network = PooledCNN(depth=1, width=2, pixels=32, uptake=True, outputs=1)
    uptake = torch.randn(64, 2, generator=torch.Generator().manual_seed(0)) * 3 + 5
    assert network.standardized is not None
    for _ in range(100):
        network.standardized(uptake)
    network.eval()
    expected = (uptake - uptake.mean(dim=0)) / uptake.std(dim=0)
    torch.testing.assert_close(network.standardized(uptake), expected, atol=1e-3, rtol=1e-3)


def test_a_network_asks_for_the_inputs_of_its_options_alone() -> None:
    other = ("other_knee", "has_other_knee")
    for options, expected in (
        ({}, ()),
        ({"uptake": True}, ("uptake",)),
        ({"both_knees": True}, other),
        ({"uptake": True, "both_knees": True}, ("uptake", *other)),
    ):
        assert extra_inputs(PooledCNN(**options)) == expected


def test_batch_normalization_of_more_than_one_value_is_pytorchs() -> None:
    ours, theirs = OpenBatchNorm(3), torch.nn.BatchNorm2d(3)
    values = torch.randn(4, 3, 2, 2)
    assert torch.equal(ours(values), theirs(values))
    alone = values[:1, :, :1, :1]
    assert torch.equal(ours(alone), theirs.eval()(alone)), "by the running statistics"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("values", "pixels", "sentence"),
    [
        ({"depth": 7}, 64, "model.depth: .* from 1 to 5, received 7 with data.pixels=64"),
        ({"depth": 6}, 32, "model.depth: .* from 1 to 5, received 6 with data.pixels=32"),
        ({"depth": 4}, 8, "model.depth: .* from 1 to 3, received 4 with data.pixels=8"),
        ({"depth": 0}, 32, "model.depth: .* received 0"),
        ({"depth": "2"}, 32, "model.depth: .* received 2"),
        ({"width": 257}, 32, "model.width: .* from 1 to 256, received 257"),
        ({"dropout": 1.1}, 32, "model.dropout: expected a number from 0 to 1, received 1.1"),
        ({"dropout": -0.1}, 32, "model.dropout: .* received -0.1"),
        ({"dropout": float("nan")}, 32, "model.dropout: .* received nan"),
        ({"dropout": True}, 32, "model.dropout: .* received True"),
        ({"dropout": None}, 32, "model.dropout: .* received None"),
        ({"uptake": "yes"}, 32, "model.uptake: expected true or false, received yes"),
        ({"both_knees": 1}, 32, "model.both_knees: expected true or false, received 1"),
    ],
)
def test_values_out_of_range_are_one_sentence(
    kind: type[PooledCNN], values: dict[str, Any], pixels: int, sentence: str
) -> None:
    spec = {"_target_": f"djd.models.pooled.{kind.__name__}", **values}
    with pytest.raises(InputError, match=f"^{sentence}") as caught:
        build_network(spec, views=1, pixels=pixels, outputs=5)
    assert "\n" not in str(caught.value)
