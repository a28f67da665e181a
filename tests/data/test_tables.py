from collections.abc import Callable
from pathlib import Path

import pytest

from djd.data.tables import read_grade_names, read_groups, read_names
from djd.errors import InputError

NO_COLUMNS = "line 1: expected the columns spelling, grade, each once, received a line without them"
KNOWN = ["0000001", "0000002", "가나다"]


def names_of(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "list.txt"
    path.write_text(text, encoding="utf-8")
    return read_names(path, key="data.test_list", known=KNOWN, what="patient")


def groups_of(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / "groups.csv"
    path.write_text(text, encoding="utf-8")
    return read_groups(path, known=KNOWN)


def grade_names_of(tmp_path: Path, text: str) -> dict[str, int | None]:
    path = tmp_path / "names.csv"
    path.write_text(text, encoding="utf-8")
    return read_grade_names(path)


def test_names_stand_a_line_each(tmp_path: Path) -> None:
    assert names_of(tmp_path, "\ufeff0000001\r\n\n# second visit\n 가나다 \n") == [
        "0000001",
        "가나다",
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("0000001\n1\n", r"list\.txt, line 2: expected a patient of the cohort, received 1"),
        ("0000001\n0000001\n", r"line 2: expected each patient once, received 0000001 again"),
        ("\n# nobody\n", r"list\.txt: expected a patient a line, received none"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=rf"data\.test_list: .*{sentence}"):
        names_of(tmp_path, text)


def test_groups_are_columns_by_name(tmp_path: Path) -> None:
    text = "\ufeffpatient, note, scan\nA, x, 0000001\nA, y, 가나다\n"
    assert groups_of(tmp_path, text) == {"0000001": "A", "가나다": "A"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"line 1: expected the columns scan, patient, each once, received nothing"),
        ("scan,name\n0000001,A\n", r"line 1: expected the columns .*, received scan, name"),
        ("scan,patient\n0000001,A,x\n", r"line 2: expected 2 columns as in line 1, received 3"),
        ("scan,patient\n0000001,A\n1,A\n", r"line 3: expected a scan of the cohort, received 1"),
        ("scan,patient\n0000001,\n", r"line 2: expected the patient of 0000001, received none"),
        ("scan,patient\n0000001\n", r"line 2: expected the patient of 0000001, received none"),
        (
            "scan,patient\n0000001,A\n0000001,B\n",
            r"line 3: expected one patient for 0000001, received A and B",
        ),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=rf"data\.groups: .*groups\.csv, {sentence}"):
        groups_of(tmp_path, text)


def test_semicolons_separate_the_columns_of_groups_as_well(tmp_path: Path) -> None:
    assert groups_of(tmp_path, 'Scan;Patient\n0000001;"Kim; A"\n;;\n') == {"0000001": "Kim; A"}


@pytest.mark.parametrize("read", [groups_of, grade_names_of])
def test_a_quote_that_is_never_closed_does_not_swallow_lines(
    tmp_path: Path, read: Callable[[Path, str], object]
) -> None:
    text = 'scan,patient,spelling,grade\n0000001,A,"Kim,0\n가나다,B,x,1\n'
    with pytest.raises(InputError, match=r"expected a line of CSV") as caught:
        read(tmp_path, text)
    assert "Kim" not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00scan"])
def test_a_file_that_is_no_text_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "groups.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"data\.groups: expected a text file, received .*groups"):
        read_groups(path, known=KNOWN)


@pytest.mark.parametrize("comma", [",", ";"])
def test_a_spelling_has_a_number_or_a_name_for_a_grade(tmp_path: Path, comma: str) -> None:
    text = (
        "\ufeffGrade,note,Spelling\n0,, NormalKnee \nMILD,x,mild DJD\n4,,가나다\n"
        "unspect,,?\nnone,,unknown\n0,,NORMALKNEE\n"
    )
    assert grade_names_of(tmp_path, text.replace(",", comma)) == {
        "normalknee": 0,
        "mild djd": 2,
        "가나다": 4,
        "?": None,
        "unknown": None,
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "",
            "line 1: expected the columns spelling, grade, each once, received a line with",
        ),
        (
            "Kim,0\n",
            "line 1: expected the columns spelling, grade, each once, received a line with",
        ),
        ("spelling,grade\n", "names.csv: expected a spelling a line, received none"),
        ("spelling,grade\n,0\n", "line 2: expected a spelling and its grade, received no spelling"),
        ("spelling,grade\nKim,5\n", "line 2: expected a grade of 0 to 4, normal, minimal, mild, "),
        ("spelling,grade\n0,Kim\n", "or unspect, received another text"),
        ("spelling,grade\nKim\n", "or unspect, received none"),
        ("spelling,grade\nKim,\n", "or unspect, received none"),
        ("spelling,grade\nKim,0\nkim,1\n", "line 3: expected one grade for each spelling, "),
    ],
)
def test_a_bad_line_of_spellings_is_named_and_not_repeated(
    tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(InputError) as caught:
        grade_names_of(tmp_path, text)
    assert str(caught.value).startswith("data.grade_names: ")
    assert sentence in str(caught.value)
    assert "kim" not in str(caught.value).lower()
