"""CSV files as spreadsheets open them, and as they are read back."""

import codecs
import csv
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from djd.csv_files import append_rows, csv_lines, write_rows
from djd.data.names import one_form
from djd.data.tables import read_groups, read_names, read_second_reader

SIGNS = st.sampled_from("=+-@＝＋'\"\t\r\n ,;0aA\ufeff\u3000가é<#")
NAMES = st.one_of(st.text(SIGNS, max_size=6), st.text(max_size=6))
COLUMNS = ("scan", "text")
FORMULAS = ("=1+1", "+cmd|' /C calc'!A0", "@SUM(1)", "-2+3", " =1+1", "\t=1", "\r=1", "＝1+1", "-5")


def runs_as_formula(cell: str) -> bool:
    """Whether a spreadsheet that passes blanks and wide signs over takes a cell for a formula."""
    is_number = re.fullmatch(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", cell)
    return one_form(cell)[:1] in tuple("=+-@＝＋－＠") and not is_number


def cells_on_disk(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [cell for line in csv.reader(file) for cell in line]


@settings(max_examples=50)
@given(names=st.lists(NAMES, max_size=4), more=st.lists(NAMES, max_size=4))
def test_every_text_is_read_back_and_none_is_a_formula(names: list[str], more: list[str]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        write_rows(path, COLUMNS, [{"scan": name, "text": name} for name in names])
        for name in more:
            append_rows(path, COLUMNS, [{"scan": name, "text": name}])
        assert list(csv_lines(path)) == [[*COLUMNS], *([name, name] for name in (*names, *more))]
        data = path.read_bytes()
        assert data.startswith(codecs.BOM_UTF8) is not data.isascii()
        assert codecs.BOM_UTF8 not in data[3:] or "\ufeff" in "".join((*names, *more))
        assert not any(map(runs_as_formula, cells_on_disk(path)))


@pytest.mark.parametrize("name", FORMULAS)
def test_a_name_that_would_be_a_formula_has_an_apostrophe(tmp_path: Path, name: str) -> None:
    write_rows(tmp_path / "a.csv", ["scan"], [{"scan": name}])
    assert cells_on_disk(tmp_path / "a.csv") == ["scan", f"'{name}"]


def test_numbers_and_other_names_stay_as_they_are(tmp_path: Path) -> None:
    row = {"scan": "0000058", "a": -0.5, "b": "-0.5", "c": "-1.5e-07", "d": "O'Brien", "e": "'x"}
    write_rows(tmp_path / "a.csv", tuple(row), [row])
    expected = b"scan,a,b,c,d,e\n0000058,-0.5,-0.5,-1.5e-07,O'Brien,'x\n"
    assert (tmp_path / "a.csv").read_bytes() == expected


def test_a_file_of_an_earlier_version_gets_its_mark_with_the_first_korean_row(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"scan\n1\n")
    append_rows(path, ["scan"], [{"scan": "2"}])
    assert path.read_bytes() == b"scan\n1\n2\n"
    append_rows(path, ["scan"], [{"scan": "가"}])
    append_rows(path, ["scan"], [{"scan": "나"}])
    assert path.read_bytes() == codecs.BOM_UTF8 + "scan\n1\n2\n가\n나\n".encode()
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_column_that_a_file_lacks_is_never_dropped(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="other"):
        write_rows(tmp_path / "a.csv", ["scan"], [{"scan": "1", "other": "2"}])


NAMED = st.text(
    st.sampled_from("=+-@'\"\t ,;0aA가"),
    min_size=1,
    max_size=6,
).map(one_form)


@settings(max_examples=50)
@given(names=st.sets(NAMED.filter(lambda name: name.strip("'=+-@\",;\t ") != ""), min_size=1))
def test_names_copied_out_of_a_table_of_ours_name_the_same_scans(names: set[str]) -> None:
    names = {name for name in names if "\t" not in name}
    readings = {(name, "right"): 2 for name in names}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        rows = [
            {"scan": name, "patient": name, "side": "right", "grade": 2} for name in sorted(names)
        ]
        if not rows:
            return
        write_rows(path, tuple(rows[0]), rows)
        assert read_groups(path, known=names) == {name: name for name in names}
        assert read_second_reader(path, known=names) == readings
        write_rows(path, ["scan"], rows := [{"scan": name} for name in sorted(names)])
        assert set(read_names(path, key="data.exclude", known=names, what="scan")) == names


def test_a_name_typed_without_the_apostrophe_is_the_scan_too(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text("scan,patient\n=1+1,'=A\n'@b,B\n'-c,C\n")
    assert read_groups(path, known={"=1+1", "'@b", "-c"}) == {"=1+1": "=A", "'@b": "B", "-c": "C"}
