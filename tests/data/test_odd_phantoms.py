"""Phantoms that should be flagged or are hard to crop, and what their manifest says of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from djd.data.phantom.cohort import make_cohort
from djd.data.phantom.odd import CASES
from djd.data.scan import Scan, read_scan
from tests.data.test_phantom import manifest

OddScans = dict[str, tuple[Scan, list[dict[str, str]]]]


@pytest.fixture(scope="module")
def odd_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    make_cohort(folder, patients=2 * len(CASES), seed=1, style="odd")
    return folder


@pytest.fixture(scope="module")
def odd(odd_folder: Path) -> OddScans:
    """Scan and lines of the manifest, (right, left), of each case."""
    rows = manifest(odd_folder)
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return {
        right["case"]: (read_scan(odd_folder / f"{right['scan']}.mat"), [right, left])
        for right, left in pairs
        if right["case"]
    }


def centre_of(row: dict[str, str]) -> tuple[int, int]:
    return round(float(row["row"])), round(float(row["column_anterior"]))


@pytest.mark.slow
def test_every_other_odd_patient_is_a_case_and_the_manifest_says_which(odd_folder: Path) -> None:
    rows = manifest(odd_folder)
    assert [row["case"] for row in rows[::4]] == [""] * len(CASES)
    assert tuple(row["case"] for row in rows[2::4]) == CASES
    assert [row["case"] for row in rows[::2]] == [row["case"] for row in rows[1::2]]
    assert {row["style"] for row in rows} == {"odd"}
    assert json.loads((odd_folder / "phantom.json").read_text())["style"] == "odd"


@pytest.mark.slow
def test_ordinary_odd_patients_are_soft_ones_and_pages_are_turned_by_the_case(
    odd_folder: Path, odd: OddScans, tmp_path: Path
) -> None:
    index = 2 * CASES.index("posterior first") + 1
    make_cohort(tmp_path, patients=index + 1, seed=1, style="soft")
    soft = [read_scan(path).counts for path in sorted(tmp_path.glob("*.mat"))]
    ordinary = read_scan(min(odd_folder.glob("*.mat"))).counts
    np.testing.assert_array_equal(ordinary, soft[0])
    np.testing.assert_array_equal(odd["posterior first"][0].counts, soft[index][::-1])
    turned = soft[2 * CASES.index("upside down") + 1][:, ::-1, ::-1]
    np.testing.assert_array_equal(odd["upside down"][0].counts, turned)
    lines = manifest(tmp_path)
    assert {(row["style"], row["case"]) for row in lines} == {("soft", "")}
    for case, rows in ((case, odd[case][1]) for case in ("posterior first", "upside down")):
        index = 2 * (2 * CASES.index(case) + 1)
        for row, before in zip(rows, lines[index : index + 2], strict=True):
            mirrored = 255 - float(before["column_anterior"])
            assert float(row["column_anterior"]) == pytest.approx(mirrored, abs=0.11)


@pytest.mark.slow
def test_a_knee_lies_where_the_manifest_says_in_every_case(
    odd: OddScans,
) -> None:
    """Counts at the centre are those of bone, or of metal: within what surrounds it."""
    for case, (scan, rows) in odd.items():
        first = scan.counts[0].astype(float)
        air = first[:40, :40].mean()
        for row in rows:
            if not row["row"]:
                continue
            down, across = centre_of(row)
            here = first[down - 6 : down + 7, across - 6 : across + 7].mean() - air
            beside = first[down - 6 : down + 7, [0, 1, 2, -3, -2, -1]].mean() - air
            rim = first[down - 24 : down + 25, across - 6 : across + 7].mean(axis=1).max() - air
            implant = case == "prosthesis" and not row["severity"]
            assert (here < 0.5 * rim) if implant else (here > 10 * max(beside, 0.1)), (case, row)


@pytest.mark.slow
def test_missing_knees_have_no_truth_and_implants_no_grade(
    odd: OddScans,
) -> None:
    for case, missing in (("noise alone", 2), ("blank leg", 1)):
        scan, rows = odd[case]
        assert sum(row["row"] == "" for row in rows) == missing
        for grade, row in zip(scan.grades, rows, strict=True):
            if row["row"] == "":
                assert grade is None
                assert {row[key] for key in ("grade", "severity", "column_anterior")} == {""}
    scan, rows = odd["prosthesis"]
    assert all(row["row"] for row in rows)
    assert [grade is None for grade in scan.grades].count(True) in (1, 2)


@pytest.mark.slow
def test_cases_show_what_their_names_say(odd: OddScans) -> None:
    def net(case: str) -> NDArray[np.float64]:
        view = odd[case][0].counts[0].astype(np.float64)
        net: NDArray[np.float64] = view - view[:40, :40].mean()
        return net

    def knee_row(case: str) -> float:
        return float(np.mean([float(row["row"]) for row in odd[case][1]]))

    noise = odd["noise alone"][0].counts[0].astype(float)
    assert noise.var() / noise.mean() == pytest.approx(1, abs=0.1)
    whole = [net(case).sum() for case in CASES if case not in ("noise alone", "few counts")]
    assert 0.05 < net("few counts").sum() / np.median(whole) < 0.25
    assert knee_row("upside down") < 512
    assert knee_row("pelvis for knees") > 700
    hottest = np.unravel_index(net("hand at knee").argmax(), (1024, 256))
    assert abs(hottest[0] - knee_row("hand at knee")) < 64
    bladder = net("hot bladder")
    assert bladder[: int(knee_row("hot bladder")) - 60].max() > 3 * net("turned legs").max()
    right, left = (centre_of(row)[1] for row in odd["crossed legs"][1])
    assert left - right < 60
