import csv
import hashlib
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat
from scipy.stats import multivariate_normal, norm, spearmanr
from sklearn.metrics import accuracy_score, cohen_kappa_score

from djd.data.crop import CROP_SIZE, place_study_crop
from djd.data.phantom.cohort import cached_phantom, is_phantom, make_cohort
from djd.data.phantom.knee import (
    FREQUENCIES,
    draw_severities,
    grade_probabilities,
    ideal_ceiling,
    null_ceiling,
    read_grades,
)
from djd.data.phantom.patient import invent_patient
from djd.data.phantom.style import PLAIN, STYLES
from djd.data.phantom.tissue import strew
from djd.data.scan import Scan, read_scan
from djd.errors import InputError


@pytest.fixture(scope="module")
def scans(phantom_folder: Path) -> list[Scan]:
    return [read_scan(path) for path in sorted(phantom_folder.glob("*.mat"))]


def manifest(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_equal_seeds_give_equal_bytes_and_other_seeds_other_scans(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        make_cohort(tmp_path / name, patients=2, seed=seed)
    one, two, other = (contents(tmp_path / name) for name in ("one", "two", "other"))
    assert one == two
    assert not set(one.values()) & set(other.values())


def test_a_file_holds_every_variable_and_field_of_a_real_one(phantom_folder: Path) -> None:
    path = next(phantom_folder.glob("*.mat"))
    content = loadmat(path)
    assert content["Y"].shape == (1024, 256, 2)
    assert content["Y"].dtype == np.uint16
    diaginfo = content["diaginfo"]
    assert diaginfo.shape == (1, 1)
    assert set(diaginfo.dtype.names) == {"comment", "roitable", "kneejointid", "kneejointname"}
    fields = diaginfo[0, 0]
    assert fields["comment"].shape == (1, 1)
    assert fields["roitable"].shape == (2, 4)
    assert fields["kneejointid"].shape == (1, 2)
    assert fields["kneejointname"].shape == (1, 2)


def test_every_file_says_that_it_is_invented(phantom_folder: Path, tmp_path: Path) -> None:
    paths = list(phantom_folder.glob("*.mat"))
    assert all(is_phantom(path) for path in paths)
    assert all(path.read_bytes()[:116].isascii() for path in paths)
    assert "PHANTOM" in (phantom_folder / "phantom.json").read_text()
    assert {row["origin"] for row in manifest(phantom_folder)} == {"PHANTOM"}
    (tmp_path / "real.mat").write_bytes(b"MATLAB 5.0 MAT-file, Platform: PCWIN64".ljust(200))
    assert not is_phantom(tmp_path / "real.mat")
    assert not is_phantom(tmp_path / "missing.mat")


def test_file_numbers_have_gaps_and_the_studys_excluded_ones(scans: list[Scan]) -> None:
    names = [scan.name for scan in scans]
    assert len(names) == 40
    assert {"0000001", "0000058", "0000615", "0000823"} <= set(names)
    assert all(len(name) == 7 and name.isdigit() for name in names)
    assert int(names[-1]) - int(names[0]) > 2 * len(names)


def test_the_manifest_holds_the_grades_that_the_files_hold(
    phantom_folder: Path, scans: list[Scan]
) -> None:
    rows = manifest(phantom_folder)
    assert len(rows) == 2 * len(scans)
    for scan, right, left in zip(scans, rows[::2], rows[1::2], strict=True):
        for side, row, grade in zip(("right", "left"), (right, left), scan.grades, strict=True):
            assert (row["scan"], row["side"]) == (scan.name, side)
            assert row["grade"] == ("" if grade is None else str(grade))
        assert scan.named_grades == scan.grades


def test_the_crops_hold_the_knees_on_their_sides(phantom_folder: Path, scans: list[Scan]) -> None:
    """The manifest's centres, in the anterior view; the right knee in the left half."""
    rows = manifest(phantom_folder)
    inside = 0
    for scan, right, left in zip(scans, rows[::2], rows[1::2], strict=True):
        first_row = place_study_crop(scan.counts[0])
        assert float(right["column_anterior"]) < CROP_SIZE <= float(left["column_anterior"])
        inside += all(20 < float(row["row"]) - first_row < CROP_SIZE - 20 for row in (right, left))
    assert inside >= 0.9 * len(scans)


def test_both_branches_of_the_studys_crop_are_taken(scans: list[Scan]) -> None:
    moved = [scan.counts[0, 510, 100:150].all() for scan in scans]
    assert 0.2 < np.mean(moved) < 0.9
    assert len({place_study_crop(scan.counts[0]) for scan in scans}) > 10


def test_backgrounds_are_near_zero_or_around_fifteen(scans: list[Scan]) -> None:
    """The table in the study has mean 15.4, and neighbours that differ as Poisson counts do."""
    corners = [scan.counts[0, :40, :40].astype(float) for scan in scans]
    means = np.array([corner.mean() for corner in corners])
    low, high = means < 1, (means > 12) & (means < 18)
    assert (low | high).all()
    assert 0.2 < high.mean() < 0.8
    for corner in corners:
        neighbours = np.diff(corner, axis=1).var() / 2
        assert neighbours / corner.mean() == pytest.approx(1, abs=0.2)


def test_the_posterior_view_is_mirrored(scans: list[Scan]) -> None:
    """The body leans to the image's other side from behind."""

    def lean(view: np.ndarray[tuple[int, ...], np.dtype[np.uint16]]) -> float:
        knees = view[480:720].astype(float)
        return float((knees[:, :128].sum() - knees[:, 128:].sum()) / knees.sum())

    anterior = np.array([lean(scan.counts[0]) for scan in scans])
    posterior = np.array([lean(scan.counts[1]) for scan in scans])
    assert np.corrcoef(anterior, posterior)[0, 1] < -0.8


def test_uptake_grows_with_the_grade_but_overlaps(phantom_folder: Path, scans: list[Scan]) -> None:
    """Counts over the joint above the background, relative to those over the shin."""
    rows = manifest(phantom_folder)
    views = {scan.name: scan.counts[0].astype(float) for scan in scans}
    graded = [row for row in rows if row["grade"]]
    grades = np.array([int(row["grade"]) for row in graded])
    uptake = []
    for row in graded:
        view = views[row["scan"]]
        down, across = round(float(row["row"])), round(float(row["column_anterior"]))
        net = view[:, across - 15 : across + 15] - view[:40, :40].mean()
        uptake.append(net[down - 15 : down + 15].mean() / net[down + 50 : down + 80].mean())
    assert 0.4 < float(spearmanr(uptake, grades).statistic) < 0.9
    by_grade = [np.array(uptake)[grades == grade] for grade in range(4)]
    assert all(lower.max() > higher.min() for lower, higher in itertools.pairwise(by_grade))


def test_null_grades_have_nothing_to_do_with_the_same_images(tmp_path: Path) -> None:
    make_cohort(tmp_path / "real", patients=3, seed=5)
    make_cohort(tmp_path / "null", patients=3, seed=5, null=True)
    for path in sorted((tmp_path / "real").glob("*.mat")):
        null = read_scan(tmp_path / "null" / path.name)
        np.testing.assert_array_equal(null.counts, read_scan(path).counts)
    real, null_rows = manifest(tmp_path / "real"), manifest(tmp_path / "null")
    assert [row["severity"] for row in real] == [row["severity"] for row in null_rows]
    assert [row["grade"] for row in real] != [row["grade"] for row in null_rows]
    described = json.loads((tmp_path / "null" / "phantom.json").read_text())
    assert described["null"] is True
    assert described["ceiling"]["quadratic_kappa"] == 0


def test_the_ceiling_is_that_of_a_simulated_ideal_reader(phantom_folder: Path) -> None:
    rng = np.random.default_rng(0)
    severities = draw_severities(rng, 100_000, correlation=PLAIN.knee_correlation)
    truth = read_grades(severities, rng).reshape(-1)
    guess = grade_probabilities(severities).argmax(axis=-1).reshape(-1)
    ceiling = ideal_ceiling()
    assert ceiling.accuracy == pytest.approx(accuracy_score(truth, guess), abs=0.005)
    kappa = cohen_kappa_score(truth, guess, weights="quadratic")
    assert ceiling.quadratic_kappa == pytest.approx(kappa, abs=0.005)
    described = json.loads((phantom_folder / "phantom.json").read_text())
    assert described["ceiling"]["quadratic_kappa"] == ceiling.quadratic_kappa
    assert null_ceiling().accuracy == max(FREQUENCIES)


def test_grades_fall_off_from_normal_to_severe_and_knees_of_a_patient_agree() -> None:
    rng = np.random.default_rng(0)
    severities = draw_severities(rng, 100_000, correlation=PLAIN.knee_correlation)
    grades = read_grades(severities, rng)
    shares = np.bincount(grades.reshape(-1)) / grades.size
    np.testing.assert_allclose(shares, FREQUENCIES, atol=0.005)
    assert (np.diff(shares) < 0).all()
    assert np.corrcoef(severities[:, 0], severities[:, 1])[0, 1] == pytest.approx(
        PLAIN.knee_correlation, abs=0.01
    )


def test_some_knees_are_unspecified() -> None:
    """A property of the recipe: few enough that a small cohort may have none."""
    seeds = np.random.SeedSequence(0).spawn(500)
    grades = [
        grade
        for seed in seeds
        for grade in invent_patient(seed, PLAIN, case=None, null=False).grades
    ]
    assert 0.005 < np.mean([grade is None for grade in grades]) < 0.05


def test_a_folder_that_holds_scans_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "0000001.mat").write_bytes(b"a patient's scan")
    with pytest.raises(InputError, match=r"without \.mat files, received 1 .*0000001\.mat"):
        make_cohort(tmp_path, patients=2, seed=0)
    assert contents(tmp_path) == {"0000001.mat": b"a patient's scan"}


def test_a_cached_cohort_is_made_once(tmp_path: Path) -> None:
    made: list[int] = []
    first = cached_phantom(tmp_path, patients=1, seed=0, on_scan=made.append)
    again = cached_phantom(tmp_path, patients=1, seed=0, on_scan=made.append)
    other = cached_phantom(tmp_path, patients=1, seed=1)
    soft = cached_phantom(tmp_path, patients=1, seed=0, style="soft")
    assert first == again != other
    assert made == [1]
    names = ["phantom-v1-patients=1-seed=0", "phantom-v1-patients=1-seed=0-style=soft"]
    assert [first.name, soft.name] == names
    assert sorted(tmp_path.iterdir()) == sorted([first, other, soft])


def test_a_stopped_making_leaves_no_half_cohort(tmp_path: Path) -> None:
    def stop(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_phantom(tmp_path, patients=2, seed=0, on_scan=stop)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(KeyboardInterrupt):
        make_cohort(tmp_path, patients=2, seed=0, on_scan=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("seed", "null", "digest"),
    [
        (5, False, "2f07996da94bfa6e3ee14f3899fd9ba1e56d7f3a620d5f0732143e0d137e7a3f"),
        (0, True, "014a3557651eea17c7619625ded0c218ce1b81e9e7d2865bf3c0e463fe5afe96"),
    ],
)
def test_plain_scans_of_a_seed_stay_what_they_are(
    tmp_path: Path, seed: int, null: bool, digest: str
) -> None:
    """Pixels and manifest of the version before other styles; later ones have another number."""
    make_cohort(tmp_path, patients=2, seed=seed, null=null)
    written = hashlib.sha256((tmp_path / "manifest.csv").read_bytes())
    for path in sorted(tmp_path.glob("*.mat")):
        written.update(read_scan(path).counts.tobytes())
    assert written.hexdigest() == digest
    assert "style" not in json.loads((tmp_path / "phantom.json").read_text())


def test_knees_of_a_soft_patient_are_as_alike_as_in_a_published_cohort() -> None:
    """37 of 143 patients had both knees diseased and 30 one: a tetrachoric correlation of 0.763."""
    rng = np.random.default_rng(0)
    severities = draw_severities(rng, 200_000, correlation=STYLES["soft"].knee_correlation)
    diseased = read_grades(severities, rng) >= 2
    beyond = float(norm.ppf(diseased.mean()))
    both = multivariate_normal(cov=[[1, 0.763], [0.763, 1]]).cdf([beyond, beyond])
    assert diseased.all(axis=1).mean() == pytest.approx(both, abs=0.005)


def test_strewn_counts_stay_as_many_and_fall_as_far_as_is_said() -> None:
    view = np.zeros((1024, 256), dtype=np.float32)
    view[512, 128] = 1000
    strewn = strew(view, 0.25, 40)
    assert strewn.sum() == pytest.approx(1000, rel=0.01)
    assert strewn[512, 128] == pytest.approx(750, rel=0.01)
    profile = (strewn - 0.75 * view).sum(axis=1).astype(float)
    rows = np.arange(1024)
    middle = (profile * rows).sum() / profile.sum()
    deviation = np.sqrt((profile * (rows - middle) ** 2).sum() / profile.sum())
    assert deviation == pytest.approx(40 / 2.3548, rel=0.03)


def test_an_unknown_style_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"style: expected plain, soft, odd, received 'hard'"):
        make_cohort(tmp_path / "out", patients=1, seed=0, style="hard")  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()
