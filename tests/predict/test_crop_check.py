"""Crops that hold no knee are doubtful, ordinary ones are not, whatever dose and side."""

import numpy as np
import pytest

from djd.data.crop import PLACEMENTS, WINDOW_ROW, Placement, Places, place_knees
from djd.data.oddities import UPSIDE_DOWN
from djd.data.phantom.odd import Case
from djd.grades import PhantomStyle
from djd.predict.crop_check import (
    NOT_FOUND,
    PAGES_SWAPPED,
    crop_doubts,
    measure_crops,
    page_order,
)
from tests.predict.invented_scans import InventedScan, invented_scan

SEEDS = range(503, 506)
"""Of patients whose joints lie in the middle of the crops."""


@pytest.fixture(scope="module")
def plain() -> list[InventedScan]:
    return [invented_scan(seed, "plain") for seed in SEEDS]


def doubts_of(counts: np.ndarray, placement: Placement = "study") -> tuple[tuple[str, ...], ...]:
    return crop_doubts(counts, place_knees(counts, placement))


@pytest.mark.parametrize("style", ["plain", "soft"])
def test_ordinary_knees_are_not_doubted(style: PhantomStyle) -> None:
    for seed in SEEDS:
        scan = invented_scan(seed, style)
        for placement in PLACEMENTS:
            assert doubts_of(scan.counts, placement) == ((), ())


def test_robust_crops_are_doubted_where_no_knee_was_found() -> None:
    for seed in SEEDS[:2]:
        scan = invented_scan(seed, "odd", "blank leg")
        for there, side in zip(scan.joints, doubts_of(scan.counts, "robust"), strict=True):
            assert (NOT_FOUND in side) == (there == "none")
    assert NOT_FOUND not in doubts_of(scan.counts)[0] + doubts_of(scan.counts)[1]


def test_a_body_that_lies_low_has_robust_crops_without_doubt() -> None:
    low = invented_scan(SEEDS[0], "odd", "pelvis for knees")
    assert doubts_of(low.counts, "robust") == ((), ())
    turned = low.counts[:, ::-1, ::-1]
    assert all(UPSIDE_DOWN in side for side in doubts_of(turned, "robust"))


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("upside down", "upside down, or without the upper half"),
        ("posterior first", PAGES_SWAPPED),
        ("noise alone", "no leg that runs through"),
        ("pelvis for knees", "upside down, or without the upper half"),
    ],
)
def test_both_sides_are_doubted_where_no_side_can_be_graded(case: Case, reason: str) -> None:
    for seed in SEEDS:
        scan = invented_scan(seed, "odd", case)
        assert all(reason in side for side in doubts_of(scan.counts))


def test_legs_that_cross_are_doubted() -> None:
    for seed in SEEDS:
        scan = invented_scan(seed, "odd", "crossed legs")
        for side in doubts_of(scan.counts):
            assert {"the legs cross", "the legs lie at the midline"} & {*side}


@pytest.mark.parametrize(
    ("case", "joint", "reason"),
    [
        ("blank leg", "none", "too few counts"),
        ("prosthesis", "implant", "cold where the knee should be"),
    ],
)
def test_only_the_side_without_a_knee_is_doubted(case: Case, joint: str, reason: str) -> None:
    for seed in SEEDS:
        scan = invented_scan(seed, "odd", case)
        doubts = doubts_of(scan.counts)
        assert joint in scan.joints
        for there, side in zip(scan.joints, doubts, strict=True):
            assert (reason in side) == (there == joint)


def test_a_hot_spot_beside_the_leg_is_doubted_on_its_side_alone(plain: list[InventedScan]) -> None:
    for scan in plain:
        places, counts = place_knees(scan.counts), scan.counts.copy()
        middle = places.rows[0]
        counts[0, middle - 4 : middle + 4, 8:16] += 80 * scan.crops.max()
        assert crop_doubts(counts, places) == (("a hot spot beside the leg",), ())


def test_a_crop_far_from_the_joint_is_doubted(plain: list[InventedScan]) -> None:
    for scan in plain:
        lower = np.roll(scan.counts, 70, axis=1)
        for side in crop_doubts(lower, Places.in_halves(WINDOW_ROW + 64)):
            assert {"the knee is not in the middle", "no knee between the shafts"} & {*side}


def test_half_the_counts_are_no_reason_and_a_hundredth_is(plain: list[InventedScan]) -> None:
    random = np.random.default_rng(0)
    for scan in plain:
        half, few = (random.binomial(scan.counts, each).astype(np.uint16) for each in (0.5, 0.01))
        assert doubts_of(half) == ((), ())
        assert all("too few counts" in side for side in doubts_of(few))


def test_measures_do_not_depend_on_dose_but_for_the_signal(plain: list[InventedScan]) -> None:
    for scan in plain:
        once, thrice = (measure_crops((times * scan.crops).astype(np.uint16)) for times in (1, 3))
        for name in once:
            ratio = np.sqrt(3) if name == "signal" else 1.0
            np.testing.assert_allclose(thrice[name], ratio * once[name], rtol=1e-9)


def test_a_mirrored_scan_has_the_measures_of_the_other_side(plain: list[InventedScan]) -> None:
    for scan in plain:
        there = measure_crops(scan.crops)
        mirrored = measure_crops(scan.crops[::-1, :, :, ::-1])
        for name in there:
            np.testing.assert_allclose(mirrored[name], there[name][::-1], err_msg=name)


def test_the_order_of_pages_is_told_from_bladder_and_spine(plain: list[InventedScan]) -> None:
    for scan in plain:
        assert page_order(scan.counts) > 0.4
        assert page_order(scan.counts[::-1]) == pytest.approx(-page_order(scan.counts), abs=0.2)


def test_empty_and_even_pages_are_doubted_without_a_warning() -> None:
    for level in (0, 7):
        counts = np.full((2, 1024, 256), level, dtype=np.uint16)
        assert all("too few counts" in side for side in doubts_of(counts))
