import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, shift

from djd.data.cohort import read_cohort
from djd.data.copies import LEAST_CORRELATION, correlations, find_copies
from djd.data.problems import copies_warning
from djd.data.scan import read_scan
from djd.data.scan_files import find_scans
from tests.data.mat_files import diaginfo, write_v5

Change = Callable[[NDArray[Any], np.random.Generator], NDArray[Any]]


def expected_counts(rng: np.random.Generator, knees: int) -> NDArray[np.float64]:
    """A leg with a hot joint in each crop, much alike: (knee, view 2, row 128, column 128)."""
    rows, columns = np.mgrid[:128, :128]
    across = rng.uniform(50, 78, (knees, 1, 1, 1))
    leg = 12 * np.exp(-(((columns - across) / 18) ** 2))
    joint = np.exp(-(((columns - across) / 12) ** 2) - ((rows - 64) / 9) ** 2)
    hot = rng.uniform(10, 60, (knees, 1, 1, 1))
    return np.repeat(leg + hot * joint + rng.choice([0.3, 15], (knees, 1, 1, 1)), 2, axis=1)


EXPECTED = expected_counts(np.random.default_rng(1), 24)
CROPS = np.random.default_rng(2).poisson(EXPECTED).astype(np.uint16)
SCANS = np.arange(24) // 2


def moved(crop: NDArray[Any], rng: np.random.Generator, rows: int, columns: int) -> NDArray[Any]:
    """The crop moved down and to the right, with other counts at the border."""
    other = rng.poisson(5, crop.shape)
    other[..., rows:, columns:] = crop[..., : 128 - rows, : 128 - columns]
    return other


def changed(crop: NDArray[Any], rng: np.random.Generator, share: float) -> NDArray[Any]:
    return np.where(rng.random(crop.shape) < share, 60000, crop)


CHANGES: dict[str, Change] = {
    "equal": lambda crop, rng: crop,
    "doubled": lambda crop, rng: 2 * crop,
    "halved": lambda crop, rng: np.rint(crop / 2),
    "eight bits": lambda crop, rng: np.rint(crop * (255 / crop.max())),
    "a pixel changed": lambda crop, rng: changed(crop, rng, 1 / 16384),
    "one pixel in fifty changed": lambda crop, rng: changed(crop, rng, 0.02),
    "moved by 5 and 4 pixels": lambda crop, rng: moved(crop, rng, 5, 4),
    "moved by 40 rows": lambda crop, rng: moved(crop, rng, 40, 0),
    "moved by half a pixel": lambda crop, rng: np.rint(shift(crop * 1.0, (0, 0.5, 0.5), order=1)),
    "mirrored": lambda crop, rng: crop[..., ::-1],
    "upside down": lambda crop, rng: crop[..., ::-1, :],
    "thinned to half": lambda crop, rng: rng.binomial(crop, 0.5),
    "thinned to a quarter": lambda crop, rng: rng.binomial(crop, 0.25),
    "all of it": lambda crop, rng: 3 * moved(rng.binomial(crop, 0.5), rng, 6, 3)[..., ::-1],
    "more noise": lambda crop, rng: np.clip(np.rint(crop + rng.normal(0, 1, crop.shape)), 0, None),
    "counted again": lambda crop, rng: rng.poisson(crop),
    "root": lambda crop, rng: np.rint(10 * np.sqrt(crop)),
    "an offset": lambda crop, rng: crop + 20,
    "reversed": lambda crop, rng: crop.max() - crop,
    "blurred": lambda crop, rng: np.rint(gaussian_filter(crop * 1.0, (0, 0.7, 0.7))),
    "other page empty": lambda crop, rng: crop * np.array([1, 0])[:, None, None],
    "pages swapped": lambda crop, rng: crop[::-1],
}


@pytest.fixture(scope="module")
def pairs() -> list[list[int]]:
    """Copies among the crops and a changed copy of each of the first of them."""
    rng = np.random.default_rng(3)
    changed = [change(crop, rng) for crop, change in zip(CROPS, CHANGES.values(), strict=False)]
    crops = np.concatenate([CROPS, np.array(changed).astype(np.uint16)])
    scans = np.append(SCANS, 12 + np.arange(len(changed)))
    found: list[list[int]] = find_copies(crops, scans).tolist()
    return found


@pytest.mark.parametrize("change", CHANGES)
def test_copies_are_found_by_their_noise(change: str, pairs: list[list[int]]) -> None:
    original = list(CHANGES).index(change)
    assert [len(CROPS) + original, original] in pairs


def test_nothing_but_copies_is_found(pairs: list[list[int]]) -> None:
    assert len(pairs) == len(CHANGES)


