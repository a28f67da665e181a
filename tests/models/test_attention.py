import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from djd.data.datamodule import Batch
from djd.models.attention import attention_maps, contributions, grade_attention
from djd.models.classifier import GradeClassifier
from djd.models.networks import KneeCNN
from djd.models.pooled import PooledCNN, ResidualNet
from tests.foreign import Convolutions, Perceptron, WithBothKnees


def trained_a_little(depth: int = 2, channels: int = 1, **arguments: bool) -> KneeCNN:
    """A network whose running statistics are no longer those of a new one."""
    torch.manual_seed(0)
    network = KneeCNN(depth=depth, width=3, views=channels, **arguments)
    network(torch.rand(8, channels, 128, 128))
    return network


def crops_of(knees: int, channels: int = 1) -> Tensor:
    return torch.rand(knees, channels, 128, 128, generator=torch.Generator().manual_seed(1))


def maps_of(network: nn.Module, crops: Tensor, grades: Tensor, **inputs: Tensor) -> Tensor:
    """What speaks for a grade of each knee."""
    maps = attention_maps(network, crops, lambda outputs: outputs.gather(1, grades[:, None])[:, 0],
                    **inputs)  # fmt: skip
    assert maps is not None
    return maps


def enlarged(small: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Bilinear, pixel centres on pixel centres, edges carried on."""
    places = (np.arange(size) + 0.5) * len(small) / size - 0.5
    rows = np.array([np.interp(places, np.arange(len(small)), column) for column in small.T]).T
    return np.array([np.interp(places, np.arange(len(small)), row) for row in rows])


def plain_attention(network: KneeCNN, crop: Tensor, grade: int) -> NDArray[np.float64]:
    """One knee, written from the paper alone."""
    network = copy.deepcopy(network).eval()
    kept: list[Tensor] = []
    network.blocks[-1].register_forward_hook(lambda module, inputs, output: kept.append(output))
    score = network(crop[None])[0, grade]
    (gradients,) = torch.autograd.grad(score, kept[0])
    features, slopes = (each[0].detach().double().numpy() for each in (kept[0], gradients))
    total = sum(slope * feature for slope, feature in zip(slopes, features, strict=True))
    large = enlarged(np.maximum(np.asarray(total), 0), crop.shape[-1])
    return large / large.max() if large.max() > 0 else large


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("channels", [1, 2])
def test_maps_are_those_of_the_paper(depth: int, channels: int) -> None:
    network, crops = trained_a_little(depth, channels), crops_of(3, channels)
    grades = torch.tensor([0, 2, 4])
    maps = maps_of(network, crops, grades)
    assert maps.dtype == torch.float32
    for knee, grade in enumerate(grades.tolist()):
        expected = plain_attention(network, crops[knee], grade)
        np.testing.assert_allclose(maps[knee].numpy(), expected, atol=1e-4)


def test_maps_of_at_least_some_grades_have_something_to_show() -> None:
    """Otherwise the comparison above would be one of zeros."""
    network, crops = trained_a_little(), crops_of(5)
    highest = maps_of(network, crops, torch.arange(5)).amax(dim=(1, 2))
    assert set(highest.tolist()) <= {0.0, 1.0}
    assert 1.0 in highest


def test_a_network_that_passes_its_input_on_shows_its_input() -> None:
    network = KneeCNN(depth=1, width=1, pixels=4)
    with torch.no_grad():
        (convolution, *_) = network.blocks[0].children()
        assert isinstance(convolution, nn.Conv2d)
        convolution.weight.zero_()
        convolution.weight[0, 0, 1, 1] = 1
        convolution.bias.zero_()  # type: ignore[union-attr]
        network.linear.weight.fill_(1)
    crop = torch.zeros(1, 1, 4, 4)
    crop[0, 0, 0, 1], crop[0, 0, 3, 3] = 8, 4
    # Pooled to [[8, 0], [0, 4]]; enlarged, a pixel is 3/4 of the nearer and 1/4 of the farther.
    rows = torch.tensor([[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]])
    expected = rows @ torch.tensor([[1.0, 0.0], [0.0, 0.5]]) @ rows.T
    torch.testing.assert_close(maps_of(network, crop, torch.tensor([3]))[0], expected)


def test_where_nothing_speaks_for_a_grade_the_map_is_zero() -> None:
    network = trained_a_little()
    with torch.no_grad():
        network.linear.weight.fill_(-1)
    maps = maps_of(network, crops_of(2), torch.tensor([0, 1]))
    assert torch.equal(maps, torch.zeros(2, 128, 128))
    clipped = trained_a_little(clip_logits=True)
    with torch.no_grad():
        clipped.linear.bias.fill_(-1e6)
    assert not maps_of(clipped, crops_of(1), torch.tensor([2])).any()


def test_no_knees_have_no_maps() -> None:
    maps = maps_of(trained_a_little(), crops_of(0), torch.zeros(0, dtype=torch.int64))
    assert maps.shape == (0, 128, 128)


def blobs(rows: list[int], columns: list[int], generator: torch.Generator) -> Tensor:
    """Noise with a bright spot in each crop."""
    crops = torch.randn(len(rows), 1, 64, 64, generator=generator) / 4
    for crop, row, column in zip(crops, rows, columns, strict=True):
        crop[0, row - 4 : row + 4, column - 4 : column + 4] += 3
    return crops


def test_maps_find_what_was_planted() -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.randint(8, 56, (2, 24), generator=generator).tolist()
    crops = torch.cat([blobs(rows, columns, generator), torch.randn(24, 1, 64, 64) / 4])
    grades = torch.tensor([4] * 24 + [0] * 24)
    network = KneeCNN(depth=2, width=4, pixels=64)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    for _ in range(15):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(crops), grades).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    rows, columns = [15, 32, 50, 20], [45, 32, 12, 15]
    maps = maps_of(network, blobs(rows, columns, generator), torch.full((4,), 4))
    for shown, row, column in zip(maps, rows, columns, strict=True):
        found = divmod(int(shown.argmax()), 64)
        assert np.abs(np.array(found) - (row, column)).max() <= 5
        assert shown.mean() < 0.35, "and little else"


@pytest.mark.parametrize("training", [True, False])
def test_looking_leaves_no_trace(training: bool) -> None:
    network, crops = trained_a_little(), crops_of(6)
    network.train(training)
    network.blocks[1].eval()  # a part in another mode keeps it
    network.linear.weight.grad = torch.ones_like(network.linear.weight)
    modes = [part.training for part in network.modules()]
    state = copy.deepcopy(network.state_dict())
    random_state, before = torch.get_rng_state(), crops.clone()
    maps_of(network, crops, torch.arange(5).repeat(2)[:6])
    assert [part.training for part in network.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.equal(crops, before)
    for name, weights in network.named_parameters():
        assert weights.requires_grad
        if name == "linear.weight":
            assert torch.equal(weights.grad, torch.ones_like(weights))  # type: ignore[arg-type]
        else:
            assert weights.grad is None


def test_training_goes_on_to_the_same_bits_after_a_look() -> None:
    weights = []
    for looks in (False, True):
        network, crops = trained_a_little(), crops_of(8)
        optimizer = torch.optim.Adam(network.parameters())
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(crops), torch.arange(8) % 5).backward()  # type: ignore[no-untyped-call]
            if looks:
                maps_of(network, crops, torch.arange(8) % 5)
            optimizer.step()
        weights.append(torch.cat([each.detach().ravel() for each in network.state_dict().values()]))
    assert torch.equal(*weights)


def test_the_same_maps_come_every_time_and_in_inference_mode() -> None:
    network, crops, grades = trained_a_little(), crops_of(4), torch.tensor([0, 1, 2, 3])
    first = maps_of(network, crops, grades)
    assert not first.requires_grad
    with torch.inference_mode():
        assert torch.equal(maps_of(network, crops + 0, grades), first)
    with torch.no_grad():
        assert torch.equal(maps_of(network, crops, grades), first)


def test_a_network_without_a_map_of_features_has_no_maps() -> None:
    network = Perceptron(hidden=3, pixels=8, outputs=5)
    assert attention_maps(network, torch.rand(2, 1, 8, 8), lambda outputs: outputs[:, 1]) is None
    assert network.training


def test_a_map_that_the_outputs_do_not_come_from_is_none() -> None:
    """Only a sum of pixels is graded; the last map goes nowhere."""

    class Aside(Perceptron):
        def __init__(self) -> None:
            super().__init__(hidden=3, pixels=8, outputs=5)
            self.aside = nn.Conv2d(1, 2, kernel_size=3)

        def forward(self, crops: Tensor) -> Tensor:
            self.aside(crops)
            return super().forward(crops)

    assert attention_maps(Aside(), torch.rand(2, 1, 8, 8), lambda outputs: outputs[:, 1]) is None


def test_a_network_of_ones_own_has_the_maps_of_its_last_convolution() -> None:
    torch.manual_seed(0)
    network, crops = Convolutions(views=1, outputs=5), crops_of(2)
    maps = maps_of(network, crops, torch.tensor([1, 3]))
    assert maps.shape == (2, 128, 128)
    features = network.second(network.first(crops).relu()).detach()
    weights = network.last.weight[[1, 3]].detach() / features[0, 0].numel()
    for knee, (feature, weight) in enumerate(zip(features, weights, strict=True)):
        # The gradient of a mean over pixels is the same in each of them, where ReLU lets it pass.
        small = (weight[:, None, None] * feature.relu()).sum(dim=0).relu()
        large = nn.functional.interpolate(small[None, None], size=(128, 128), mode="bilinear")[0, 0]
        expected = large / large.max() if large.max() > 0 else large
        torch.testing.assert_close(maps[knee], expected, rtol=1e-3, atol=1e-4)


SMALL: dict[str, Any] = {"depth": 2, "width": 4, "pixels": 32}


@pytest.mark.parametrize(
    "network",
    [
        lambda: KneeCNN(**SMALL),
        lambda: PooledCNN(**SMALL, both_knees=True, uptake=True),
        lambda: ResidualNet(**SMALL, views=2),
    ],
    ids=["linear layer by place", "pooled, other inputs", "residual"],
)
def test_pixels_sum_to_the_score_that_comes_from_the_map(
    network: Callable[[], KneeCNN | PooledCNN],
) -> None:
    torch.manual_seed(0)
    built = network().double()
    inputs = {
        "uptake": torch.zeros(6, 2).double(),
        "other_knee": torch.rand(6, 1, 32, 32).double(),
        "has_other_knee": torch.tensor([True, False] * 3),
    }
    given = {name: inputs[name] for name in getattr(built, "inputs", ())}
    crops = torch.rand(6, 2 if isinstance(built, ResidualNet) else 1, 32, 32).double()
    built(crops, **given)  # statistics other than those of a new network
    built.eval()
    summed = contributions(built, crops, lambda outputs: outputs[:, 3], **given)
    assert summed is not None
    rest = built.linear.bias[3].detach().expand(6)
    if isinstance(built, PooledCNN) and built.both_knees:
        features = built.pooled(inputs["other_knee"]) * inputs["has_other_knee"][:, None]
        half = features.shape[1]
        rest = rest + features @ built.linear.weight[3, half : 2 * half]
        assert built.standardized is not None
        rest = rest + built.standardized(inputs["uptake"]) @ built.linear.weight[3, 2 * half :]
    expected = built(crops, **given)[:, 3] - rest
    torch.testing.assert_close(summed.sum(dim=(1, 2)), expected.detach(), rtol=1e-9, atol=1e-9)


def test_each_view_has_its_own_map_of_the_grade() -> None:
    torch.manual_seed(0)
    spec = {"_target_": "djd.models.pooled.PooledCNN", "depth": 2, "width": 4}
    ordinal = {"_target_": "djd.models.ordered.Ordinal"}
    classifier = GradeClassifier(
        spec, ordinal, {}, learning_rate=1, schedule="constant", epochs=1, views=1, each_view=True
    ).eval()
    grades = torch.tensor([0, 4, 2])
    batch = Batch(crop=crops_of(3, 2), grade=grades, knee=torch.arange(3))
    maps = grade_attention(classifier, batch, grades)
    assert maps is not None
    assert maps.shape == (3, 2, 128, 128)
    for view in (0, 1):
        alone = attention_maps(
            classifier.network,
            batch["crop"][:, [view]],
            lambda outputs: classifier.loss.probabilities(outputs).log()[range(3), grades],
        )
        torch.testing.assert_close(maps[:, view], alone)


def test_other_inputs_of_a_network_are_handed_on() -> None:
    network, crops = WithBothKnees(views=1, outputs=5), crops_of(2)
    inputs = {
        "uptake": torch.ones(2, 2),
        "other_knee": torch.zeros(2, 1, 128, 128),
        "has_other_knee": torch.tensor([True, False]),
    }
    assert maps_of(network, crops, torch.tensor([0, 4]), **inputs).shape == (2, 128, 128)
    assert all(torch.equal(network.seen[-1][name], value) for name, value in inputs.items())
