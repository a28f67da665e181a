import csv
import io
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djd.data.names import one_form
from djd.data.tables import Readings, read_second_reader, write_second_reader
from djd.errors import InputError
from djd.grades import GRADE_NAMES, SIDES

KNOWN = ["0000001", "0000002", "가나다"]
HEAD = "scan,side,grade\n"


def readings_of(tmp_path: Path, content: str | bytes) -> Readings:
    path = tmp_path / "읽기 표.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_second_reader(path, known=KNOWN)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_columns_go_by_name_and_others_are_passed_over(
    tmp_path: Path, mark: str, end: str, delimiter: str
) -> None:
    rows = [
        ["grade", "note", " side", "scan"],
        ["3", "a, b; c", "right", "0000001"],
        ["Minimal", 'two "words"', "Left ", " 가나다"],
        ["", "", "", ""],
    ]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows(rows)
    expected = {("0000001", "right"): 3, ("가나다", "left"): 1}
    assert readings_of(tmp_path, mark + text.getvalue()) == expected


def test_both_knees_of_a_scan_may_stand_on_one_line(tmp_path: Path) -> None:
    text = "Left;Scan;Right\nmild;0000001;0\n;0000002;4\n;가나다;\n"
    expected = {("0000001", "right"): 0, ("0000001", "left"): 2, ("0000002", "right"): 4}
    assert readings_of(tmp_path, text) == expected


@pytest.mark.parametrize("grade", range(5))
def test_a_grade_is_a_number_or_a_name(tmp_path: Path, grade: int) -> None:
    name = GRADE_NAMES[grade]
    text = f"{HEAD}0000001,right,{grade}\n0000001,left,{name}\n0000002,left,{name.upper()}\n"
    assert set(readings_of(tmp_path, text).values()) == {grade}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            "",
            r"line 1: expected the columns scan, side, grade or scan, right, left, and no",
        ),
        ("scan,grade\n0000001,2\n", r"line 1: expected the columns .*, received scan, grade"),
        ("scan,side,grade,grade\n", r"line 1: .* received scan, side, grade, grade"),
        (HEAD, r"expected a knee a line, received none"),
        (f"{HEAD},,\n", r"expected a knee a line, received none"),
        (f"{HEAD}0000009,right,1\n", r"line 2: expected a scan of the cohort, received 0000009"),
        (f"{HEAD}1,right,1\n", r"received 1 \(without the zeros of 0000001\?\)"),
        (f"{HEAD},right,1\n", r"line 2: expected a scan of the cohort, received none"),
        (f"{HEAD}0000001,both,1\n", r"line 2: expected the side right or left, received both"),
        (f"{HEAD}0000001\n", r"line 2: expected the side right or left, received none"),
        (f"{HEAD}\n0000001,left,5\n", r"line 3: expected a grade of 0 to 4 or .*, received 5"),
        (f"{HEAD}0000001,left,-1\n", r"line 2: expected a grade .*, received -1"),
        (f"{HEAD}0000001,left,3.0\n", r"line 2: expected a grade .*, received 3\.0"),
        (f"{HEAD}0000001,left,\n", r"received none; leave out knees that were not read"),
        (
            f"{HEAD}0000001,left,1\n0000001,LEFT,1\n",
            r"line 3: expected each knee once, received 0000001 left again",
        ),
        (f"{HEAD}0000001,left,1,2\n", r"line 2: expected 3 columns as in line 1, received 4"),
        (
            'scan,side,grade,note\n0000001,left,1,"a\n0000002,left,1,b\n',
            r"expected a line of CSV, received a quote that is not closed",
        ),
        ("scan\tside\tgrade\n", r"expected a knee a line, received none"),
        ("이름,side,grade\n".encode("cp949"), r"received 이름, side, grade"),
        (b"\xff\xfes\x00c\x00\x00", r"expected a text file, .* \(not in UTF-8, UTF-16 or cp949"),
        ("scan,right,left\n0000001,x,\n", r"line 2: expected a grade of 0 to 4 or .*, received x"),
        (
            "scan,right,left\n0000001,1,\n0000001,2,2\n",
            r"line 3: expected each knee once, received 0000001 right again",
        ),
        ("scan,right,left\n0000001,,\n", r"expected a knee a line, received none"),
    ],
)
def test_whatever_is_wrong_is_one_sentence(
    tmp_path: Path, content: str | bytes, sentence: str
) -> None:
    with pytest.raises(InputError, match=rf"^data\.second_reader: .*{sentence}") as caught:
        readings_of(tmp_path, content)
    assert "읽기 표.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["missing.csv", "."])
def test_what_is_no_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"data\.second_reader: expected a text file, received"):
        read_second_reader(tmp_path / name, known=KNOWN)


SCANS = (
    st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1)
    .map(one_form)
    .filter(bool)
)


@given(
    readings=st.dictionaries(
        st.tuples(SCANS, st.sampled_from(SIDES)), st.integers(0, 4), min_size=1
    ),
    stamp=st.sampled_from([None, "PHANTOM: invented scans, not patients"]),
)
def test_what_was_written_is_read_back(readings: Readings, stamp: str | None) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "second_reader.csv"
        write_second_reader(path, readings, stamp=stamp)
        assert read_second_reader(path, known=None) == readings
        assert read_second_reader(path, known={scan for scan, _ in readings}) == readings
        assert ("stamp" in path.read_text(encoding="utf-8").splitlines()[0]) == bool(stamp)


@given(st.text())
def test_no_text_is_a_traceback(text: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "readings.csv"
        path.write_bytes((HEAD + text).encode(errors="replace"))
        with suppress(InputError):
            assert set(read_second_reader(path, known=KNOWN).values()) <= set(range(5))
