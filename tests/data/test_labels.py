"""Grades out of a table: ids, grades and names, and everything that is wrong at once."""

import time
from pathlib import Path

import pytest

from djd.data.cohort import Labels
from djd.data.labels import read_labels
from djd.errors import InputError
from djd.grades import GRADE_OF_ID, GRADE_OF_NAME, LabelsKind

KNOWN = ("0000001", "0000002", "0000003", "가/나", "=1")


def labels_of(
    tmp_path: Path,
    text: str,
    *,
    kind: LabelsKind | None = None,
    grade_names: dict[str, int | None] | None = None,
) -> Labels:
    path = tmp_path / "grades.csv"
    path.write_text(text, encoding="utf-8")
    return read_labels(path, known=KNOWN, kind=kind, grade_names=grade_names)


@pytest.mark.parametrize(
    ("kind", "grade"), [("ids", dict(GRADE_OF_ID)), ("grades", {each: each for each in range(5)})]
)
def test_numbers_are_what_the_kind_says(
    tmp_path: Path, kind: LabelsKind, grade: dict[float, int | None]
) -> None:
    for number, expected in grade.items():
        text = f"scan,right,left\n0000001,{number:g},{number:g}.0\n0000002,3,mild\n"
        labels = labels_of(tmp_path, text, kind=kind)
        assert labels["0000001", "right"] == expected
        assert labels["0000001", "left"] == expected
        assert labels["0000002", "right"] == grade[3]
        assert labels["0000002", "left"] == 2


def test_the_same_table_has_other_grades_as_ids(tmp_path: Path) -> None:
    text = "scan,side,grade\n0000001,right,2\n"
    assert labels_of(tmp_path, text, kind="ids") == {("0000001", "right"): 0}
    assert labels_of(tmp_path, text, kind="grades") == {("0000001", "right"): 2}


@pytest.mark.parametrize("kind", [None, "names", "ids", "grades"])
def test_names_need_no_kind(tmp_path: Path, kind: LabelsKind | None) -> None:
    for name, grade in (*GRADE_OF_NAME.items(), ("Moderate", 3), ("NONE", None), ("worse", 4)):
        text = f"scan,right,left\n0000001,{name.upper()},mild\n"
        labels = labels_of(tmp_path, text, kind=kind, grade_names={"worse": 4})
        assert labels == {("0000001", "right"): grade, ("0000001", "left"): 2}


def test_numbers_without_a_kind_name_the_key_and_both_ways_on(tmp_path: Path) -> None:
    text = "scan,right,left\n0000001,mild,\n0000009,3,2\n"
    with pytest.raises(InputError) as caught:
        labels_of(tmp_path, text)
    for said in (
        *("data.labels_kind: expected ids or grades", "line 3: 3"),
        *("data.labels_kind=ids", "data.labels_kind=grades"),
    ):
        assert said in str(caught.value)


def test_a_number_that_is_a_spelling_of_the_users_own_needs_no_kind(tmp_path: Path) -> None:
    text = "scan,side,grade\n0000001,right,2\n"
    labels = labels_of(tmp_path, text, grade_names={"2": 1})
    assert labels == {("0000001", "right"): 1}


def test_an_empty_cell_or_a_missing_line_is_a_knee_without_a_grade(tmp_path: Path) -> None:
    text = "scan;right;left\n0000001;;mild\n가/나;;\n'=1;normal;normal\n"
    assert labels_of(tmp_path, text) == {
        ("0000001", "right"): None,
        ("0000001", "left"): 2,
        ("가/나", "right"): None,
        ("가/나", "left"): None,
        ("=1", "right"): 0,
        ("=1", "left"): 0,
    }
    text = "scan,side,grade\n0000001,left,mild\n0000002,right,\n"
    assert labels_of(tmp_path, text) == {("0000001", "left"): 2, ("0000002", "right"): None}


def test_all_wrong_lines_are_named_in_one_sentence(tmp_path: Path) -> None:
    text = (
        "scan,side,grade\n0000001,right,mild\n2,left,mild\n0000001,right,mild\n"
        "0000003,both,mild\n0000003,left,bad\n0000002,left,5\n0000002,right,0\n,left,mild\n"
    )
    with pytest.raises(InputError) as caught:
        labels_of(tmp_path, text, kind="grades")
    sentence = str(caught.value)
    assert sentence.startswith(f"data.labels: {tmp_path / 'grades.csv'}: 6 wrong lines: line 3: ")
    for said in (
        *("received 2 (without the zeros of 0000002?)", "line 4: expected each knee once"),
        *("line 5: expected the side right or left, received both", "line 6: expected a grade of"),
        *("received bad", "line 7: expected a grade of 0 to 4, or a severity name, received 5"),
        "line 9: expected a scan of the cohort, received none",
    ):
        assert said in sentence
    assert "line 8" not in sentence


def test_the_first_ten_of_many_wrong_lines_are_named(tmp_path: Path) -> None:
    text = "scan,side,grade\n" + "0000009,left,mild\n" * 12
    with pytest.raises(InputError, match=r"12 wrong lines: line 2: .*line 11: .*; and 2 more$"):
        labels_of(tmp_path, text)


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        *(("ids", "1"), ("ids", "7"), ("ids", "2.5"), ("grades", "-1"), ("grades", "6")),
        *(("names", "2"), ("names", "slight"), (None, "slight"), (None, "2.5")),
    ],
)
def test_another_cell_is_no_label(tmp_path: Path, kind: LabelsKind | None, cell: str) -> None:
    with pytest.raises(InputError, match=rf"1 wrong line: line 2: expected .*received {cell}$"):
        labels_of(tmp_path, f"scan,side,grade\n0000001,right,{cell}\n", kind=kind)


@pytest.mark.parametrize("rows", ["", "0000001,unspect,\n0000002,,\n"])
def test_a_table_that_grades_no_knee_is_an_error(tmp_path: Path, rows: str) -> None:
    with pytest.raises(InputError, match="expected a graded knee, received none"):
        labels_of(tmp_path, f"scan,right,left\n{rows}")


def test_a_table_of_another_folder_is_refused_in_seconds(tmp_path: Path) -> None:
    known = {f"{number:018d}7" for number in range(2000)}
    path = tmp_path / "grades.csv"
    rows = "".join(f"{int(name):.5E},mild,mild\n" for name in known)
    path.write_text(f"scan,right,left\n{rows}")
    start = time.process_time()
    with pytest.raises(InputError, match=r"2000 wrong lines: line 2: .*; and 1990 more"):
        read_labels(path, known=known)
    assert time.process_time() - start < 3


def test_a_scan_of_a_subfolder_is_meant_by_its_own_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"received 나 \('가/나'\?\)$"):
        labels_of(tmp_path, "scan,right,left\n나,mild,mild\n")


def test_a_table_of_both_forms_is_refused(tmp_path: Path) -> None:
    text = "scan,right,left,side,grade\n0000001,mild,severe,right,mild\n"
    with pytest.raises(InputError, match="scan, side, grade or scan, right, left"):
        labels_of(tmp_path, text)
