import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from djd.data.uptake import MEASURES, relative_uptake

Crop = NDArray[np.uint16]
SEEDS = st.integers(0, 2**32 - 1)
ANY_COUNT = st.integers(0, 2**16 - 1)
ANY_CROP = arrays.arrays(np.uint16, (1, 1, 128, 128), elements=ANY_COUNT, fill=ANY_COUNT)


def leg(*, background: int = 0, hot_row: int = 64, hot_column: int = 60) -> Crop:
    """Shafts of 10 counts, 12 columns wide, a joint of 40 and in it a square of 80."""
    crop = np.zeros((1, 1, 128, 128), dtype=np.uint16)
    crop[..., 54:66] = 10
    crop[..., 44:85, 40:80] = 40
    crop[..., hot_row - 2 : hot_row + 3, hot_column - 2 : hot_column + 3] = 80
    return crop + np.uint16(background)


def noisy_leg(seed: int) -> Crop:
    rng = np.random.default_rng(seed)
    expected = leg() * rng.uniform(0.8, 4) + rng.choice((0.3, 15.0))
    counts: Crop = rng.poisson(expected).astype(np.uint16)
    return counts


def test_a_leg_worked_by_hand() -> None:
    assert MEASURES == ("mean", "peak")
    mean = 40 + 25 * 40 / (41 * 40)
    np.testing.assert_allclose(relative_uptake(leg()), np.log([[[mean / 10, 80 / 10]]]))


def test_where_in_the_joint_the_uptake_lies_tells_nothing() -> None:
    for row, column in ((46, 42), (82, 77), (60, 70)):
        moved = relative_uptake(leg(hot_row=row, hot_column=column))
        np.testing.assert_allclose(moved, relative_uptake(leg()))


def test_background_tells_nothing() -> None:
    np.testing.assert_allclose(relative_uptake(leg(background=15)), relative_uptake(leg()))


def test_a_leg_at_the_edge_of_its_crop_is_not_taken_for_background() -> None:
    touching = np.roll(leg(background=2), 48, axis=-1)
    assert touching[0, 0, 64, -1] > 2
    np.testing.assert_allclose(relative_uptake(touching), relative_uptake(leg()))


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_uptake_is_that_of_a_plain_reckoning(seed: int) -> None:
    crop = noisy_leg(seed)
    pixels = crop[0, 0].astype(float)
    background = min(pixels[:, :12].mean(), pixels[:, 116:].mean())

    def brightest(rows: NDArray[np.float64], columns: int) -> float:
        return float(np.mean(sorted(rows.mean(axis=0))[-columns:]) - background)

    shaft = (brightest(pixels[:32], 12) + brightest(pixels[96:], 12)) / 2
    squares = [
        pixels[row : row + 5, column : column + 5].mean()
        for row in range(44, 81)
        for column in range(124)
    ]
    expected = np.log([brightest(pixels[44:85], 40) / shaft, (max(squares) - background) / shaft])
    np.testing.assert_allclose(relative_uptake(crop)[0, 0], expected)


@given(SEEDS, st.integers(2, 100))
@settings(max_examples=30, deadline=None)
def test_a_higher_dose_tells_nothing(seed: int, factor: int) -> None:
    crop = noisy_leg(seed)
    more = (crop * factor).astype(np.uint16)
    np.testing.assert_allclose(relative_uptake(more), relative_uptake(crop), atol=1e-9)


@given(ANY_CROP | SEEDS.map(noisy_leg))
@settings(max_examples=50, deadline=None)
def test_a_mirror_image_has_the_very_same_uptake(crop: Crop) -> None:
    np.testing.assert_array_equal(relative_uptake(crop[..., ::-1]), relative_uptake(crop))


@given(ANY_CROP)
@settings(max_examples=50, deadline=None)
def test_uptake_is_finite_whatever_the_crop(crop: Crop) -> None:
    assert (np.abs(relative_uptake(crop)) <= 11.1).all()


@given(ANY_COUNT)
@settings(max_examples=20, deadline=None)
def test_a_crop_without_contrast_takes_up_what_its_shafts_do(count: int) -> None:
    crop = np.full((1, 1, 128, 128), count, dtype=np.uint16)
    np.testing.assert_array_equal(relative_uptake(crop), np.zeros((1, 1, 2)))


def test_every_knee_and_view_is_measured_by_itself() -> None:
    crops = np.concatenate([noisy_leg(seed) for seed in range(6)]).reshape(3, 2, 128, 128)
    together = relative_uptake(crops)
    assert together.shape == (3, 2, 2)
    for knee in range(3):
        for view in range(2):
            alone = relative_uptake(crops[[knee]][:, [view]])
            np.testing.assert_array_equal(together[knee, view], alone[0, 0])


def test_no_knee_has_no_uptake() -> None:
    assert relative_uptake(np.zeros((0, 2, 128, 128), dtype=np.uint16)).shape == (0, 2, 2)
