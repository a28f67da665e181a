import tempfile
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from djd.data.formats.mat_v5 import read_v5
from djd.data.scan import Scan, ScanError, read_scan
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
from tests.ordinary_user import as_ordinary_user, posix

needs_matio = pytest.mark.skipif(
    find_spec("matio") is None, reason="mat-io isn't there: it has no wheel for Python 3.14"
)

Writer = Callable[[Path], object]
IMAGE = counts_image()


def scan_of(tmp_path: Path, **variables: Any) -> Scan:
    path = tmp_path / "0000058.mat"
    write_v5(path, {"Y": IMAGE, "diaginfo": diaginfo()} | variables)
    return read_scan(path)


def sentence_of(path: Path) -> str:
    with pytest.raises(ScanError) as caught:
        read_scan(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.startswith(f"{path}: ")
    assert ": expected " in sentence
    assert ", received " in sentence
    assert "Kim" not in sentence, "the comment may identify a patient"
    return sentence


@pytest.mark.parametrize("compress", [True, False], ids=["v7", "v6"])
@pytest.mark.parametrize("image_name", ["Y", "V"])
def test_a_v5_file_becomes_a_scan(tmp_path: Path, compress: bool, image_name: str) -> None:
    path = tmp_path / "0000058.mat"
    write_v5(path, {image_name: IMAGE, "diaginfo": diaginfo()}, compress=compress)
    scan = read_scan(str(path))
    assert scan.name == "0000058"
    assert scan.counts.dtype == np.uint16
    assert scan.counts.flags.c_contiguous
    np.testing.assert_array_equal(scan.counts, [IMAGE[..., 0], IMAGE[..., 1]])
    assert scan.grades == (4, 0)
    assert scan.named_grades == (4, 0)


@pytest.mark.parametrize("image_name", ["Y", "V"])
def test_a_v73_file_becomes_the_same_scan(tmp_path: Path, image_name: str) -> None:
    scan = read_scan(write_v73(tmp_path / "0000058.mat", image_name=image_name))
    np.testing.assert_array_equal(scan.counts, [IMAGE[..., 0], IMAGE[..., 1]])
    assert scan.grades == (4, 0)
    assert scan.named_grades == (4, 0)


@pytest.mark.parametrize(
    ("matlab_id", "grade"), [(-1, None), *((grade + 2, grade) for grade in range(5))]
)
@pytest.mark.parametrize("kind", ["f8", "f4", "i1", "i2", "i4", "i8"])
def test_each_id_has_its_grade_in_every_numeric_type(
    tmp_path: Path, matlab_id: int, grade: int | None, kind: str
) -> None:
    scan = scan_of(tmp_path, diaginfo=diaginfo(np.array([[matlab_id, 2]], dtype=kind), None))
    assert scan.grades == (grade, 0)
    assert scan.named_grades is None


@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "u8"])
def test_ids_may_be_unsigned(tmp_path: Path, kind: str) -> None:
    for first in range(2, 7):
        ids = np.array([[first, 2]], dtype=kind)
        assert scan_of(tmp_path, diaginfo=diaginfo(ids, None)).grades == (first - 2, 0)


def test_ids_that_matlab_narrowed_to_uint8_do_not_wrap_around(tmp_path: Path) -> None:
    """MATLAB stores whole doubles in the smallest type that holds them."""
    path = tmp_path / "0000058.mat"
    savemat(path, {"Y": IMAGE, "diaginfo": diaginfo(np.array([[0, 2]], dtype=np.uint8))})
    narrowed = loadmat(path)["diaginfo"][0, 0]["kneejointid"]
    assert (narrowed - 2)[0, 0] == 254
    assert "received [0, 2]" in sentence_of(path)


@pytest.mark.parametrize("ids", [[[5.0, 2.0]], [[5.0], [2.0]]], ids=["row", "column"])
def test_ids_may_be_a_row_or_a_column(tmp_path: Path, ids: list[list[float]]) -> None:
    assert scan_of(tmp_path, diaginfo=diaginfo(ids, None)).grades == (3, 0)
    path = write_v73(tmp_path / "0000059.mat", ids=ids)
    assert read_scan(path).grades == (3, 0)


@pytest.mark.parametrize(
    "names",
    [
        ("sevDJD", "normal"),
        ("SevDJD", " Normal "),
        cell(["SevDJD"], ["normal"]),
        np.array(["sevDJD", "normal"]),
    ],
    ids=["cell", "case and blanks", "column", "text matrix"],
)
def test_names_are_read_in_every_layout(tmp_path: Path, names: Any) -> None:
    assert scan_of(tmp_path, diaginfo=diaginfo(names=names)).named_grades == (4, 0)


