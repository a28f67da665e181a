"""Knees are found where invented scans have them, however the scan lies."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from djd.data.crop import SURE, place_knees, study_misplaces
from djd.data.knee_places import FoundKnees, find_knees
from djd.data.phantom.body import count, expected_counts
from djd.data.phantom.knee import invent_knee
from djd.data.phantom.odd import CASES, Case, turn_pages
from djd.data.phantom.patient import invent_patient
from djd.data.phantom.style import STYLES
from djd.grades import PhantomStyle

NEAR = 16
REAL_KNEES = np.array([[605.0, 75.0], [620.0, 165.0]])
"""Right and left, read off the picture of the public scan."""


class Invented(NamedTuple):
    counts: NDArray[np.uint16]
    centres: NDArray[np.float64]
    """(side 2, 2): row and column in the first page, left of the image first; NaN for no knee."""


def invent(seed: int, style: PhantomStyle, case: Case | None = None) -> Invented:
    patient = invent_patient(np.random.SeedSequence(seed), STYLES[style], case=case, null=False)
    right, left = (invent_knee(each, patient.image, STYLES[style]) for each in patient.severities)
    expected = expected_counts(patient.body, (right, left), patient.image, patient.pose)
    counts, centres = turn_pages(case, count(expected, patient.image), patient.body.knee_centres)
    there = np.array([limbs.joint != "none" for limbs in patient.body.sides])[:, None]
    centres = np.where(there, centres, np.nan)
    return Invented(
        counts, centres[::-1] if case in ("upside down", "posterior first") else centres
    )


@pytest.fixture(scope="module")
def soft() -> list[Invented]:
    return [invent(seed, "soft") for seed in range(3)]


def places_of(found: FoundKnees) -> NDArray[np.float64]:
    return np.stack([found.rows, found.columns], axis=-1)


def distances(found: FoundKnees, centres: NDArray[np.float64]) -> NDArray[np.float64]:
    off: NDArray[np.float64] = np.hypot(*(places_of(found) - centres).T)
    return off


def test_ordinary_knees_are_found_for_sure(soft: list[Invented]) -> None:
    for scan in soft:
        found = find_knees(scan.counts)
        assert (distances(found, scan.centres) <= NEAR).all()
        assert (found.confidence > SURE).all()
        assert (found.confidence <= 1).all()


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_knees_of_odd_scans_are_found_and_missing_ones_doubted(case: Case) -> None:
    near, sure_of_none = [], []
    for seed in range(20):
        scan = invent(700 + seed, "odd", case)
        found = find_knees(scan.counts)
        there = ~np.isnan(scan.centres[:, 0])
        near += (distances(found, scan.centres)[there] <= NEAR).tolist()
        sure_of_none += (found.confidence[~there] > 0.3).tolist()
    assert not near or np.mean(near) >= 0.95
    assert not any(sure_of_none)
    assert len(near) + len(sure_of_none) == 40


def test_a_mirrored_scan_has_mirrored_places(soft: list[Invented]) -> None:
    for scan in soft:
        there, mirrored = find_knees(scan.counts), find_knees(scan.counts[:, :, ::-1])
        np.testing.assert_allclose(mirrored.rows, there.rows[::-1], atol=1e-6)
        np.testing.assert_allclose(mirrored.columns, 255 - there.columns[::-1], atol=1e-6)
        np.testing.assert_allclose(mirrored.confidence, there.confidence[::-1], atol=1e-6)


def test_a_scan_upside_down_has_turned_places(soft: list[Invented]) -> None:
    for scan in soft:
        there, turned = find_knees(scan.counts), find_knees(scan.counts[:, ::-1, ::-1])
        assert there.upright
        assert not turned.upright
        np.testing.assert_allclose(turned.rows, 1023 - there.rows[::-1], atol=1e-6)
        np.testing.assert_allclose(turned.columns, 255 - there.columns[::-1], atol=1e-6)


@pytest.mark.parametrize(("down", "across"), [(40, 0), (-40, 0), (0, 12), (0, -12), (120, 8)])
def test_places_move_with_the_body(soft: list[Invented], down: int, across: int) -> None:
    """By whole squares, in which the finder looks; rows and columns that come in are air."""
    for scan in soft:
        views = np.stack([scan.counts[0], scan.counts[1, :, ::-1]])
        moved = np.roll(views, (down, across), axis=(1, 2))
        moved = np.stack([moved[0], moved[1, :, ::-1]])
        expected = places_of(find_knees(scan.counts)) + np.array([down, across])
        assert np.abs(places_of(find_knees(moved)) - expected).max() <= 4


@pytest.mark.parametrize("page", [0, 1])
def test_one_page_is_enough(soft: list[Invented], page: int) -> None:
    for scan in soft:
        counts = scan.counts.copy()
        counts[page] = 0
        assert (distances(find_knees(counts), scan.centres) <= NEAR).all()


def test_a_tenth_of_the_counts_moves_no_knee_far(soft: list[Invented]) -> None:
    random = np.random.default_rng(0)
    for scan in soft:
        few = random.binomial(scan.counts, 0.1).astype(np.uint16)
        assert (distances(find_knees(few), scan.centres) <= NEAR).all()


def test_a_hot_spot_beside_a_knee_moves_neither_knee(soft: list[Invented]) -> None:
    for scan in soft:
        counts, (row, column) = scan.counts.copy(), scan.centres[0].astype(int)
        counts[0, row + 10 : row + 20, column - 40 : column - 30] = 3000
        assert (distances(find_knees(counts), scan.centres) <= NEAR).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("level", [0, 1, 2**16 - 1])
def test_even_pages_have_no_knee_and_raise_nothing(level: int) -> None:
    found = find_knees(np.full((2, 1024, 256), level, dtype=np.uint16))
    assert not found.confidence.any()
    assert np.isfinite(places_of(found)).all()


@pytest.mark.filterwarnings("error")
def test_places_are_finite_and_inside_whatever_the_counts() -> None:
    random = np.random.default_rng(0)
    spot, row, column = np.zeros((3, 2, 1024, 256), dtype=np.uint16)
    spot[0, 1023, 255], row[1, 700], column[:, :, 3] = 1, 9, 60000
    noise = random.poisson(15, (2, 1024, 256)).astype(np.uint16)
    cut = np.concatenate([noise[:, :512] * 0, noise[:, 512:]], axis=1)
    for counts in (spot, row, column, noise, cut):
        found = find_knees(counts)
        assert ((found.rows >= 0) & (found.rows < 1024)).all()
        assert ((found.columns >= 0) & (found.columns < 256)).all()
        assert (found.confidence < SURE).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("first", [0, 300, 500, 640])
@pytest.mark.parametrize("rows", [150, 384, 1024])
def test_a_body_that_is_cut_off_raises_nothing(soft: list[Invented], first: int, rows: int) -> None:
    for down in (0, 384):
        counts = np.zeros_like(soft[0].counts)
        counts[:, first : first + rows] = soft[0].counts[:, first : first + rows]
        found = find_knees(np.roll(counts, down, axis=1))
        assert ((found.rows >= 0) & (found.rows < 1024)).all()
        assert ((found.confidence >= 0) & (found.confidence <= 1)).all()


def test_knees_are_found_where_feet_or_head_are_cut_off(soft: list[Invented]) -> None:
    for scan in soft:
        no_feet, no_head = (np.roll(scan.counts, down, axis=1) for down in (250, -250))
        no_feet[:, :250], no_head[:, -250:] = scan.counts[:, :1], scan.counts[:, -1:]
        for counts, down in ((no_feet, 250), (no_head, -250)):
            assert (
                distances(find_knees(counts), scan.centres + np.array([down, 0])) <= 2 * NEAR
            ).all()


def test_the_studys_crop_is_wrong_where_another_pixel_is_hotter_than_the_knee() -> None:
    scan = invent(503, "plain")
    assert study_misplaces(scan.counts) == (False, False)
    hot = scan.counts.copy()
    hot[0, [511, 706], 10] = 60000  # far above, or below where the window lies lower
    assert place_knees(hot, "study").rows[0] in (511, 706)
    assert study_misplaces(hot) == (True, True)
    assert study_misplaces(np.zeros_like(hot)) == (False, False)


def test_the_knees_of_a_public_scan_are_found() -> None:
    """Anterior alone, 12 bits: an injected hand beside the hip, turned legs, soft tissue."""
    pydicom = pytest.importorskip("pydicom")
    from pydicom.data import get_testdata_file

    dataset = pydicom.dcmread(get_testdata_file("JPGExtended.dcm", download=False))
    try:
        anterior = dataset.pixel_array
    except (RuntimeError, NotImplementedError) as error:
        pytest.skip(f"no decoder: {error}")
    found = find_knees(np.stack([anterior, np.zeros_like(anterior)]).astype(np.uint16))
    assert (distances(found, REAL_KNEES) <= NEAR).all()
    assert (found.confidence > SURE).all()
    behind = np.stack([np.zeros_like(anterior), anterior[:, ::-1]]).astype(np.uint16)
    np.testing.assert_allclose(places_of(find_knees(behind)), places_of(found))
