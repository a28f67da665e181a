import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from djd.data.formats import dicom_geometry
from djd.data.formats.dicom_geometry import PIXEL_MM, Spacing, whole_counts
from djd.data.scan import ScanError
from tests.data.dicom_files import body


def to_study(image: NDArray[np.float64], spacing: Spacing | None) -> NDArray[np.uint16]:
    (counts,) = dicom_geometry.to_study(image[np.newaxis], spacing)
    return np.asarray(counts, dtype=np.uint16)


def placed(
    shape: tuple[int, int], spacing: float, *, mm: tuple[float, float]
) -> NDArray[np.float64]:
    """One hot pixel at a place in mm from the middle of the image."""
    image = np.zeros(shape)
    image[int(shape[0] / 2 + mm[0] / spacing), int(shape[1] / 2 + mm[1] / spacing)] = 1000
    return image


@settings(max_examples=25)
@given(
    rows=st.integers(300, 2000),
    columns=st.integers(80, 500),
    length=st.floats(1001, 2300),  # divided by rows, 1000 may be less
    width=st.floats(150, 570),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_counts_are_lost_or_invented(
    rows: int, columns: int, length: float, width: float, seed: int
) -> None:
    image = np.random.default_rng(seed).poisson(3, size=(rows, columns)).astype(float)
    counts = to_study(image, (length / rows, width / columns))
    assert counts.shape == (1024, 256)
    assert abs(int(counts.sum()) - image.sum()) <= 1


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 100))
def test_rounding_keeps_the_total_and_every_pixel(seed: int, scale: float) -> None:
    image = np.random.default_rng(seed).exponential(scale, size=(2, 30, 7))
    counts = whole_counts(image)
    assert (counts == np.rint(counts)).all()
    assert (counts >= 0).all()
    assert (abs(counts.sum(axis=(1, 2)) - image.sum(axis=(1, 2))) <= 0.5 + 1e-6).all()
    assert np.abs(counts - image).max() < 1 + 1e-6


def test_the_matrix_of_the_study_is_left_as_it_is() -> None:
    image = body()[0].astype(float)
    for spacing in (None, (2.26, 2.26), (2.25, 2.27)):
        np.testing.assert_array_equal(to_study(image, spacing), image)


def test_four_pixels_become_one_and_one_becomes_four() -> None:
    fine = body(shape=(2048, 512)).astype(float)
    summed = fine.reshape(1024, 2, 256, 2).sum(axis=(1, 3))
    np.testing.assert_array_equal(to_study(fine, (1.13, 1.13)), summed)
    coarse = 4 * body(shape=(512, 128)).astype(np.float64)
    spread = np.repeat(np.repeat(coarse / 4, 2, axis=0), 2, axis=1)
    np.testing.assert_array_equal(to_study(coarse, (4.52, 4.52)), spread)


@pytest.mark.parametrize(
    ("shape", "spacing"), [((1024, 512), 2.0), ((2048, 512), 1.1), ((512, 128), 3.9)]
)
def test_a_place_in_mm_stays_at_its_place(shape: tuple[int, int], spacing: float) -> None:
    image = placed(shape, spacing, mm=(150, -100))
    row, column = np.unravel_index(int(to_study(image, (spacing, spacing)).argmax()), (1024, 256))
    assert row == pytest.approx(512 + 150 / PIXEL_MM, abs=2)
    assert column == pytest.approx(128 - 100 / PIXEL_MM, abs=2)


def test_pixels_that_are_longer_than_wide_are_known() -> None:
    image = placed((1024, 512), 2.26, mm=(150, 0))
    row, column = np.unravel_index(int(to_study(image, (2.26, 1.13)).argmax()), (1024, 256))
    assert row == pytest.approx(512 + 150 / PIXEL_MM, abs=2)
    assert column == pytest.approx(128, abs=2)


@pytest.mark.parametrize("first", [0, 50, 100, 199])
def test_rows_are_moved_where_head_or_feet_would_be_lost(first: int) -> None:
    image = np.zeros((1200, 256))
    image[first : first + 1000] = body(shape=(1000, 256))
    counts = to_study(image, (2.26, 2.26))
    assert counts.sum() == image.sum()
    middle = 88  # rows cut above and below, where nothing speaks for others
    cut = min(max(middle, first + 1000 - 1024), first)
    np.testing.assert_array_equal(counts, image[cut : cut + 1024])


def test_the_rows_of_both_views_are_moved_alike() -> None:
    views = np.zeros((2, 1200, 256))
    views[0, 10:1010] = body(shape=(1000, 256))
    views[1, 20:1020] = body(1, shape=(1000, 256))
    counts = dicom_geometry.to_study(views, (2.26, 2.26))
    np.testing.assert_array_equal(counts, views[:, 10 : 10 + 1024])


@pytest.mark.parametrize(
    ("shape", "spacing", "expected"),
    [
        ((512, 128), None, "PixelSpacing"),
        ((512, 128), (1.0, 1.0), "mm long"),
        ((1024, 256), (1e-9, 1e-9), "mm long"),
        ((1024, 256), (2.26, 1e-300), "mm wide"),
        ((1024, 256), (2.26, 1e300), "mm wide"),
        ((1500, 256), (2.26, 2.26), "outside"),
        ((1024, 400), (2.26, 2.26), "outside"),
    ],
)
def test_a_size_that_no_body_has_is_refused(
    shape: tuple[int, int], spacing: tuple[float, float] | None, expected: str
) -> None:
    with pytest.raises(ScanError, match=expected):
        to_study(np.ones(shape), spacing)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_values_that_are_no_counts_are_refused(bad: float) -> None:
    image = np.ones((1024, 256))
    image[3, 4] = bad
    with pytest.raises(ScanError, match="counts"):
        to_study(image, None)
    image[3, 4] = 65536
    with pytest.raises(ScanError, match="65535"):
        to_study(image, None)
