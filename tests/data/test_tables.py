from pathlib import Path

import pytest

from djd.data.tables import read_groups, read_names
from djd.errors import InputError

KNOWN = ["0000001", "0000002", "가나다"]


def names_of(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "list.txt"
    path.write_text(text, encoding="utf-8")
    return read_names(path, key="data.test_list", known=KNOWN, what="patient")


def groups_of(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / "groups.csv"
    path.write_text(text, encoding="utf-8")
    return read_groups(path, known=KNOWN)


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
        ("", r"line 1: expected the columns scan, patient, received nothing"),
        ("scan,name\n0000001,A\n", r"line 1: expected the columns .*, received scan, name"),
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


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00scan"])
def test_a_file_that_is_no_text_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "groups.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"data\.groups: expected a text file, received .*groups"):
        read_groups(path, known=KNOWN)
