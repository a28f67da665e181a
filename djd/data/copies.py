"""Knees that are copies of one another, found by the noise of their counts.

Anatomy is alike: crops of two patients correlate up to 0.96. Counting noise is shared by copies
alone, and stays in a copy that was rescaled, shifted, mirrored, thinned or lightly blurred. Noise
is what a small blur takes away from the root of the counts (Anscombe, Biometrika 35, 1948), with
one level in each block of pixels and around each frequency.

`bench/copies.py` measures what is found, false alarms, and time.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import uniform_filter

from djd.machine import on_all_cores

LEAST_CORRELATION = 0.25
"""Of the noise of copies at the best shift. Crops of two patients, and second scans of one knee,
reach 0.07, smoothed and rescaled ones 0.18; copies thinned to a quarter of the counts 0.42."""

MOST_CORRELATION = 0.95
TIMES_THE_USUAL = 3
"""Where all crops share a pattern (a printed text, a mask), only what correlates this many times
more than two crops usually do is a copy; what correlates as `MOST_CORRELATION` always is."""

LEAST_LIKENESS = 0.08
"""Of the signatures of copies: four deviations of the likeness of two patients' crops."""

MOST_LOOKS = 3
"""Pictures that a picture is compared with at all shifts, the likeliest first."""

LEAST_PIXELS = 500
"""Pixels that differ from the commonest count; a picture with fewer has no noise to compare."""

SIZE, BLUR, BLOCK, MARGIN = 128, 5, 16, 16
"""Pixels: side of a picture, small blur, block of one level, margin that fades out."""

LOWEST_FREQUENCY = 0.1
"""Cycles a pixel; below is anatomy, which the camera blurs over 4 to 7 pixels."""

FREQUENCY_BLOCK = 9
MOST_NOISE = 3
"""Times the level of the block. A changed pixel, however bright, weighs no more."""

USUAL_PAIRS, CHUNK = 64, 256
"""Pairs of pictures that show how two usually correlate; pictures at a time."""

Pictures = NDArray[np.uint16]
"""uint16 (picture, row 128, column 128), counts a pixel."""

Spectra = NDArray[np.complex64]
"""complex64 (picture, row frequency 128, column frequency 65), as from `scipy.fft.rfft2`."""


