from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from djd.data.cohort import read_cohort
from djd.data.oddities import SAME_PAGES, UPSIDE_DOWN, oddities_of, oddity_warnings
from djd.data.scan import ScanError, read_scan
from djd.data.scan_files import find_scans
from tests.data.mat_files import diaginfo, write_v5

Counts = NDArray[np.uint16]


@pytest.fixture(scope="module")
def scans(phantom_folder: Path) -> list[Counts]:
    """Counts of invented scans with little and with much background."""
    return [read_scan(path).counts for path in find_scans(phantom_folder)[:12]]


def cut_at(counts: Counts, row: int, background: float) -> Counts:
    below = np.random.default_rng(0).poisson(background, counts.shape)
    return np.where(np.arange(1024)[:, None] < row, counts, below).astype(np.uint16)


def on_page(counts: Counts, page: int, value: Counts | int) -> Counts:
    changed = counts.copy()
    changed[page] = value
    return changed


CHANGES: dict[str, tuple[Callable[[Counts], Counts], list[str]]] = {
    "as it is": (lambda counts: counts, []),
    "halved": (lambda counts: counts // 2, []),
    "upside down": (lambda counts: counts[:, ::-1], [UPSIDE_DOWN]),
    "without a trunk": (
        lambda counts: counts * (np.arange(1024) >= 512)[:, None].astype(np.uint16),
        [UPSIDE_DOWN],
    ),
    "empty page": (lambda counts: on_page(counts, 1, 0), ["posterior page empty"]),
    "constant page": (lambda counts: on_page(counts, 0, 9), ["anterior page empty"]),
    "cut at row 560": (
        lambda counts: cut_at(counts, 560, 0),
        [f"{page} page cut off or blank at a knee" for page in ("anterior", "posterior")],
    ),
    "cut at row 600, background below": (
        lambda counts: cut_at(counts, 600, 0.3),
        [f"{page} page cut off or blank at a knee" for page in ("anterior", "posterior")],
    ),
    "one side blank": (
        lambda counts: on_page(counts, 0, counts[0] * (np.arange(256) < 128).astype(np.uint16)),
        ["anterior page cut off or blank at a knee"],
    ),
    "saturated": (
        lambda counts: np.minimum(counts, 25),
        [f"{page} page saturated at a knee" for page in ("anterior", "posterior")],
    ),
    "same pages": (lambda counts: on_page(counts, 1, counts[0]), [SAME_PAGES]),
    "mirrored pages": (lambda counts: on_page(counts, 1, counts[0, :, ::-1]), [SAME_PAGES]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_odd_images_are_named_and_no_other(change: str, scans: list[Counts]) -> None:
    function, expected = CHANGES[change]
    assert len(scans) > 5
    for counts in scans:
        assert oddities_of(function(counts)) == expected


@pytest.mark.parametrize("value", [0, 7])
def test_an_image_of_one_count_cannot_be_read(tmp_path: Path, value: int) -> None:
    image = np.full((1024, 256, 2), value, dtype=np.uint16)
    path = write_v5(tmp_path / "0000001.mat", {"Y": image, "diaginfo": diaginfo()})
    with pytest.raises(ScanError, match=f"expected an image, received {value} in every pixel"):
        read_scan(path)


def test_a_cohort_lists_scans_by_kind_and_a_warning_leaves_out_unused_pages(
    tmp_path: Path, scans: list[Counts]
) -> None:
    for number in range(8):
        image = np.moveaxis(on_page(scans[number % 3], 1, 0), 0, -1)
        write_v5(tmp_path / f"{number}.mat", {"Y": image, "diaginfo": diaginfo()})
    oddities = read_cohort(find_scans(tmp_path)).oddities
    assert oddities == {"posterior page empty": tuple("01234567")}
    named = ["posterior page empty: 0, 1, 2, 3, 4 and 3 more"]
    assert oddity_warnings(oddities) == oddity_warnings(oddities, "posterior") == named
    assert oddity_warnings(oddities, "anterior") == []
    assert oddity_warnings({"anterior page empty": ["a"]}, "posterior") == [
        "anterior page empty: a"
    ]
