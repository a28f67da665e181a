"""The soft tissue of an invented body, and the counts that a camera strews far."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from djd.data.phantom.sketch import FWHM_PER_DEVIATION, Frame, Limbs, Points, lay_tissue
from djd.data.scan import SCAN_SHAPE

# Outlines: rows of down, one edge across, the other, in body units.
_HEAD = np.array([(0, 0, 0), (6, -17, 17), (35, -32, 32), (75, -26, 26), (97, -8, 8)], dtype=float)
_TRUNK = np.array(
    [
        *[(84, -19, 19), (108, -21, 21), (116, -34, 34), (126, -60, 60), (145, -66, 66)],
        *[(200, -64, 64), (250, -61, 61), (300, -68, 68), (345, -74, 74), (372, -76, 76)],
    ],
    dtype=float,
)
_ARM = (
    *[(121, 68, 74), (130, 62, 84), (190, 70, 98), (250, 77, 101), (335, 86, 105)],
    *[(360, 80, 109), (392, 84, 109), (406, 93, 99)],
)
_STUMP = 440.0  # where a leg without a knee ends

_COARSE = 4  # pixels a side of the blocks in which slow changes are computed: 9 ms in place of 60


def tissue_counts(
    frame: Frame, sides: tuple[Limbs, Limbs], *, touching: bool, build: float, level: float
) -> NDArray[np.float32]:
    """Soft tissue seen from the front, float32 (row 1024, column 256); `level` is its factor."""
    image = np.zeros(SCAN_SHAPE[1:], dtype=np.float32)

    def lay(outline: Points, counts: float) -> None:
        counts *= level
        lay_tissue(image, frame, down=outline[:, 0], edges=outline[:, 1:], counts=counts)

    lay(_HEAD, 6.0)
    trunk = _TRUNK.copy()
    trunk[trunk[:, 0] >= 200, 1:] *= build  # the girth grows below the chest
    lay(trunk, 11.0)
    for side, limbs in zip((-1, 1), sides, strict=True):
        leg = _thigh_to_toe(limbs, girth=build, touching=touching)
        for outline, counts in ((limbs.hold(_ARM), 4.5), (leg, 10.5)):
            lay(outline if side > 0 else outline[:, (0, 2, 1)] * (1, -1, -1), counts)
    return image


def _thigh_to_toe(limbs: Limbs, *, girth: float, touching: bool) -> Points:
    """Outline of a left leg.

    Where legs touch, the thighs overlap at row 510 of the image by some pixels; elsewhere they
    leave a gap of 16 or more.
    """
    knee, ankle, lower_by = limbs.knee, limbs.ankle, limbs.thigh
    inner = -4.0 if touching else 10.0
    shin = (knee + ankle) / 2
    knots = [
        (372, -3 if touching else 1, 76 * girth),
        (395, inner, 73 * girth),
        (425, inner, 36 * girth + 0.5 * (knee + 24 * girth)),
        (455, 0.0 if touching else max(inner, knee - 27), knee + 22 * girth),
        (502 + lower_by, max(knee - 23 * girth, 4), knee + 22 * girth),
        (550 + lower_by, max(shin - 19 * girth, 5), shin + 23 * girth),
        (610, shin - 15, shin + 17),
        (655, ankle - 11, ankle + 13),
        (690, ankle - 4, ankle + 27),
        (712, ankle + 2, ankle + 24),
    ]
    outline = np.array(knots, dtype=np.float64)
    return outline if limbs.joint != "none" else outline[outline[:, 0] <= _STUMP]


def mottle(
    image: NDArray[np.float32], deviation: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """An image with slow, random changes of brightness, by this deviation of the logarithm."""
    if not deviation:
        return image
    coarse = rng.standard_normal([each // (8 * _COARSE) for each in image.shape])
    return (image * _fine(np.exp(deviation * coarse), 8 * _COARSE)).astype(np.float32)


def strew(view: NDArray[np.float32], share: float, fwhm: float) -> NDArray[np.float32]:
    """A view of which a share of the counts is blurred by `fwhm` pixels: scatter, a wide blur."""
    if not share:
        return view
    rows, columns = view.shape
    blocks = view.reshape(rows // _COARSE, _COARSE, columns // _COARSE, _COARSE).mean(axis=(1, 3))
    wide = gaussian_filter(blocks, fwhm / FWHM_PER_DEVIATION / _COARSE, truncate=3)
    return ((1 - share) * view + share * _fine(wide, _COARSE)).astype(np.float32)


def _fine(blocks: NDArray[np.floating], times: int) -> NDArray[np.float64]:
    """Values of blocks at every pixel, without steps."""
    return zoom(blocks, times, order=1, mode="nearest", grid_mode=True).astype(np.float64)