def find_copies(windows: NDArray[np.uint16], scan_index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs of knees of two scans that are copies, in any view of the one and any of the other.

    A knee that is a copy of several is paired with one or two of them: pairs join all copies.

    Args:
        windows: uint16 (knee, view, row 128, column 128), counts a pixel, as from `knee_windows`.
        scan_index: int64 (knee,), rising.

    Returns:
        int64 (pair, 2), sorted: a knee, and a knee of an earlier scan.
    """
    pictures = windows.reshape(-1, SIZE, SIZE)
    noisy = np.flatnonzero([_has_noise(picture) for picture in pictures])
    knee = noisy // windows.shape[1]
    scan = scan_index[knee]
    if not len(np.unique(scan)) > 1:
        return np.empty((0, 2), dtype=np.int64)
    chunks = [slice(first, first + CHUNK) for first in range(0, len(noisy), CHUNK)]
    signatures = np.empty((len(noisy), np.count_nonzero(_QUADRANT)), dtype=np.float32)

    def sign(chunk: slice) -> None:
        signatures[chunk] = _signatures(pictures[noisy[chunk]])

    on_all_cores(sign, chunks)
    limit = _limit(pictures, noisy, scan)

    def search(chunk: slice) -> set[tuple[int, int]]:
        """Pairs of the knees of a chunk, each with a knee of an earlier scan."""
        pairs: set[tuple[int, int]] = set()
        likeness = signatures[chunk] @ signatures[: chunk.stop].T
        likeness[scan[chunk, None] <= scan[: chunk.stop]] = -1
        near = np.flatnonzero(likeness.max(axis=1) > LEAST_LIKENESS)
        for _ in range(MOST_LOOKS):
            one, other = chunk.start + near, likeness[near].argmax(axis=1)
            same = correlations(pictures[noisy[one]], pictures[noisy[other]]) > limit
            pairs.update(zip(knee[one[same]].tolist(), knee[other[same]].tolist(), strict=True))
            likeness[near, other] = -1
            near = near[~same & (likeness[near].max(axis=1) > LEAST_LIKENESS)]
        return pairs

    pairs = set().union(*on_all_cores(search, chunks))
    return np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2)


def with_equal_scans(
    pairs: NDArray[np.int64], scan_index: NDArray[np.int64], digests: Sequence[str]
) -> NDArray[np.int64]:
    """Pairs of `find_copies`, and a pair of knees of each scan that equals an earlier one whole.

    Equal scans have no window in common where one has its right knee graded, the other its left.
    `digests` are those of each scan's pixels.
    """
    paired = set(scan_index[pairs[:, 0]].tolist())
    first_knee: dict[str, int] = {}
    for knee, scan in enumerate(scan_index.tolist()):
        first = first_knee.setdefault(digests[scan], knee)
        if scan_index[first] != scan and scan not in paired:
            pairs = np.append(pairs, [(knee, first)], axis=0)
            paired.add(scan)
    return pairs


def correlations(one: Pictures, other: Pictures) -> NDArray[np.float64]:
    """Correlation of the noise of two pictures each, at the best shift, mirrored or not.

    The sign is left out: a picture printed in reverse is a copy, too.

    Returns:
        float64 (picture,), 0 to 1.
    """
    best = np.zeros(len(one))
    for first in range(0, len(one), CHUNK):
        chunk = slice(first, first + CHUNK)
        a, b = noise_spectra(one[chunk]), noise_spectra(other[chunk])
        for rows in (b, np.roll(b[:, ::-1], 1, axis=1)):  # upside down
            for turned in (rows, rows.conj()):
                shifts = fft.irfft2(a * turned, s=(SIZE, SIZE), norm="forward")
                best[chunk] = np.maximum(best[chunk], np.abs(shifts).max(axis=(1, 2)))
    return best


def noise_spectra(pictures: Pictures) -> Spectra:
    """Spectra of the noise: each of norm 1 over all frequencies, or 0 without any noise."""
    root = np.sqrt(pictures, dtype=np.float32)
    beside = np.zeros_like(root)
    for one, other in ((np.s_[:, 1:], np.s_[:, :-1]), (np.s_[..., 1:], np.s_[..., :-1])):
        np.maximum(beside[one], root[other], out=beside[one])
        np.maximum(beside[other], root[one], out=beside[other])
    np.minimum(root, 2 * beside + 2, out=root)  # a single bright pixel
    noise = root - uniform_filter(root, (0, BLUR, BLUR))
    blocks = noise.reshape(-1, SIZE // BLOCK, BLOCK, SIZE // BLOCK, BLOCK)
    level = np.abs(blocks).mean(axis=(2, 4), keepdims=True)
    np.clip(blocks, -MOST_NOISE * level, MOST_NOISE * level, out=blocks)
    blocks /= level + np.float32(1e-2)  # noise below a hundredth of a root is rounding
    spectra = fft.rfft2(noise * _FADING) * _BAND
    amplitude = np.abs(spectra)
    around = uniform_filter(amplitude, (0, FREQUENCY_BLOCK, FREQUENCY_BLOCK), mode=_EDGES)
    spectra *= np.divide(_AROUND, around, out=np.zeros_like(around), where=around > 1e-6)
    norm = np.sqrt(2 * (np.abs(spectra) ** 2).sum(axis=(1, 2), keepdims=True))
    return np.asarray(spectra / np.maximum(norm, 1e-6), dtype=np.complex64)


def _band() -> NDArray[np.float32]:
    """1 at the frequencies of noise. On the axes are the edges of pictures and of printed lines."""
    rows, columns = np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)
    distance = np.hypot(rows, columns)
    away = (np.abs(rows) > 2 / SIZE) & (columns > 2 / SIZE)
    inside = (distance >= LOWEST_FREQUENCY) & (distance <= 0.5)
    return np.asarray(away & inside, dtype=np.float32)


def _fading() -> NDArray[np.float32]:
    """1 inside and falling to 0 at the border, where a shifted copy has other pixels."""
    edge = np.sin(np.pi / 2 * (np.arange(MARGIN) + 0.5) / MARGIN) ** 2
    line = np.concatenate([edge, np.ones(SIZE - 2 * MARGIN), edge[::-1]]).astype(np.float32)
    return line[:, None] * line


_BAND = _band()
_EDGES: Sequence[Literal["nearest", "wrap"]] = ("nearest", "wrap", "nearest")  # rows go round
_AROUND = uniform_filter(_BAND, FREQUENCY_BLOCK, mode=_EDGES[1:])
_FADING = _fading()
_QUADRANT = _BAND[1 : SIZE // 2, 1:-1] > 0


def _signatures(pictures: Pictures) -> NDArray[np.float32]:
    """The noise that stays under shifts and mirrors: float32 (picture, frequency).

    The amplitude at each frequency, added to that at the mirrored frequency; of norm 1.
    """
    amplitude = np.abs(noise_spectra(pictures))[:, :, 1:-1]
    both = amplitude[:, 1 : SIZE // 2] + amplitude[:, : SIZE // 2 : -1]
    signatures = both[:, _QUADRANT]
    signatures -= signatures.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(signatures, axis=1, keepdims=True)
    return np.asarray(signatures / np.maximum(norm, 1e-6), dtype=np.float32)


def _has_noise(picture: NDArray[np.uint16]) -> bool:
    return picture.size - int(np.bincount(picture.ravel()).max()) >= LEAST_PIXELS


def _limit(pictures: Pictures, noisy: NDArray[np.intp], scan: NDArray[np.int64]) -> float:
    """Correlation of copies, given how the noise of pictures of two scans usually correlates."""
    rng = np.random.default_rng(0)
    one, other = rng.integers(len(noisy), size=(2, USUAL_PAIRS))
    apart = scan[one] != scan[other]
    one, other = noisy[one[apart]], noisy[other[apart]]
    # In a folder of few scans half of the pairs may be copies.
    usual = float(np.quantile(correlations(pictures[one], pictures[other]), 0.25))
    return min(max(LEAST_CORRELATION, TIMES_THE_USUAL * usual), MOST_CORRELATION)
