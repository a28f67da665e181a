"""What is seen in the image of one scan."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from djd.check.kinds import MIRRORED, MISPLACED, NO_BODY, SWAPPED, UPSIDE_DOWN
from djd.check.looks import Look, look_at, mirror_likeness
from djd.check.pictures import picture_name
from djd.check.scan_problems import image_problems
from djd.data.oddities import is_upside_down
from djd.data.scan import Scan, ScanFiles
from tests.predict.invented_scans import invented_scan

Counts = NDArray[np.uint16]
SEED = 101


@pytest.fixture(scope="module")
def soft() -> Counts:
    return invented_scan(SEED, "soft").counts


@pytest.fixture
def look(tmp_path: Path) -> Callable[[Counts], Look]:
    def looked(counts: Counts) -> Look:
        scan = Scan("a", counts, (None, None), None)
        return look_at(ScanFiles("a", ()), scan, placement="study", pictures=tmp_path)

    return looked


def found(look: Look) -> list[tuple[str, str]]:
    return [(each.kind.name, each.what) for each in image_problems("a", look)]


def test_an_ordinary_scan_has_no_problem_and_a_picture(
    look: Callable[[Counts], Look], soft: Counts, tmp_path: Path
) -> None:
    seen = look(soft)
    assert found(seen) == []
    assert (tmp_path / seen.picture).is_file()
    assert seen.picture == picture_name("a")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda counts: counts[:, ::-1, ::-1], (UPSIDE_DOWN.name, "both views")),
        (
            lambda counts: np.stack([counts[0], counts[1, ::-1]]),
            (UPSIDE_DOWN.name, "the posterior view"),
        ),
        (lambda counts: np.stack([counts[0, :, ::-1], counts[1]]), (MIRRORED.name, None)),
        (lambda counts: np.stack([counts[0], counts[1, :, ::-1]]), (MIRRORED.name, None)),
        (lambda counts: counts[::-1], (SWAPPED.name, None)),
        (
            lambda counts: np.random.default_rng(0).poisson(9, counts.shape).astype(np.uint16),
            (NO_BODY.name, None),
        ),
    ],
)
def test_a_scan_that_lies_wrongly_has_that_problem_alone(
    look: Callable[[Counts], Look],
    soft: Counts,
    change: Callable[[Counts], Counts],
    expected: tuple[str, str | None],
) -> None:
    ((kind, what),) = found(look(change(soft)))
    assert kind == expected[0]
    assert expected[1] in (None, what)


def test_a_body_that_lies_low_is_not_upside_down_and_its_crops_are_looked_at(
    look: Callable[[Counts], Look], soft: Counts
) -> None:
    low = np.roll(soft, 170, axis=1)
    low[:, :170] = soft[:, :170].mean(axis=1, keepdims=True)
    assert is_upside_down(low), "by the halves of the image"
    kinds = {kind for kind, _ in found(look(low))}
    assert kinds == {MISPLACED.name}
    assert {kind for kind, _ in found(look(low[::-1]))} == {SWAPPED.name, MISPLACED.name}


@pytest.mark.parametrize("number", [23, 28])
def test_a_body_is_found_where_the_views_lie_opposite_ways_up(
    look: Callable[[Counts], Look], number: int
) -> None:
    counts = invented_scan((203, number), "plain").counts
    opposed = np.stack([counts[0], counts[1, ::-1, ::-1]])
    assert found(look(opposed)) == [(UPSIDE_DOWN.name, "the posterior view")]


def test_one_image_on_both_pages_is_not_called_mirrored_as_well(
    look: Callable[[Counts], Look], soft: Counts
) -> None:
    for other in (soft[0], soft[0, :, ::-1]):
        assert found(look(np.stack([soft[0], other]))) == []


def test_the_level_of_the_trunk_falls_with_the_counts_and_no_hot_spot_changes_it(
    look: Callable[[Counts], Look], soft: Counts
) -> None:
    level = look(soft).levels[0]
    thin = np.random.default_rng(0).binomial(soft, 0.2).astype(np.uint16)
    assert look(thin).levels[0] == pytest.approx(0.2 * level, rel=0.05)
    hot = soft.copy()
    hot[0, 380:400, 120:140] = 3000
    assert look(hot).levels[0] == pytest.approx(level, rel=0.05)
    assert look(soft[:, ::-1, ::-1]).levels[0] == pytest.approx(level, rel=0.02)


def test_a_scan_mirrored_in_both_views_cannot_be_told(
    look: Callable[[Counts], Look], soft: Counts
) -> None:
    assert found(look(soft[:, :, ::-1])) == []


def test_a_missing_view_is_neither_swapped_nor_mirrored(
    look: Callable[[Counts], Look], soft: Counts
) -> None:
    seen = look(np.stack([soft[0], np.zeros_like(soft[0])]))
    assert not seen.swapped
    assert not seen.mirrored


def test_a_hot_spot_draws_the_crop_away_from_the_knee(
    look: Callable[[Counts], Look], soft: Counts
) -> None:
    hot = soft.copy()
    hot[0, [512, 700], 124] = 4 * soft[0].max()  # one of them is in the study's window
    whats = [what for kind, what in found(look(hot)) if kind == MISPLACED.name]
    assert len(whats) == 2
    for what in whats:
        assert re.fullmatch(r"the knee is found \d\d+ rows (below|above) the middle of .+", what)


def test_mirror_likeness_changes_its_sign_with_a_mirrored_view() -> None:
    rng = np.random.default_rng(1)
    anterior = rng.poisson(rng.uniform(0, 40, (1024, 256))).astype(np.uint16)
    both = np.stack([anterior, anterior[:, ::-1]])
    assert mirror_likeness(both) == pytest.approx(1)
    assert mirror_likeness(np.stack([anterior, anterior])) == pytest.approx(-1)
    even = np.stack([np.full((1024, 256), 7, np.uint16)] * 2)
    assert mirror_likeness(even) == 0