@pytest.mark.parametrize(
    ("name", "grade"),
    [
        ("unspect", None),
        ("normal", 0),
        ("minimal", 1),
        ("mildDJD", 2),
        ("modDJD", 3),
        ("sevDJD", 4),
    ],
)
def test_each_name_has_its_grade(tmp_path: Path, name: str, grade: int | None) -> None:
    scan = scan_of(tmp_path, diaginfo=diaginfo(names=("normal", name)))
    assert scan.named_grades == (0, grade)


@pytest.mark.parametrize("names", [None, np.zeros((0, 0)), ("", "")], ids=["absent", "[]", "empty"])
def test_a_file_without_names_is_a_scan_without_named_grades(tmp_path: Path, names: Any) -> None:
    assert scan_of(tmp_path, diaginfo=diaginfo(names=names)).named_grades is None


def test_a_v73_file_without_names_is_a_scan_without_named_grades(tmp_path: Path) -> None:
    assert read_scan(write_v73(tmp_path / "1.mat", names=None)).named_grades is None
    assert read_scan(write_v73(tmp_path / "2.mat", names=("", ""))).named_grades is None
    mat = Mat73(tmp_path / "3.mat")
    mat.array(mat.file, "Y", IMAGE, "uint16")
    fields = mat.struct("diaginfo")
    mat.array(fields, "kneejointid", np.array([[2.0, 2.0]]), "double")
    mat.empty(fields, "kneejointname", "cell")
    assert read_scan(mat.close()).named_grades is None


def test_names_that_contradict_the_ids_are_kept_beside_them(tmp_path: Path) -> None:
    """The study's own example: ids 2, which mean normal, beside the name SevDJD."""
    scan = scan_of(tmp_path, diaginfo=diaginfo([[2.0, 2.0]], ("SevDJD", "SevDJD")))
    assert scan.grades == (0, 0)
    assert scan.named_grades == (4, 4)


@pytest.mark.parametrize("kind", ["f8", "f4", "u1", "i2", "u2", "i4", "u4", "i8"])
def test_counts_may_have_any_numeric_type(tmp_path: Path, kind: str) -> None:
    image = np.minimum(IMAGE, 100).astype(kind)
    np.testing.assert_array_equal(scan_of(tmp_path, Y=image).counts[0], image[..., 0])
    from_73 = read_scan(write_v73(tmp_path / "0000059.mat", image=image))
    np.testing.assert_array_equal(from_73.counts[1], image[..., 1])


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
def test_either_byte_order_is_read(tmp_path: Path, order: str) -> None:
    path = tmp_path / "0000058.mat"
    path.write_bytes(file_by_hand(order, value_by_hand("", 1, (0, 0), b"", order)))
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.counts[0], IMAGE[..., 0])
    assert scan.grades == (4, 0)


def test_cells_nested_without_end_are_passed_over(tmp_path: Path) -> None:
    """They make `loadmat` end its process with a segmentation fault."""
    nested = b""
    for _ in range(6000):
        nested = value_by_hand("", 1, (1, 1), nested, "<")
    path = tmp_path / "0000058.mat"
    path.write_bytes(file_by_hand("<", nested))
    assert read_scan(path).grades == (4, 0)


def test_a_cell_that_claims_a_billion_elements_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "0000058.mat"
    path.write_bytes(file_by_hand("<", value_by_hand("", 1, (2**30, 1), b"", "<")))
    assert read_scan(path).grades == (4, 0)


@needs_matio
@pytest.mark.parametrize("version", ["v7", "v7.3"])
def test_a_matlab_table_does_not_disturb_reading(tmp_path: Path, version: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mat-io 1.0 sets an option that pandas 3 deprecates
        import matio
        import pandas as pd
    table = pd.DataFrame({"name": ["right", "left"], "row": [1.0, 2.0]})
    fields = diaginfo([[2.0, 5.0]], ("normal", "modDJD")) | {"roitable": table}
    path = tmp_path / "0000058.mat"
    matio.save_to_mat(str(path), {"Y": IMAGE, "diaginfo": fields}, version=version)
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.counts[1], IMAGE[..., 1])
    assert scan.grades == (0, 3)
    assert scan.named_grades == (0, 3)


