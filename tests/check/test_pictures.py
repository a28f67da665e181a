"""The picture of a scan."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from djd.check.pictures import (
    FRAME,
    GAP,
    HEIGHT,
    MOST_BLACK,
    PANEL,
    STEPS,
    WIDTH,
    common_black,
    draw,
    palette,
    picture_name,
    set_black,
    write_picture,
)
from djd.data.crop import Places, place_knees

BLUE, ORANGE = (0, 114, 178), (213, 94, 0)
COUNTS = np.random.default_rng(0).poisson(30, (2, 1024, 256)).astype(np.uint16)


def shown(folder: Path, name: str) -> np.ndarray:
    return np.asarray(Image.open(folder / name).convert("RGB"))


def test_both_crops_lie_below_the_bodies_in_one_window(tmp_path: Path) -> None:
    places = place_knees(COUNTS)
    name = write_picture(tmp_path, "a", COUNTS, places)
    set_black(tmp_path / name, 50.0)
    picture = shown(tmp_path, name)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    row = places.corners[0][0]
    for side in range(2):
        panel = picture[-PANEL:, side * PANEL : (side + 1) * PANEL]
        assert tuple(panel[0, 0]) == (BLUE, ORANGE)[side]
        crop = COUNTS[0, row : row + 128, side * 128 : (side + 1) * 128].astype(float)
        expected = 255 * (1 - np.minimum(crop / 50, 1))
        greys = panel[FRAME:-FRAME, FRAME:-FRAME].astype(float)
        assert (greys == greys[..., :1]).all()
        # A step of the code is a quarter of a count's root.
        assert np.abs(greys[..., 0] - expected).max() < 255 / 50 * (np.sqrt(crop.max()) / STEPS + 1)
    gap = picture[-PANEL - GAP : -PANEL]
    assert (gap == 255).all()


def test_frames_are_where_the_crops_are_cut_and_mirrored_behind() -> None:
    places = Places(np.array([600, 640]), np.array([60, 180]), np.ones(2))
    blank = np.zeros_like(COUNTS)
    codes = draw(blank, places)
    body = WIDTH - 128
    for code, row, column, behind in ((253, 600, 60, 196), (254, 640, 180, 76)):
        for left, middle in ((0, column), (body, behind)):
            view = codes[:512, left : left + 128] == code
            rows, columns = np.nonzero(view)
            assert (rows.min(), rows.max()) == ((row - 64) // 2, (row - 64) // 2 + 63)
            first = max((middle - 64) // 2, 0)
            assert (columns.min(), columns.max()) == (first, min((middle - 64) // 2 + 63, 127))


@settings(max_examples=15)
@given(
    st.lists(st.integers(-90, 1100), min_size=2, max_size=2),
    st.lists(st.integers(-90, 350), min_size=2, max_size=2),
)
def test_crops_beyond_the_border_are_drawn_white_there(rows: list[int], columns: list[int]) -> None:
    codes = draw(COUNTS, Places(np.array(rows), np.array(columns), np.ones(2)))
    assert codes.shape == (HEIGHT, WIDTH)
    padded = np.pad(COUNTS[0], 256)
    for side, (row, column) in enumerate(zip(rows, columns, strict=True)):
        panel = codes[-PANEL:, side * PANEL : (side + 1) * PANEL][FRAME:-FRAME, FRAME:-FRAME]
        there = padded[row + 192 : row + 320, column + 192 : column + 320]
        inside = np.pad(np.ones_like(COUNTS[0]), 256)[
            row + 192 : row + 320, column + 192 : column + 320
        ]
        expected = np.where(inside, np.rint(STEPS * np.sqrt(there)), 255)
        np.testing.assert_array_equal(panel, expected)


def test_black_is_that_of_the_middle_scan_whatever_others_are() -> None:
    assert common_black([40.0, 60.0, 65000.0]) == 60
    assert common_black([]) == common_black([0.0]) > 1
    assert common_black([1e6]) == MOST_BLACK


def test_white_is_no_counts_and_black_all_from_the_window_on() -> None:
    colours = np.frombuffer(palette(25.0), np.uint8).reshape(256, 3)
    assert tuple(colours[0]) == tuple(colours[255]) == (255, 255, 255)
    assert tuple(colours[STEPS * 5]) == (0, 0, 0)
    assert tuple(colours[252]) == (0, 0, 0)
    assert (np.diff(colours[:253, 0].astype(int)) <= 0).all()


@pytest.mark.parametrize("name", ["Kim/0000001", "../../x", "가" * 200, "a b#?%"])
def test_a_picture_has_a_name_that_tells_nothing(name: str) -> None:
    assert picture_name(name) == picture_name(name)
    assert picture_name(name) != picture_name(f"{name}1")
    assert picture_name(name).removesuffix(".png").isalnum()
    assert len(picture_name(name)) == 20
