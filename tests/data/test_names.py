"""Severity names that no table knows: a cross-check that stops nothing."""

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_matrix

from djd.data.cohort import Cohort, read_cohort
from djd.data.problems import names_warning, obstacles
from djd.data.scan import Scan, read_scan
from djd.data.scan_files import find_scans
from djd.errors import InputError
from djd.grades import GRADE_OF_NAME, LabelsFrom
from djd.runs.config import RunConfig, read_config
from djd.runs.reading import read_data
from djd.runs.summary import say_cohort
from tests.conftest import TINY, compose_values
from tests.data.mat_files import (
    Mat73,
    cell,
    counts_image,
    diaginfo,
    file_by_hand,
    value_by_hand,
    write_v5,
    write_v73,
)
from tests.data.test_cohort import write_scan

IMAGE = np.zeros((1024, 256, 2), dtype=np.uint8)
IMAGE[600, 60, 0] = 1  # an image of one count is no scan


def scans_of(folder: Path, names: tuple[str, ...]) -> list[Scan]:
    """The same scan with these names from a file of either kind."""
    fields = diaginfo(names=names)
    v5 = write_v5(folder / "0000005.mat", {"Y": IMAGE, "diaginfo": fields}, compress=True)
    v73 = write_v73(folder / "0000073.mat", image=IMAGE, names=names)
    return [read_scan(v5), read_scan(v73)]


@pytest.mark.parametrize(
    ("names", "named_grades", "unknown"),
    [
        (("NormalKnee", " MinDJD "), None, ("NormalKnee", "MinDJD")),
        (("SevDJD", "worse"), (4, None), (None, "worse")),
        (("", "normal"), (None, 0), ("", None)),
        (("unspect", "mild DJD"), (None, None), (None, "mild DJD")),
        (("", " "), None, ("", "")),
        (("sevDJD",), None, ("", "")),
        (("sevDJD", "normal", "normal"), None, ("", "")),
        (("정상", "x" * 5000), None, ("정상", "")),
        (("\N{BONE}", "normal"), (None, 0), ("\N{BONE}", None)),
    ],
)
def test_an_unknown_name_leaves_the_scan_and_the_other_name_alone(
    tmp_path: Path,
    names: tuple[str, ...],
    named_grades: tuple[int | None, int | None] | None,
    unknown: tuple[str | None, str | None],
) -> None:
    for scan in scans_of(tmp_path, names):
        assert scan.grades == (4, 0)
        assert scan.named_grades == named_grades
        assert scan.unknown_names == unknown
        assert not any(name in repr(scan) for name in unknown if name)


def test_a_file_without_the_field_has_no_unknown_names(tmp_path: Path) -> None:
    write_v5(tmp_path / "1.mat", {"Y": IMAGE, "diaginfo": diaginfo(names=None)})
    write_v73(tmp_path / "2.mat", image=IMAGE, names=None)
    for name in ("1.mat", "2.mat"):
        scan = read_scan(tmp_path / name)
        assert scan.named_grades is None
        assert scan.unknown_names == (None, None)


@pytest.mark.parametrize(
    ("names", "unknown"),
    [
        (np.array([[6.0, 2.0]]), ("", "")),
        (np.zeros((0, 0)), ("", "")),
        (np.array([[True, False]]), ("", "")),
        (np.array([[6j, 2]]), ("", "")),
        (csc_matrix(np.eye(2)), ("", "")),
        ({"right": "sevDJD", "left": "normal"}, ("", "")),
        ("sevDJD", ("", "")),
        (np.array(["sevDJD", "normal", "normal"]), ("", "")),
        (np.array(["sevDJD", "worse"]), (None, "worse")),
        (np.array(["x"] * 100_000), ("", "")),
        (cell(["sevDJD"], ["worse"]), (None, "worse")),
        (cell([6.0, "normal"]), ("", None)),
        (cell([cell(["sevDJD"]), "normal"]), ("", None)),
        (cell([{"name": "sevDJD"}, "normal"]), ("", None)),
        (cell([np.zeros((0, 0)), "normal"]), ("", None)),
        (cell(["normal"] * 2, ["normal"] * 2), ("", "")),
        (cell(["normal"] * 100), ("", "")),
    ],
)
def test_odd_names_in_a_v5_file_are_unknown(
    tmp_path: Path, names: Any, unknown: tuple[str | None, str | None]
) -> None:
    path = write_v5(tmp_path / "1.mat", {"Y": IMAGE, "diaginfo": diaginfo(names=names)})
    scan = read_scan(path)
    assert scan.grades == (4, 0)
    assert scan.unknown_names == unknown


def _numbers(mat: Mat73, fields: h5py.Group) -> None:
    mat.array(fields, "kneejointname", np.array([[6.0, 2.0]]), "double")


def _empty(mat: Mat73, fields: h5py.Group) -> None:
    mat.empty(fields, "kneejointname", "cell")