def test_a_second_scan_of_the_same_knee_is_no_copy() -> None:
    again = np.random.default_rng(4).poisson(EXPECTED).astype(np.uint16)
    both, scans = np.concatenate([CROPS, again]), np.arange(48) // 2
    assert find_copies(both, scans).shape == (0, 2)
    assert correlations(CROPS[:, 0], again[:, 0]).max() < LEAST_CORRELATION / 3


def test_knees_of_one_scan_are_not_compared_and_all_copies_of_a_knee_are_joined() -> None:
    crops = CROPS.copy()
    crops[[1, 12, 20]] = crops[0]
    pairs = find_copies(crops, SCANS)
    assert set(pairs[:, 0].tolist()) == {12, 20}
    assert {0, 1, 12} >= set(pairs[:, 1].tolist())


def dark(share: float) -> NDArray[np.uint16]:
    return np.random.default_rng(5).poisson(share, CROPS.shape).astype(np.uint16)


@pytest.mark.parametrize(
    "crops",
    [
        np.zeros_like(CROPS),
        np.full_like(CROPS, 7),
        np.repeat(np.arange(128, dtype=np.uint16), 128).reshape(128, 128) + 0 * CROPS,
        dark(1e-4),
        dark(1e-3),
        dark(1e-2),
        dark(0.05),
        gaussian_filter(100.0 * CROPS, (0, 0, 2, 2)).astype(np.uint16),
        gaussian_filter(1.0 * CROPS, (0, 0, 3, 3)).astype(np.uint16),
        CROPS[:, :, ::2, ::2].repeat(2, axis=2).repeat(2, axis=3),
        np.where(np.hypot(*(np.mgrid[:128, :128] - 64)) < 50, CROPS, 0).astype(np.uint16),
        np.where((np.mgrid[:128, :128] % 16 == 0).any(axis=0), 200, CROPS).astype(np.uint16),
    ],
    ids=[
        *("empty", "constant", "ramps", "4 counts", "40 counts", "400 counts", "background"),
        *("smoothed and rescaled", "smoothed", "enlarged", "behind a mask", "under a grid"),
    ],
)
def test_images_without_noise_or_with_a_pattern_in_common_are_no_copies(
    crops: NDArray[np.uint16],
) -> None:
    found = find_copies(crops, SCANS)
    # Ramps are all the same picture.
    assert found.shape == (0, 2) or not (crops - crops[0]).any()


def test_two_scans_are_enough() -> None:
    thinned = np.random.default_rng(6).binomial(CROPS[:2], 0.5)
    crops = np.concatenate([CROPS[:2], thinned]).astype(np.uint16)
    crops[:, 1] = 0
    assert find_copies(crops, SCANS[:4]).tolist() == [[2, 0], [3, 1]]


def test_a_copied_scan_is_found_in_its_cohort_whichever_page_is_empty_and_wherever_its_crop_lies(
    tmp_path: Path, phantom_folder: Path
) -> None:
    paths = [scan.path for scan in find_scans(phantom_folder)]
    for path in paths[:10]:
        shutil.copy(path, tmp_path)
    counts = read_scan(paths[0]).counts.copy()
    counts[0, 515, 20] = 9999  # moves the crop to this row
    for name, pages in (("8000001", [1, 0]), ("8000002", [0, 1])):
        image = np.moveaxis(counts, 0, -1) * np.array(pages, dtype=np.uint16)
        write_v5(tmp_path / f"{name}.mat", {"Y": image, "diaginfo": diaginfo()})
    cohort = read_cohort(find_scans(tmp_path))
    named = [(cohort.knee_name(one), cohort.knee_name(other)) for one, other in cohort.copies]
    first = cohort.scans[0]
    assert set(named) == {
        (f"{name} {side}", f"{first} {side}")
        for name in ("8000001", "8000002")
        for side in ("right", "left")
    }
    assert copies_warning(cohort) == (
        f"copies: 8000001 right of {first} right, 8000001 left of {first} left, 8000002 right of "
        f"{first} right, 8000002 left of {first} left (name one scan of each pair in data.exclude)"
    )


def test_an_invented_cohort_holds_no_copies_and_nothing_odd(phantom_folder: Path) -> None:
    cohort = read_cohort(find_scans(phantom_folder))
    assert cohort.copies.shape == (0, 2)
    assert cohort.oddities == {}


@pytest.mark.parametrize("knees", [0, 1, 2])
def test_few_knees_are_no_trouble(knees: int) -> None:
    assert find_copies(CROPS[:knees], SCANS[:knees]).tolist() == []


def test_many_copies_of_one_knee_are_joined() -> None:
    crops = np.repeat(CROPS[:1, :1], 60, axis=0)
    pairs = find_copies(crops, np.arange(60))
    assert set(pairs[:, 0].tolist()) == set(range(1, 60))
