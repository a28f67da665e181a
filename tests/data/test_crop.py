from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from djd.data.crop import (
    PLACEMENTS,
    VIEW_INDICES,
    Pixels,
    Places,
    crop_knees,
    cut_knees,
    network_views,
    place_knees,
    place_study_crop,
    scale_crops,
    sum_neighbours,
)
from djd.data.scan import Scan


def study_loop(numbers: NDArray[np.uint16]) -> list[NDArray[np.uint16]]:
    """The study's placement as its text has it: plain loops over `numbers[row, column, page]`."""
    x1, x2 = 510, 638
    for j in range(100, 150):
        if numbers[x1, j, 0] == 0:
            break
        if j == 149:
            x1, x2 = x1 + 70, x2 + 70
    best_row, best_count = x1, -1
    for row in range(x1, x2):
        for column in range(256):
            if int(numbers[row, column, 0]) > best_count:
                best_row, best_count = row, int(numbers[row, column, 0])
    top, bottom = best_row - 64, best_row + 64
    return [numbers[top:bottom, 0:128, 0], numbers[top:bottom, 128:, 0]]


def invented_scan(
    seed: int, *, background: float, gap: bool, peaks: list[tuple[int, int, int]]
) -> Scan:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(background, (2, 1024, 256)).astype(np.uint16)
    counts[0, 510, 100:150] = np.maximum(counts[0, 510, 100:150], 1)
    if gap:
        counts[0, 510, 100 + seed % 50] = 0
    for row, column, height in peaks:
        counts[0, row, column] = height
    return Scan("0000002", counts, (0, 0), None)


peaks = st.lists(
    st.tuples(st.integers(440, 780), st.integers(0, 255), st.integers(0, 300)), max_size=8
)


@settings(max_examples=25)
@given(st.integers(0, 2**16), st.sampled_from([0.3, 15.0]), st.booleans(), peaks)
def test_the_crop_is_the_studys(
    seed: int, background: float, gap: bool, peaks: list[tuple[int, int, int]]
) -> None:
    scan = invented_scan(seed, background=background, gap=gap, peaks=peaks)
    right, left = study_loop(np.moveaxis(scan.counts, 0, -1))
    crops = crop_knees(scan)
    np.testing.assert_array_equal(crops[0, 0], right)
    np.testing.assert_array_equal(crops[1, 0], left)


PADDED = np.random.default_rng(0).integers(1, 2**16, (2, 1024, 256), dtype=np.uint16)
PADDED = np.pad(PADDED, ((0, 0), (64, 64), (64, 64)))


