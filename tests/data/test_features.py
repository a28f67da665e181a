"""Handmade measures of invented legs."""

import numpy as np
import pytest
from numpy.typing import NDArray

from djd.data.features import FEATURES, joint_features

RIGHT = np.array([False])


def leg(*, row: int = 64, column: int = 60, size: int = 2, hot: int = 80) -> NDArray[np.uint16]:
    """Shafts of 20 counts, 12 columns wide, a joint of 30, and in it a hot square."""
    crop = np.zeros((1, 1, 128, 128), dtype=np.uint16)
    crop[..., 54:66] = 20
    crop[..., 44:85, 40:80] = 30
    crop[..., row - size : row + size + 1, column - size : column + size + 1] = hot
    return crop


def told(crop: NDArray[np.uint16], left: NDArray[np.bool_] = RIGHT) -> dict[str, float]:
    (values,) = joint_features(crop, left)[:, 0]
    return dict(zip(FEATURES, values.tolist(), strict=True))


def test_a_leg_worked_by_hand() -> None:
    measured = told(leg(column=72, row=50))
    assert measured["peak"] == pytest.approx(np.log(4))
    assert measured["in peak femoral"] == pytest.approx(np.log(4))
    assert measured["out peak femoral"] == pytest.approx(np.log(1.5))
    assert measured["asymmetry femoral"] == pytest.approx(np.log(4 / 1.5))
    assert measured["asymmetry tibial"] == pytest.approx(0)
    assert measured["contrast of the peak"] == pytest.approx(np.log(4 / 1.5), abs=0.1)
    assert measured["height"] < 0 < measured["shift"]


def test_a_left_knee_is_measured_as_its_mirror_image() -> None:
    crop = leg(column=72)
    mirrored = np.ascontiguousarray(crop[..., ::-1])
    assert told(mirrored, np.array([True])) == pytest.approx(told(crop))
    assert told(mirrored)["shift"] == pytest.approx(-told(crop)["shift"], abs=0.1)


def test_a_leg_elsewhere_in_its_crop_is_measured_alike() -> None:
    for columns in (-20, 15, 30):
        moved = np.roll(leg(column=66), columns, axis=-1)
        assert told(moved) == pytest.approx(told(leg(column=66)))


def test_dose_and_background_tell_nothing() -> None:
    noisy = np.random.default_rng(0).poisson(leg() + 1.0).astype(np.uint16)
    for other in (noisy * np.uint16(7), noisy + np.uint16(15)):
        assert told(other.astype(np.uint16)) == pytest.approx(told(noisy), abs=1e-6)


def test_more_and_wider_uptake_is_seen() -> None:
    cool, hot, wide = (told(leg(hot=hot, size=size)) for hot, size in ((40, 2), (120, 2), (120, 6)))
    for name in ("excess", "area above 5", "deviation of 5"):
        assert cool[name] < hot[name] < wide[name], name


@pytest.mark.parametrize("count", [0, 17, 65535])
def test_crops_without_contrast_are_measured_too(count: int) -> None:
    flat = np.full((3, 2, 128, 128), count, dtype=np.uint16)
    values = joint_features(flat, np.array([True, False, True]))
    assert values.shape == (3, 2, len(FEATURES))
    assert str(values.dtype) == "float64"
    assert np.isfinite(values).all()