def _one_text(mat: Mat73, fields: h5py.Group) -> None:
    mat.text(fields, "kneejointname", "sevDJD")


def _codes_beyond_all_texts(mat: Mat73, fields: h5py.Group) -> None:
    codes = np.full((2, 3), 2**32 - 1, dtype=np.uint32)
    mat.array(fields, "kneejointname", codes, "char")


def _long_text(mat: Mat73, fields: h5py.Group) -> None:
    mat.array(fields, "kneejointname", np.full((100_000, 1), 65, dtype="u2"), "char")


def _struct(mat: Mat73, fields: h5py.Group) -> None:
    names = fields.create_group("kneejointname")
    names.attrs["MATLAB_class"] = np.bytes_("struct")
    mat.text(names, "right", "sevDJD")


def _link_to_nothing(mat: Mat73, fields: h5py.Group) -> None:
    fields["kneejointname"] = h5py.SoftLink("/nowhere")


def _link_to_another_file(mat: Mat73, fields: h5py.Group) -> None:
    fields["kneejointname"] = h5py.ExternalLink("other.mat", "/diaginfo/kneejointname")


def _no_references(mat: Mat73, fields: h5py.Group) -> None:
    item = fields.create_dataset("kneejointname", (2, 1), dtype=h5py.ref_dtype)
    item.attrs["MATLAB_class"] = np.bytes_("cell")


def _huge_chunk(mat: Mat73, fields: h5py.Group) -> None:
    fields.create_dataset(
        "kneejointname", (2, 1), "u2", maxshape=(2, None), chunks=(2, 2**25), compression="gzip"
    )


def _cell_of(mat: Mat73, fields: h5py.Group, right: h5py.HLObject) -> None:
    item = mat.cell(fields, "kneejointname", ["", "normal"])
    item[0, 0] = right.ref


def _number_and_text(mat: Mat73, fields: h5py.Group) -> None:
    _cell_of(mat, fields, mat.array(mat.references, "n", np.array([[6.0]]), "double"))


def _nested_cell_and_text(mat: Mat73, fields: h5py.Group) -> None:
    _cell_of(mat, fields, mat.cell(mat.references, "n", ["sevDJD"]))


def _group_and_text(mat: Mat73, fields: h5py.Group) -> None:
    _cell_of(mat, fields, mat.references.create_group("n"))


@pytest.mark.parametrize(
    ("write", "unknown"),
    [
        (_numbers, ("", "")),
        (_empty, ("", "")),
        (_one_text, ("", "")),
        (_codes_beyond_all_texts, ("", "")),
        (_long_text, ("", "")),
        (_struct, ("", "")),
        (_link_to_nothing, ("", "")),
        (_link_to_another_file, ("", "")),
        (_no_references, ("", "")),
        (_huge_chunk, ("", "")),
        (_number_and_text, ("", None)),
        (_nested_cell_and_text, ("", None)),
        (_group_and_text, ("", None)),
    ],
)
def test_odd_names_in_a_v73_file_are_unknown(
    tmp_path: Path,
    write: Callable[[Mat73, h5py.Group], None],
    unknown: tuple[str | None, str | None],
) -> None:
    write_v73(tmp_path / "other.mat", image=IMAGE)
    mat = Mat73(tmp_path / "0000058.mat")
    mat.array(mat.file, "Y", IMAGE, "uint8")
    fields = mat.struct("diaginfo")
    mat.array(fields, "kneejointid", np.array([[6.0, 2.0]]), "double")
    write(mat, fields)
    scan = read_scan(mat.close())
    assert scan.grades == (4, 0)
    assert scan.unknown_names == unknown


