import csv
import io
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djd.csv_files import as_named
from djd.data.names import one_form
from djd.data.scan import read_scan
from djd.data.tables import read_grade_names, read_groups, read_names
from djd.errors import InputError

NO_COLUMNS = "expected the columns spelling, grade, and no column twice, received another line"
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
    ("text", "names"),
    [
        ("patient\n0000001\n", ["0000001"]),
        ('"Patients";\r\n0000001;\r\n;\r\n', ["0000001"]),
        ("scan\tpatient\n0000002\t0000001\n", ["0000001"]),
        ("# the last ones\nname\n0000001\n", ["0000001"]),
        ("sep=;\n0000001;;\n0000002\n", ["0000001", "0000002"]),
        ('Kim, A\n"0000001"\nO"B\n#7\n', ["Kim, A", "0000001", 'O"B', "#7"]),
        ("Name\n0000001\n", ["Name", "0000001"]),
    ],
)
def test_the_line_that_names_the_column_may_be_there(
    tmp_path: Path, text: str, names: list[str]
) -> None:
    path = tmp_path / "list.txt"
    path.write_text(text)
    known = {*KNOWN, "Kim, A", 'O"B', "#7", "Name"}
    assert read_names(path, key="data.test_list", known=known, what="patient") == names


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("scan\n0000001\n", r"line 1: expected a patient of the cohort, received scan"),
        ("0000001,0000002\n", r"line 1: expected a name a line, .* the column patient, received 2"),
        ('"0000001\n', r"line 1: expected a line of CSV, received a quote"),
        ("0000001\n0000002.0\n", r"line 2: .* received 0000002\.0 \('0000002'\?\)"),
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
        ("", r"line 1: expected the columns scan, patient, and no column twice, received nothing"),
        ("scan,name\n0000001,A\n", r"line 1: expected the columns .*, received scan, name"),
        (
            "scan,patient\n0000001,A,x\n",
            r"line 2: expected 2 columns as in line 1, received 3 columns",
        ),
        ("scan,patient\n0000001,A\n1,A\n", r"line 3: expected a scan of the cohort, received 1"),
        ("scan,patient\n0000001,\n", r"line 2: expected the patient of 0000001, received none"),
        ("scan,patient\n0000001\n", r"line 2: expected the patient of 0000001, received none"),
        ("scan,patient\n0000001,#N/A\n", r"line 2: expected the patient of 0000001, received #N/A"),
        ("scan,patient\n0000001,?\n", r"line 2: expected the patient of 0000001, received \?"),
        ("scan,patient\n0000001,1.23E+11\n", r"line 2: expected the patient .*received 1\.23E\+11"),
        ("scan,patient\n0000001,01-Mar\n", r"line 2: expected the patient .*received 01-Mar, as"),
        ("scan,patient\n0000001,Dec-12\n", r"line 2: expected the patient .*received Dec-12, as"),
        (
            "scan,patient\n0000001,A\n0000001,B\n",
            r"line 3: expected one patient for 0000001, received A and B",
        ),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=rf"data\.groups: .*groups\.csv, {sentence}"):
        groups_of(tmp_path, text)


def test_numbers_of_patients_that_excel_rounded_are_refused(tmp_path: Path) -> None:
    text = "scan,patient\n0000001,1234567890123450\n0000002,123456789012346000\n"
    with pytest.raises(InputError, match=r"data\.groups: .*123456.* zeros after 15 digits, as Exc"):
        groups_of(tmp_path, text)
    for other in ("가나다,1234567890123456\n", ""):  # another one in full; a single one may be so
        kept = text + other if other else text[: text.index("0000002")]
        assert len(groups_of(tmp_path, kept)) == (3 if other else 1)


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


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"\xff\xfe\x00scan",
        b"scan,patient\n0000001,A\xff\n",
        b"PK\x03\x04\x14\x00\x06",
        b"PK\x03\x04\x14\x00\x06\x00",
        b"scan,patient\n0000001,A\x00B\n",
        b"scan,patient\n0000001,A\x1bB\n",
        b"scan;patient\n0000001;A\tB\n",
    ],
)
def test_a_file_that_is_no_text_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "groups.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"data\.groups: .*expected .*text.*, received") as caught:
        read_groups(path, known=KNOWN)
    assert str(caught.value).isprintable()


def test_a_table_too_large_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    with path.open("wb") as file:
        file.truncate(20 * 2**20)
    with pytest.raises(InputError, match=r"received .*groups\.csv \(20 MiB; tables have 16"):
        read_groups(path, known=KNOWN)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_a_pipe_is_no_table_and_no_scan_and_nothing_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "0000001.mat"
    os.mkfifo(path)
    with pytest.raises(InputError, match=r"expected a text file, received .* \(a pipe or a device"):
        read_groups(path, known=KNOWN)
    with pytest.raises(InputError, match=r"expected a scan, received a pipe or a device"):
        read_scan(path)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('scan,patient\n0000001,"P000\n0000002,P000\n', 2),
        ('scan,patient\n0000001,"P000\n0000002,P000"\n', 2),
        ('scan,patient\n0000001,P"000\n', 2),
        ('scan,patient\n0000001,"P"000\n', 2),
        ('scan,patient,note\n0000001,A,\n0000002,A,"two\nlines"\n', 3),
        ('"scan,patient\n0000001,A\n', 1),
    ],
)
def test_a_quote_is_closed_in_its_line_and_its_cell(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(InputError, match=rf"groups\.csv, line {line}: expected a line of CSV"):
        groups_of(tmp_path, text)


def test_no_column_stands_twice_even_one_that_is_not_read(tmp_path: Path) -> None:
    for columns in ("scan,patient,PATIENT", "scan,note,patient,note"):
        with pytest.raises(InputError, match="and no column twice, received scan"):
            groups_of(tmp_path, f"{columns}\n0000001,A,A,A\n")


ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp949")
CELLS = st.text(st.sampled_from("가힣뼈Aa09 ,;\"'#=-_.|")).map(one_form).filter(bool)
"""Names of signs that all encodings have, some of which a table has to quote."""
PATIENTS = CELLS.filter(lambda name: any(map(str.isalnum, name)) and as_named(name) == name)


@given(
    groups=st.dictionaries(CELLS, PATIENTS, min_size=1),
    encoding=st.sampled_from(ENCODINGS),
    separator=st.sampled_from(",;\t"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    head=st.sampled_from(["", "sep=", ",,\n;;\n"]),
)
def test_whatever_a_spreadsheet_writes_is_read_back(
    groups: dict[str, str],
    encoding: str,
    separator: str,
    end: str,
    quoting: Literal[0, 1],
    head: str,
) -> None:
    text = io.StringIO()
    if head:
        text.write(f"sep={separator}{end}" if head == "sep=" else head)
    writer = csv.writer(text, delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writerow(["note", "Patient", " scan", ""])
    writer.writerows(["a, b;", patient, scan, ""] for scan, patient in groups.items())
    text.write(separator * 3 + end)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "groups.csv"
        path.write_bytes(text.getvalue().encode(encoding))
        assert read_groups(path, known=groups.keys()) == groups


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
        ("", NO_COLUMNS),
        ("Kim,0\n", NO_COLUMNS),
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
