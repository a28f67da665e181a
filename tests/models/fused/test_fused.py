"""The compiled blocks against PyTorch's own layers, which say what is right."""

from collections.abc import Iterator
from typing import cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from djd.models import networks
from djd.models.fused import fusing
from djd.models.fused.fused import FusedBlock, FusedFirstBlock, mean_and_largest
from djd.models.networks import KneeBlock, KneeCNN
from djd.models.pooled import PooledCNN
from tests.models.fused.builds import FLAGS, built_with

pytestmark = pytest.mark.skipif(
    not fusing.trusted(torch.float32), reason="no C compiler here: plain layers are used"
)


@pytest.fixture(autouse=True, scope="module", params=FLAGS, ids=lambda flag: flag or "native")
def build(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test for each width of registers."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more have nothing to do at these sizes
    with built_with(request.param):
        yield
    torch.set_num_threads(threads)


def plain(block: nn.Sequential) -> nn.Sequential:
    """The study's order of the same layers, with the same numbers."""
    convolution, norm, pooling, relu = block
    return nn.Sequential(convolution, norm, relu, pooling)


def random_block(channels_in: int, channels_out: int, seed: int) -> KneeBlock:
    """In float64, with scales of both signs."""
    torch.manual_seed(seed)
    block = KneeBlock(channels_in, channels_out).double()
    with torch.no_grad():
        norm = cast(nn.BatchNorm2d, block[1])
        norm.weight.normal_()
        norm.bias.normal_()
    return block


def twin(block: KneeBlock) -> nn.Sequential:
    """The same layers in the study's order, apart from the first."""
    other = KneeBlock(block[0].in_channels, block[0].out_channels).to(block[0].weight.dtype)  # type: ignore[arg-type]
    other.load_state_dict(block.state_dict())
    return plain(other)


def assert_same(block: KneeBlock, crops: Tensor, *, digits: float, crops_too: bool = True) -> None:
    """Activation, every gradient and the running statistics, in training and in evaluation."""
    theirs = twin(block)
    sides = []
    for each in (block, theirs):
        seen = crops.clone().requires_grad_(crops_too)
        out = each(seen)
        out.square().mean().backward()
        gradients = [parameter.grad for parameter in each.parameters()]
        each.eval()
        with torch.no_grad():
            scored = each(crops)
        sides.append(
            [out, *gradients, *([seen.grad] if crops_too else []), *each.buffers(), scored]
        )
    for mine, other in zip(*sides, strict=True):
        scale = float(other.detach().abs().max())
        torch.testing.assert_close(mine, other, rtol=digits, atol=digits * max(1.0, scale))


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize(("channels", "size"), [(16, 32), (48, 32), (16, 2), (16, 6), (16, 18)])
def test_first_block_is_the_studys_layers(views: int, channels: int, size: int) -> None:
    crops = torch.randn(3, views, size, size, dtype=torch.float64) * 9 + 40
    assert_same(random_block(views, channels, seed=0), crops, digits=1e-10, crops_too=False)


@given(
    knees=st.integers(1, 5),
    channels_in=st.integers(1, 20),
    groups=st.integers(1, 3),
    half=st.integers(1, 9),
    seed=st.integers(0, 2**31),
)
def test_any_block_is_the_studys_layers(
    knees: int, channels_in: int, groups: int, half: int, seed: int
) -> None:
    block = random_block(channels_in, 16 * groups, seed)
    crops = torch.randn(knees, channels_in, 2 * half, 2 * half, dtype=torch.float64) * 3 + 1
    assert_same(block, crops, digits=1e-9)


def test_float32_is_as_near_as_float32_can_be() -> None:
    block = random_block(1, 16, seed=0).float()
    crops = torch.randn(4, 1, 64, 64) * 20 + 100
    assert_same(block, crops, digits=1e-3, crops_too=False)


@pytest.mark.slow
def test_first_blocks_gradients_are_its_numerical_ones() -> None:
    crops = torch.randn(2, 1, 16, 16, dtype=torch.float64)
    block = random_block(1, 16, seed=1)

    def activation(*parameters: Tensor) -> Tensor:
        return FusedFirstBlock.apply(crops, block[1], *parameters)  # type: ignore[no-untyped-call, no-any-return]

    assert torch.autograd.gradcheck(activation, tuple(block.parameters()))


@pytest.mark.slow
def test_any_blocks_gradients_are_its_numerical_ones() -> None:
    crops = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    block = random_block(3, 16, seed=2)

    def activation(crops: Tensor, *parameters: Tensor) -> Tensor:
        return FusedBlock.apply(crops, block[1], *parameters)  # type: ignore[no-untyped-call, no-any-return]

    assert torch.autograd.gradcheck(activation, (crops, *block.parameters()))


def features_of(maps: Tensor) -> Tensor:
    """By PyTorch's operations, what `mean_and_largest` gives."""
    return torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("size", [1, 4, 7])
def test_the_heads_features_and_gradient_are_pytorchs(size: int, ties: bool) -> None:
    """Where several pixels are largest, too: they share the gradient."""
    torch.manual_seed(0)
    maps = torch.randn(3, 32, size, size, dtype=torch.float64)
    maps = (maps.round() if ties else maps).requires_grad_()
    features, expected = mean_and_largest(maps), features_of(maps)
    torch.testing.assert_close(features, expected)
    weights = torch.randn(3, 64, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((features * weights).sum(), maps)
    (expected_gradient,) = torch.autograd.grad((expected * weights).sum(), maps)
    torch.testing.assert_close(gradient, expected_gradient)


def test_a_nan_in_a_map_is_seen_in_both_features() -> None:
    maps = torch.rand(2, 16, 4, 4, dtype=torch.float64)
    maps[1, 3, 2, 1] = float("nan")
    torch.testing.assert_close(mean_and_largest(maps), features_of(maps), equal_nan=True)


def test_twenty_steps_lose_what_twenty_steps_of_plain_layers_lose(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    crops = torch.randn(20, 8, 1, 32, 32, dtype=torch.float64)
    losses = []
    for compiled in (True, False):
        monkeypatch.setattr(networks, "FUSED", compiled)
        torch.manual_seed(0)
        network = PooledCNN(dropout=0, pixels=32, outputs=5).double()
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
        losses.append([_step(network, optimizer, batch) for batch in crops])
        assert (network.trained_with == "compiled blocks") == compiled
    torch.testing.assert_close(*losses, rtol=0, atol=1e-12)


def _step(network: nn.Module, optimizer: torch.optim.Optimizer, crops: Tensor) -> float:
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(network(crops), torch.arange(len(crops)) % 5)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach())


def test_a_second_derivative_is_refused_rather_than_wrong() -> None:
    block = random_block(3, 16, seed=0)
    crops = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(block(crops).square().sum(), crops, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_crops_without_any_contrast_are_taken(value: float) -> None:
    """All windows are ties then, and the deviation is nearly 0."""
    crops = torch.full((2, 1, 32, 32), value, dtype=torch.float64)
    assert_same(random_block(1, 16, seed=0), crops, digits=1e-8, crops_too=False)


@pytest.mark.parametrize("channels_in", [1, 16])
@pytest.mark.parametrize("training", [True, False])
def test_what_diverged_is_seen(channels_in: int, training: bool) -> None:
    """A NaN that became 0 on the way would be trained on."""
    block = random_block(channels_in, 16, seed=0).train(training)
    with torch.no_grad():
        cast(nn.Conv2d, block[0]).weight[3] = float("nan")
        out = block(torch.randn(2, channels_in, 16, 16, dtype=torch.float64))
    assert out[:, 3].isnan().all()
    assert not out[:, 4].isnan().any()


@pytest.mark.parametrize("channels_in", [1, 16])
@pytest.mark.parametrize("pixel", [(8, 8), (8, 9), (9, 8), (9, 9)])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("training", [True, False])
def test_a_single_bad_pixel_spreads_as_it_does_in_the_layers(
    channels_in: int, pixel: tuple[int, int], value: float, training: bool
) -> None:
    """Wherever it lies in a pooling window."""
    block = random_block(channels_in, 16, seed=0).train(training)
    theirs = twin(block).train(training)
    crops = torch.randn(2, channels_in, 16, 16, dtype=torch.float64)
    crops[0, 0, pixel[0], pixel[1]] = value
    with torch.no_grad():
        torch.testing.assert_close(block(crops), theirs(crops), equal_nan=True)


def test_smooth_crops_with_large_values_keep_their_digits() -> None:
    """A kernel of second differences leaves a millionth of the pixels' squares."""
    axis = torch.linspace(-1, 1, 64, dtype=torch.float64)
    smooth = (6e4 * torch.exp(-2 * (axis[:, None] ** 2 + axis**2))).round()
    block = random_block(1, 16, seed=0)
    with torch.no_grad():
        kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]], dtype=torch.float64)
        cast(nn.Conv2d, block[0]).weight[0, 0] = kernel
    exact = twin(block)(smooth.expand(2, 1, 64, 64))
    ours = block.float()(smooth.float().expand(2, 1, 64, 64))
    torch.testing.assert_close(ours.double(), exact, rtol=1e-4, atol=1e-4)