@pytest.mark.parametrize("compress", [True, False])
def test_values_are_those_of_loadmat(tmp_path: Path, compress: bool) -> None:
    for seed, kind in enumerate(["u2", "f8", "i4"]):
        path = write_v5(
            tmp_path / f"{seed}.mat",
            {"extra": "x", "Y": counts_image(seed).astype(kind), "diaginfo": diaginfo()},
            compress=compress,
        )
        reference = loadmat(path)
        variables = read_v5(path)
        np.testing.assert_array_equal(variables.image, reference["Y"])
        np.testing.assert_array_equal(variables.ids, reference["diaginfo"][0, 0]["kneejointid"])
        names = [str(name[0]) for name in reference["diaginfo"][0, 0]["kneejointname"][0]]
        assert variables.names == names


@needs_matio
@pytest.mark.parametrize("version", ["v7", "v7.3"])
def test_matlab_objects_beside_the_scan_or_as_names_do_not_disturb_reading(
    tmp_path: Path, version: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import matio
        import pandas as pd
    strings = np.array(["normal", "modDJD"], dtype=np.dtypes.StringDType())
    table = pd.DataFrame({"a": [1.0]})
    path = tmp_path / "0000058.mat"
    for names in (strings, cell([strings[:1], strings[1:]])):
        fields = diaginfo([[2.0, 5.0]], None) | {"kneejointname": names}
        content = {"T": table, "Y": IMAGE, "diaginfo": fields, "S": strings}
        matio.save_to_mat(str(path), content, version=version)
        assert read_scan(path).grades == (0, 3)
        assert read_scan(path).named_grades is None
        assert read_scan(path).unknown_names == ("", "")


def test_a_dimension_of_one_at_the_end_does_not_matter(tmp_path: Path) -> None:
    np.testing.assert_array_equal(
        scan_of(tmp_path, Y=IMAGE[..., None]).counts, np.moveaxis(IMAGE, -1, 0)
    )
    scan = read_scan(write_v73(tmp_path / "0000059.mat", image=IMAGE[..., None]))
    np.testing.assert_array_equal(scan.counts, np.moveaxis(IMAGE, -1, 0))


def test_other_variables_do_not_matter(tmp_path: Path) -> None:
    scan = scan_of(tmp_path, notes="x", mask=np.ones((1024, 256), dtype=bool))
    assert scan.grades == (4, 0)


VALUES = np.zeros((1024, 256, 2))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"Y": None, "diaginfo": None}, "Y: expected an image of that name (older files: V), "
         "received no variables"),
        ({"Y": None, "X": IMAGE}, "(older files: V), received diaginfo, X"),
        ({"diaginfo": None}, "diaginfo: expected a 1x1 struct, received no such variable"),
        ({"Y": IMAGE[..., 0]}, "Y: expected 1024x256x2 counts, received 1024x256 uint16"),
        ({"Y": IMAGE.transpose(2, 0, 1)}, "received 2x1024x256 uint16"),
        ({"Y": np.zeros((0, 0))}, "received 0x0 double"),
        ({"Y": "scan"}, "received 1x4 char"),
        ({"Y": IMAGE > 3}, "received 1024x256x2 logical"),
        ({"Y": IMAGE * 1j}, "received 1024x256x2 complex"),
        ({"Y": VALUES + 0.5}, "Y: expected whole counts from 0 to 65535, received 524288 other"),
        ({"Y": VALUES - 1}, "such as -1"),
        ({"Y": VALUES + 65536}, "such as 65536"),
        ({"Y": VALUES + np.nan}, "such as nan"),
        ({"Y": VALUES + np.inf}, "such as inf"),
        ({"Y": VALUES.astype(np.int16) - 1}, "such as -1"),
        ({"diaginfo": 3}, "diaginfo: expected a 1x1 struct, received 1x1"),
        ({"diaginfo": np.zeros((1, 2), [("kneejointid", "O")])}, "received 1x2 struct"),
        ({"diaginfo": {"comment": 1}}, "diaginfo.kneejointid: expected two severity ids, received"),
        ({"diaginfo": diaginfo([[7.0, 2.0]])}, "-1, 2, 3, 4, 5, 6, received [7, 2]"),
        ({"diaginfo": diaginfo([[2.5, 2.0]])}, "received [2.5, 2]"),
        ({"diaginfo": diaginfo([[np.nan, 2.0]])}, "received [nan, 2]"),
        ({"diaginfo": diaginfo([[2.0]])}, "received a 1x1 array"),
        ({"diaginfo": diaginfo([[2.0, 2.0, 2.0]])}, "received a 1x3 array"),
        ({"diaginfo": diaginfo(np.zeros((0, 0)))}, "received a 0x0 array"),
        ({"diaginfo": diaginfo(np.array([["2", "3"]]))}, "two severity ids, received a char"),
        ({"diaginfo": diaginfo(cell([2.0, 3.0]))}, "expected two severity ids, received a cell"),
        ({"diaginfo": diaginfo(np.array([[2j, 3]]))}, "two severity ids, received a complex"),
    ],
)  # fmt: skip
def test_a_v5_file_of_another_kind_is_one_sentence(
    tmp_path: Path, variables: dict[str, Any], expected: str
) -> None:
    path = tmp_path / "0000058.mat"
    whole = {"Y": IMAGE, "diaginfo": diaginfo()} | variables
    write_v5(path, {name: value for name, value in whole.items() if value is not None})
    assert expected in sentence_of(path)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"image_name": "X"}, "Y: expected an image of that name (older files: V), received"),
        ({"image": IMAGE[..., 0]}, "Y: expected 1024x256x2 counts, received 1024x256 uint16"),
        ({"image": VALUES + 0.5}, "Y: expected whole counts from 0 to 65535"),
        ({"image": IMAGE > 3}, "received 1024x256x2 bool"),
        ({"ids": [[7.0, 2.0]]}, "-1, 2, 3, 4, 5, 6, received [7, 2]"),
        ({"ids": [[2.0, 2.0, 2.0]]}, "received a 1x3 array"),
    ],
)
def test_a_v73_file_of_another_kind_is_one_sentence(
    tmp_path: Path, arguments: dict[str, Any], expected: str
) -> None:
    assert expected in sentence_of(write_v73(tmp_path / "0000058.mat", **arguments))