@settings(max_examples=40)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=4))
def test_no_text_in_the_names_ever_changes_the_grades_by_id(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        one, other = scans_of(Path(folder), tuple(names))
        assert one.grades == other.grades == (4, 0)
        assert one.unknown_names == other.unknown_names
        if len(names) == 2:
            known = [name.strip().casefold() in GRADE_OF_NAME for name in names]
            assert [name is None for name in one.unknown_names] == known


@settings(max_examples=40)
@given(
    kind=st.integers(0, 18),
    shape=st.lists(st.integers(-1, 70_000), max_size=3),
    tag=st.integers(0, 20),
    data=st.binary(max_size=64),
    order=st.sampled_from("<>"),
)
def test_no_bytes_in_the_names_ever_change_the_grades_by_id(
    kind: int, shape: list[int], tag: int, data: bytes, order: str
) -> None:
    size = np.array([tag, len(data)], f"{order}u4").tobytes()
    names = value_by_hand("", kind, tuple(shape), size + data + bytes(-len(data) % 8), order)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "0000058.mat"
        path.write_bytes(file_by_hand(order, names, field="kneejointname"))
        assert read_scan(path).grades == (4, 0)


def cohort_of(folder: Path, labels_from: LabelsFrom = "auto", **choices: Any) -> Cohort:
    return read_cohort(find_scans(folder), labels_from=labels_from, **choices)


def test_the_known_half_of_a_pair_is_still_compared(tmp_path: Path) -> None:
    write_scan(tmp_path, "0000001", (2, 2), ("SevDJD", "NormalKnee"))
    write_scan(tmp_path, "0000002", (2, 2), ("normal", "MinDJD"))
    cohort = cohort_of(tmp_path)
    assert cohort.disagreements == (("0000001", "right"),)
    assert (cohort.named_knees, cohort.unknown_names) == (2, 2)
    (sentence,) = obstacles(cohort, labels_from="auto", on_error="stop")
    assert "disagree for 1 of 2 knees (first: 0000001 right)" in sentence
    assert obstacles(cohort, labels_from="ids", on_error="stop") == []


def test_unknown_names_are_one_sentence_where_names_count(tmp_path: Path) -> None:
    write_scan(tmp_path, "0000001", (2, 2), ("Kim, 000101", "normal"))
    write_scan(tmp_path, "0000002", (2, 2), ("Kim, 000101", "NormalKnee"))
    cohort = cohort_of(tmp_path, "names")
    for on_error in ("stop", "skip"):  # no scan is left to go on with
        (sentence,) = obstacles(cohort, labels_from="names", on_error=on_error)
        assert "received 3 unknown ones" in sentence
        assert "data.grade_names=names.csv (columns spelling and grade" in sentence
        assert not {"Kim", "NormalKnee"} & set(sentence.replace(",", " ").split())
    write_scan(tmp_path, "0000003", (2, 2), ("normal", "SevDJD"))
    cohort = cohort_of(tmp_path, "names")
    assert cohort.grades.tolist() == [0, 4]
    assert obstacles(cohort, labels_from="names", on_error="skip") == []
    assert "received 3 unknown ones" in obstacles(cohort, labels_from="names", on_error="stop")[0]
    assert "received 1 unknown" in cohort.unreadable["0000001"]


def test_a_spelling_that_is_given_a_grade_is_known_in_both_uses(tmp_path: Path) -> None:
    write_scan(tmp_path, "0000001", (2, 3), ("NORMALKnee ", "MinDJD"))
    write_scan(tmp_path, "0000002", (-1, 3), ("?", "normal"))
    given_names = {"normalknee": 0, "mindjd": 1, "?": None, "normal": 1}
    by_id = cohort_of(tmp_path, grade_names=given_names)
    assert by_id.unknown_names == 0
    assert by_id.named_knees == 4
    assert by_id.disagreements == ()
    by_name = cohort_of(tmp_path, "names", grade_names=given_names)
    assert by_name.grades.tolist() == by_id.grades.tolist() == [0, 1, 1]
    assert by_name.unreadable == {}


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    """Scans whose names no table knows; each knee's id says the same as its name."""
    folder = tmp_path / "scans"
    folder.mkdir()
    names = ("NormalKnee", "MinDJD")
    for number in range(1, 21, 2):
        write_scan(folder, f"{number:07d}", (2, 3), names)
        path = folder / f"{number + 1:07d}.mat"
        write_v73(path, image=counts_image(number + 1), ids=[[2.0, 3.0]], names=names)
    return folder


def config_of(folder: Path, *overrides: str) -> RunConfig:
    fixed = (*TINY, "data=mat", f"data.root='{folder}'", f"paths.cache='{folder.parent / 'cache'}'")
    return read_config(compose_values(*fixed, *overrides))


def test_a_hospital_with_names_of_its_own_can_train(
    hospital: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(2):  # read, then out of the cache
        caplog.clear()
        cohort, split = read_data(config_of(hospital))
        assert cohort.grades.tolist() == [0, 1] * 20
        assert len(split.test) == 8
        say_cohort(cohort, {}, ())
        warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
        *odd, warning = warnings
        assert all("cut off or blank" in each for each in odd)  # images are background alone
        assert warning.startswith("warning: severity names whose grade is not known: 40 ")
        assert "NormalKnee" not in caplog.text
        assert "MinDJD" not in caplog.text


def test_names_of_its_own_count_once_they_have_grades(hospital: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"received 40 unknown ones.*grade_names") as caught:
        read_data(config_of(hospital, "data.labels_from=names"))
    assert "NormalKnee" not in str(caught.value)
    path = tmp_path / "names.csv"
    path.write_text("spelling,grade\nnormalknee,severe\nMINDJD,3\n")
    arguments = ("data.labels_from=names", f"data.grade_names='{path}'")
    cohort, _ = read_data(config_of(hospital, *arguments))
    assert cohort.grades.tolist() == [4, 3] * 20
    assert names_warning(cohort) is None
    with pytest.raises(InputError, match="disagree for 40 of 40 knees"):
        read_data(config_of(hospital, f"data.grade_names='{path}'"))