def test_first_block_is_the_same_to_the_bit_on_any_number_of_threads() -> None:
    """At a size at which PyTorch shares its sums among threads, too."""
    crops = 3 * torch.rand(32, 1, 128, 128)
    outcomes = []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        block = random_block(1, 16, seed=0).float()
        out = block(crops)
        out.sum().backward()
        outcomes.append([out, *(parameter.grad for parameter in block.parameters())])
        outcomes[-1] += block.buffers()
    torch.set_num_threads(before)
    for one, two in zip(*outcomes, strict=True):
        assert torch.equal(one, two)


def test_inputs_are_left_as_they_were() -> None:
    block = random_block(16, 16, seed=0)
    crops = torch.randn(2, 16, 8, 8, dtype=torch.float64)
    before = crops.clone()
    block(crops).sum().backward()
    assert torch.equal(crops, before)


def test_two_trainings_of_one_network_end_in_the_same_weights() -> None:
    ends = []
    for _ in range(2):
        torch.manual_seed(3)
        network = KneeCNN(depth=2)
        optimizer = torch.optim.Adam(network.parameters())
        for _ in range(3):
            optimizer.zero_grad()
            network(torch.rand(4, 1, 128, 128)).logsumexp(dim=1).sum().backward()
            optimizer.step()
        ends.append([*network.parameters()])
    for one, other in zip(*ends, strict=True):
        assert torch.equal(one, other)