def _without_diaginfo(mat: Mat73) -> None:
    pass


def _diaginfo_is_a_number(mat: Mat73) -> None:
    mat.array(mat.file, "diaginfo", np.array([[2.0, 2.0]]), "double")


def _empty_ids(mat: Mat73) -> None:
    mat.empty(mat.struct("diaginfo"), "kneejointid", "double")


def _no_ids(mat: Mat73) -> None:
    mat.cell(mat.struct("diaginfo"), "kneejointname", ["normal", "normal"])


def _two_structs(mat: Mat73) -> None:
    """Fields of a struct array are references without a class of their own."""
    ids = [
        mat.array(mat.references, f"i{index}", np.array([[2.0, 2.0]]), "double")
        for index in range(2)
    ]
    references = np.array([[item.ref] for item in ids], dtype=h5py.ref_dtype)
    mat.struct("diaginfo").create_dataset("kneejointid", data=references, dtype=h5py.ref_dtype)


def _ids_are_text(mat: Mat73) -> None:
    mat.text(mat.struct("diaginfo"), "kneejointid", "22")


def _ids_are_a_cell(mat: Mat73) -> None:
    mat.cell(mat.struct("diaginfo"), "kneejointid", ["2", "2"])


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (_without_diaginfo, "diaginfo: expected a 1x1 struct, received no such variable"),
        (_diaginfo_is_a_number, "diaginfo: expected a 1x1 struct, received 1x2 double"),
        (_empty_ids, "diaginfo.kneejointid: expected two severity ids, received a 0x0 array"),
        (_no_ids, "diaginfo.kneejointid: expected two severity ids, received no such field"),
        (_two_structs, "diaginfo: expected a 1x1 struct, received a 1x2 one"),
        (_ids_are_text, "diaginfo.kneejointid: expected two severity ids, received char"),
        (_ids_are_a_cell, "diaginfo.kneejointid: expected two severity ids, received cell"),
    ],
)
def test_a_v73_struct_of_another_kind_is_one_sentence(
    tmp_path: Path, write: Callable[[Mat73], None], expected: str
) -> None:
    mat = Mat73(tmp_path / "0000058.mat")
    mat.array(mat.file, "Y", IMAGE, "uint16")
    write(mat)
    assert expected in sentence_of(mat.close())


