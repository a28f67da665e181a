"""Scintigraphy anew: what it keeps, and what it changes."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch import Tensor
from torch.nn.functional import affine_grid

from djd.data.augment import LARGE, _few_lost, _moved_places, scintigraphy
from djd.errors import InputError
from tests.conftest import compose_values

NOTHING = {"shift": 0.0, "turn": 0.0, "zoom": 0.0, "mirror": 0.0, "thin": 0.0}


def counts_of(mean: float, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.poisson(torch.full(shape, mean), generator=generator)


def changed(counts: Tensor, *, seed: int = 0, **values: float) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scintigraphy(counts, generator, **(NOTHING | values))


def usual() -> dict[str, Any]:
    values = dict(compose_values("augment=scintigraphy")["augment"])
    assert values.pop("_target_") == "djd.data.augment.scintigraphy"
    return values


@pytest.mark.parametrize("pixels", [128, 64, 32])
def test_without_any_change_the_counts_come_back(pixels: int) -> None:
    counts = counts_of(300.0, 3, 2, pixels, pixels)
    np.testing.assert_allclose(changed(counts).numpy(), counts.numpy(), rtol=1e-5, atol=1e-2)


def test_a_mirror_flips_both_views_of_a_knee_and_flips_back() -> None:
    counts = counts_of(50.0, 40, 2, 32, 32)
    always = changed(counts, mirror=1.0)
    torch.testing.assert_close(always, counts.flip(-1), rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(changed(always, mirror=1.0), counts, rtol=1e-4, atol=1e-3)
    half = changed(counts, mirror=0.5)
    flipped = (half - counts).abs().amax(dim=(2, 3)) > 1
    assert torch.equal(flipped[:, 0], flipped[:, 1])
    assert 8 < flipped[:, 0].sum() < 32


@pytest.mark.parametrize("mean", [0.4, 12.0, 400.0])
def test_counts_are_thinned_as_binomial_numbers(mean: float) -> None:
    """Few counts exactly, many by rounded normal numbers; the share is that of a whole view."""
    counts = torch.full((200, 2, 32, 32), float(np.ceil(mean)))
    thinned = changed(counts, thin=0.5)
    assert torch.equal(thinned, thinned.round())
    assert bool((thinned <= counts).all())
    assert bool((thinned >= 0).all())
    number = int(counts[0, 0, 0, 0])
    shares = thinned.double().mean(dim=(2, 3)) / number
    noise = 4 * (0.25 / number / 1024) ** 0.5
    assert 0.5 - noise < shares.min() < 0.52 + noise
    assert 0.98 - noise < shares.max() <= 1
    assert abs(float(shares.mean()) - 0.75) < 0.03
    assert float((shares[:, 0] - shares[:, 1]).abs().max()) > 0.2, "each view has a dose of its own"
    spread = thinned.double().var(dim=(2, 3)) / (number * shares * (1 - shares)).clamp(min=1e-9)
    assert abs(float(spread[shares < 0.95].mean()) - 1) < 0.03


def test_from_where_on_normal_numbers_stand_in_for_binomial_ones() -> None:
    number = round(2.5 * LARGE)
    counts = torch.full((60, 1, 128, 128), float(number))
    thinned = changed(counts, thin=0.5).double().round()
    shares = thinned.mean(dim=(1, 2, 3)).numpy() / number
    stands_in = number * (1 - shares) >= LARGE
    assert 3 < stands_in.sum() < 57, "both ways were gone"
    for way in (stands_in, ~stands_in):
        found = np.bincount(thinned[way].long().ravel(), minlength=number + 1)
        chances = binom.pmf(np.arange(number + 1), number, shares[way][:, None])
        expected = np.mean(chances, axis=0)
        assert np.abs(found / found.sum() - expected).sum() / 2 < 0.02


def test_a_bright_spot_moves_as_far_as_said_at_any_number_of_pixels() -> None:
    for pixels in (128, 32):
        counts = torch.zeros(300, 1, pixels, pixels)
        counts[..., pixels // 2, pixels // 2] = 1000.0
        moved = changed(counts, shift=0.05)
        place = torch.arange(float(pixels))
        total = moved.sum(dim=(1, 2, 3))
        for axis in (2, 3):
            along = moved.sum(dim=(1, 5 - axis)) @ place / total - pixels // 2
            assert 0.045 < along.max() / pixels < 0.0501
            assert -0.0501 < along.min() / pixels < -0.045


@pytest.mark.parametrize("knees", [1, 3])
def test_views_that_lie_last_in_memory_change_as_others_do(knees: int) -> None:
    """The last batch of an epoch may have a single knee."""
    counts = counts_of(20.0, knees, 2, 32, 32)
    last = counts.contiguous(memory_format=torch.channels_last)
    assert torch.equal(changed(last, **usual()), changed(counts, **usual()))


def test_counts_stay_counts_and_nothing_is_drawn_from_elsewhere() -> None:
    counts = counts_of(8.0, 5, 2, 32, 32)
    before, kept = torch.get_rng_state(), counts.clone()
    one, again = (changed(counts, seed=3, **usual()) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(counts, kept)
    assert torch.equal(one, again)
    assert one.shape == counts.shape
    assert one.dtype == torch.float32
    assert 0 <= one.min() <= one.max() <= counts.max()
    assert not torch.equal(one, changed(counts, seed=4, **usual()))


@pytest.mark.parametrize(
    ("name", "value"), [("thin", 1.5), ("zoom", 1.0), ("mirror", -0.1), ("shift", 6), ("turn", 181)]
)
def test_a_value_out_of_range_is_one_sentence(name: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"^augment\.{name}: expected 0 to .*, received {value}"):
        scintigraphy(torch.ones(1, 1, 4, 4), torch.Generator(), **(NOTHING | {name: value}))


@pytest.mark.parametrize("share", [0.0, 1e-4, 0.1, 0.5])
def test_few_lost_counts_are_exact_binomial_numbers(share: float) -> None:
    most = 8.0 if not share else min(200.0, LARGE / share)
    for number in {1, int(most)}:
        counts = torch.full((200_000,), float(number))
        lost = _few_lost(counts, torch.full_like(counts, share), torch.Generator().manual_seed(1))
        found = np.bincount(lost.long().numpy(), minlength=number + 1) / len(counts)
        expected = binom.pmf(np.arange(number + 1), number, share)
        assert len(found) == number + 1
        noise = 5 * np.sqrt(expected * (1 - expected) / len(counts))
        assert bool((np.abs(found - expected) <= noise + 1e-5).all())


def test_all_counts_may_be_lost() -> None:
    counts = torch.tensor([0.0, 1.0, 2.0])
    lost = _few_lost(counts, torch.ones(3), torch.Generator().manual_seed(1))
    assert torch.equal(lost, counts)


def test_no_more_counts_are_lost_than_there_are_where_probabilities_sum_to_less_than_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    largest = 1 - 2**-24
    monkeypatch.setattr("torch.rand", lambda shape, **_: torch.full(shape, largest))
    shares = torch.linspace(0.01, 0.7, 10_000)
    for number in (1.0, 2.0):
        counts = torch.full_like(shares, number)
        assert bool((_few_lost(counts, shares, torch.Generator()) <= counts).all())


def test_places_are_those_of_affine_grid() -> None:
    moves = torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(1))
    expected = affine_grid(moves, [5, 1, 6, 8], align_corners=False)
    torch.testing.assert_close(_moved_places(moves.transpose(1, 2), 6, 8), expected)