@given(
    st.tuples(st.integers(0, 1023), st.integers(0, 1023)),
    st.tuples(st.integers(0, 256), st.integers(0, 256)),
)
def test_beyond_the_borders_a_crop_holds_zeros(
    rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    counts = np.stack([PADDED[0, 64:-64, 64:-64], PADDED[1, 64:-64, 64:-64][:, ::-1]])
    crops = cut_knees(counts, Places(np.array(rows), np.array(columns), np.ones(2)))
    for crop, row, column in zip(crops, rows, columns, strict=True):
        np.testing.assert_array_equal(crop, PADDED[:, row : row + 128, column : column + 128])


def test_the_place_is_row_and_column_64_of_a_crop() -> None:
    counts = np.zeros((2, 1024, 256), dtype=np.uint16)
    counts[0, 600, 70], counts[0, 610, 180] = 5, 6
    crops = cut_knees(counts, Places(np.array([600, 610]), np.array([70, 180]), np.ones(2)))
    assert crops[:, 0, 64, 64].tolist() == [5, 6]


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_corners_are_those_of_the_crops(placement: Literal["study", "robust"]) -> None:
    scan = invented_scan(3, background=15, gap=True, peaks=[(600, 70, 300), (610, 180, 300)])
    corners = place_knees(scan.counts, placement).corners
    for crop, (row, column) in zip(crop_knees(scan, placement), corners, strict=True):
        inside = scan.counts[0, row : row + 128, max(column, 0) : column + 128]
        first = max(-column, 0)
        np.testing.assert_array_equal(crop[0, :, first : first + inside.shape[1]], inside)


@pytest.mark.parametrize("gap_column", [100, 149])
def test_one_zero_at_either_end_of_the_gap_keeps_the_window(gap_column: int) -> None:
    anterior = np.ones((1024, 256), dtype=np.uint16)
    anterior[510, gap_column] = 0
    anterior[520, 3] = 9
    assert place_study_crop(anterior) == 520 - 64


@pytest.mark.parametrize("outside_column", [99, 150])
def test_a_zero_beside_the_gap_columns_does_not_count(outside_column: int) -> None:
    anterior = np.ones((1024, 256), dtype=np.uint16)
    anterior[510, outside_column] = 0
    anterior[520, 3] = 9  # outside the moved window
    anterior[700, 3] = 5
    assert place_study_crop(anterior) == 700 - 64


def test_the_first_of_equal_rows_is_the_centre() -> None:
    anterior = np.zeros((1024, 256), dtype=np.uint16)
    anterior[[530, 600], [200, 10]] = 7
    assert place_study_crop(anterior) == 530 - 64


def test_an_empty_scan_is_cropped_at_the_windows_top() -> None:
    assert place_study_crop(np.zeros((1024, 256), dtype=np.uint16)) == 510 - 64


def test_the_posterior_view_is_mirrored_so_that_sides_match() -> None:
    counts = np.zeros((2, 1024, 256), dtype=np.uint16)
    counts[0, 560, 40] = 9  # the right knee, on the image's left from the front
    counts[1, 560, 215] = 8  # the same spot from the back
    crops = crop_knees(Scan("0000002", counts, (0, 0), None))
    assert place_study_crop(counts[0]) == 560 - 64
    assert crops[0, 0, 64, 40] == 9
    assert crops[0, 1, 64, 40] == 8
    assert crops[1].sum() == 0


def test_scaling_is_what_it_says() -> None:
    crops = np.random.default_rng(0).poisson(15, (3, 2, 128, 128)).astype(np.uint16)
    np.testing.assert_array_equal(scale_crops(crops, "counts"), crops)
    np.testing.assert_allclose(scale_crops(crops, "sqrt") ** 2, crops, rtol=1e-5)
    standard = scale_crops(crops, "standard")
    np.testing.assert_allclose(standard.mean(axis=(2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(standard.std(axis=(2, 3)), 1, atol=1e-5)


def test_a_crop_without_contrast_is_scaled_to_zero() -> None:
    flat = np.full((1, 1, 128, 128), 7, dtype=np.uint16)
    assert not scale_crops(flat, "standard").any()


@pytest.mark.parametrize("pixels", [128, 64, 32])
def test_summed_pixels_keep_every_count_though_a_sum_passes_the_largest_uint16(
    pixels: Pixels,
) -> None:
    crops = np.random.default_rng(0).integers(0, 2**16, (3, 2, 128, 128)).astype(np.uint16)
    crops[0] = 2**16 - 1
    summed, block = sum_neighbours(crops, pixels), 128 // pixels
    assert summed.shape == (3, 2, pixels, pixels)
    whole = crops.astype(np.int64)
    for row, column in ((0, 0), (5, 31), (pixels - 1, 7)):
        rows = slice(row * block, (row + 1) * block)
        columns = slice(column * block, (column + 1) * block)
        expected = whole[..., rows, columns].sum(axis=(2, 3))
        np.testing.assert_array_equal(summed[..., row, column], expected)
    np.testing.assert_array_equal(summed.sum(axis=(2, 3), dtype=np.int64), whole.sum(axis=(2, 3)))
    np.testing.assert_array_equal(scale_crops(summed, "counts"), summed.astype(np.float64))


def test_a_network_sees_one_view_at_a_time_unless_both_are_its_channels() -> None:
    assert {views: network_views(views) for views in VIEW_INDICES} == {
        "anterior": 1,
        "posterior": 1,
        "both": 2,
        "each": 1,
    }