def test_an_empty_v73_image_is_refused_whatever_dimensions_it_names(tmp_path: Path) -> None:
    mat = Mat73(tmp_path / "0000058.mat")
    item = mat.file.create_dataset("Y", data=np.array([1024, 256, 2], dtype=np.uint64))
    item.attrs["MATLAB_class"] = np.bytes_("uint16")
    item.attrs["MATLAB_empty"] = np.uint8(1)
    mat.array(mat.struct("diaginfo"), "kneejointid", np.array([[2.0, 2.0]]), "double")
    assert "Y: expected an array of counts, received 1024x256x2 uint16" in sentence_of(mat.close())


def test_a_link_out_of_a_v73_file_is_not_followed(tmp_path: Path) -> None:
    other = write_v73(tmp_path / "other.mat")
    mat = Mat73(tmp_path / "0000058.mat")
    mat.file["Y"] = h5py.ExternalLink(str(other), "/Y")
    assert "Y: expected a value in the file, received a link out of it" in sentence_of(mat.close())


@pytest.mark.slow
def test_a_huge_declared_shape_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "0000058.mat"
    write_v5(path, {"Y": np.zeros((1024, 256, 512), dtype=np.uint16)}, compress=True)
    assert path.stat().st_size < 400_000
    assert "received 1024x256x512 uint16" in sentence_of(path)
    mat = Mat73(tmp_path / "0000059.mat")
    mat.file.create_dataset("Y", (40_000, 256, 1024), "u2", chunks=True, compression="gzip")
    assert "received 1024x256x40000 uint16" in sentence_of(mat.close())


def test_a_huge_field_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "0000058.mat"
    fields = diaginfo() | {"comment": np.zeros(2**26, dtype=np.uint8)}
    write_v5(path, {"Y": IMAGE, "diaginfo": fields}, compress=True)
    assert path.stat().st_size < 500_000
    assert "diaginfo: expected at most 67108864 bytes, received more" in sentence_of(path)


def test_strange_signs_do_not_break_the_line(tmp_path: Path) -> None:
    path = tmp_path / "00000\n58.mat"
    path.write_bytes(b"hello")
    with pytest.raises(ScanError) as caught:
        read_scan(path)
    assert str(caught.value).isprintable()


def test_a_huge_chunk_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    mat = Mat73(tmp_path / "0000058.mat")
    shape, chunk = (2, 256, 1024), (2, 256, 2**18)
    mat.file.create_dataset(
        "Y", shape, "u2", maxshape=(2, 256, None), chunks=chunk, compression="gzip"
    )
    assert "Y: expected chunks of at most 67108864 bytes" in sentence_of(mat.close())


def test_any_type_in_any_tag_is_a_scan_error_or_a_scan(tmp_path: Path) -> None:
    """One changed byte in a type makes loadmat end its process with a segmentation fault."""
    path = write_v5(tmp_path / "0000058.mat", {"diaginfo": diaginfo(), "Y": IMAGE})
    content = bytearray(path.read_bytes())
    last = content.index(b"Y\0\0\0") + 16
    outcomes = set()
    for at in range(128, last, 4):
        before = content[at]
        for kind in (0, 8, 14, 99, 255):
            content[at] = kind
            path.write_bytes(content)
            outcomes.add(type(scan_or_error(path)))
        content[at] = before
    assert outcomes == {Scan, ScanError}


def test_two_variables_of_one_name_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "0000058.mat"
    content = write_v5(path).read_bytes()
    path.write_bytes(content + content[128:])
    assert ": expected one variable of that name, received several" in sentence_of(path)


def _whole(path: Path) -> bytes:
    return write_v5(path, compress=True).read_bytes()


@pytest.mark.parametrize(
    ("damage", "received"),
    [
        (lambda whole: b"", "0 bytes"),
        (lambda whole: b"these are not the scans you are looking for" * 20, "another kind"),
        (lambda whole: whole[:100], "another kind of file"),
        (lambda whole: whole[:128], "no variables"),
        (lambda whole: whole[: len(whole) // 2], "a damaged one"),
        (lambda whole: whole[:-20], "a damaged one"),
        (lambda whole: whole[:5000] + b"\0" * 5000 + whole[10000:], "a damaged one"),
        (lambda whole: b"\x89PNG\r\n\x1a\n" + whole, "another kind"),
        (lambda whole: b"PK\x03\x04" + bytes(200), "another kind"),
        (lambda whole: bytes(400), "a file that starts with zeros"),
        (lambda whole: b"\x89HDF\r\n\x1a\n" + bytes(500), "a damaged one"),
    ],
    ids=["0 bytes", "text", "header cut", "header only", "half", "end cut", "hole", "png", "zip",
         "zeros", "hdf5 signature only"],
)  # fmt: skip
def test_a_damaged_file_is_one_sentence(
    tmp_path: Path, damage: Callable[[bytes], bytes], received: str
) -> None:
    path = tmp_path / "0000058.mat"
    path.write_bytes(damage(_whole(path)))
    assert received in sentence_of(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_v73_file_cut_short_is_one_sentence(tmp_path: Path, share: float) -> None:
    path = write_v73(tmp_path / "0000058.mat")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert "received a damaged one" in sentence_of(path)


@settings(max_examples=30)
@given(st.data())
def test_any_damage_is_a_scan_error_or_a_scan(data: st.DataObject) -> None:
    """Nothing but `ScanError` ever comes out, and no warning is printed."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        path = Path(folder) / "0000058.mat"
        content = bytearray(data.draw(st.sampled_from(SMALL_FILES)))
        for _ in range(data.draw(st.integers(1, 6))):
            at = data.draw(st.integers(0, len(content) - 1))
            content[at] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        outcome = scan_or_error(path)
        assert isinstance(outcome, Scan) or "\n" not in str(outcome)


def scan_or_error(path: Path) -> Scan | ScanError:
    try:
        return read_scan(path)
    except ScanError as error:
        return error


def _small_files() -> list[bytes]:
    image = np.zeros((1024, 256, 2), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "0000058.mat"
        write_v5(path, {"Y": image, "diaginfo": diaginfo()}, compress=True)
        small = [path.read_bytes()]
        write_v5(path, {"diaginfo": diaginfo(), "Y": image}, compress=False)
        small.append(path.read_bytes()[:4000])
        write_v73(path, image=image)
        small.append(path.read_bytes())
    return small


SMALL_FILES = _small_files()


@pytest.mark.parametrize("name", ["missing.mat", "folder.mat", "0000058.dat", "0000058"])
def test_what_is_not_a_mat_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.mat").mkdir()
    with pytest.raises(ScanError, match=r": expected a .*, received ") as caught:
        read_scan(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))


@posix
def test_a_file_that_may_not_be_read_is_one_sentence() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = write_v5(Path(folder) / "0000058.mat")
        path.chmod(0)
        sentence = as_ordinary_user(lambda: str(scan_or_error(path)))
    assert sentence == f"{path}: file: expected a file that can be read, received Permission denied"


def test_the_suffix_may_be_written_large(tmp_path: Path) -> None:
    assert read_scan(write_v5(tmp_path / "0000058.MAT")).name == "0000058"


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"diaginfo": 3},
        {"diaginfo": {"comment": 1}},
        {"diaginfo": diaginfo([[7.0, 2.0]])},
        {"diaginfo": diaginfo(cell([2.0, 3.0]))},
    ],
    ids=["none", "a number", "no ids", "an unknown id", "a cell"],
)
def test_a_v5_file_without_labels_is_a_scan_where_none_are_needed(
    tmp_path: Path, labels: dict[str, Any]
) -> None:
    path = write_v5(tmp_path / "new.mat", {"Y": IMAGE, **labels})
    sentence = sentence_of(path)
    scan = read_scan(path, needs_labels=False)
    assert scan.grades == (None, None)
    assert f"{path}: {scan.no_labels}" == sentence
    np.testing.assert_array_equal(scan.counts, [IMAGE[..., 0], IMAGE[..., 1]])


def test_a_v73_file_without_labels_is_a_scan_where_none_are_needed(tmp_path: Path) -> None:
    mat = Mat73(tmp_path / "new.mat")
    mat.array(mat.file, "Y", IMAGE, "uint16")
    path = mat.close()
    assert "diaginfo: expected a 1x1 struct, received no such variable" in sentence_of(path)
    scan = read_scan(path, needs_labels=False)
    assert scan.grades == (None, None)
    np.testing.assert_array_equal(scan.counts, [IMAGE[..., 0], IMAGE[..., 1]])


def test_labels_are_read_where_none_are_needed_and_damage_stays_an_error(tmp_path: Path) -> None:
    path = write_v5(tmp_path / "new.mat")
    scan = read_scan(path, needs_labels=False)
    assert (scan.grades, scan.no_labels) == ((4, 0), None)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ScanError):
        read_scan(path, needs_labels=False)
    write_v5(path, {"diaginfo": diaginfo()})
    with pytest.raises(ScanError, match="Y: expected an image"):
        read_scan(path, needs_labels=False)
