"""Names that a spreadsheet has changed are recognized; none is taken for another in silence."""

from pathlib import Path

import pytest

from djd.data.names import meant
from djd.data.spreadsheets import changed_by_spreadsheet
from djd.data.tables import read_names
from djd.errors import InputError

KNOWN = (
    *("0000058", "12e3456", "123456789012345678", "7654321098", "1.50", "5e3", "0012345678901234"),
    *("1-2", "MAR1", "2024-11-5", "DEC-12", "ward 3"),
)


@pytest.mark.parametrize(
    ("shown", "name"),
    [
        ("1.2E+3457", "12e3456"),
        ("inf", "12e3456"),
        ("123456789012345000", "123456789012345678"),  # Excel
        ("123456789012346000", "123456789012345678"),  # rounded to 15 digits
        ("123456789012345680", "123456789012345678"),  # the shortest text of the number
        ("1.23457E+17", "123456789012345678"),
        ("1,23E+17", "123456789012345678"),
        ("1E+17", "123456789012345678"),
        ("1.2345678901234568e+17", "123456789012345678"),
        ("7.65E+09", "7654321098"),
        ("1.23457E+13", "0012345678901234"),
        ("1.5", "1.50"),
        ("5000", "5e3"),
        ("5.00E+03", "5e3"),
        ("02-Jan", "1-2"),
        ("2-Jan", "1-2"),
        ("1/2/2026", "1-2"),
        ("2026-01-02", "1-2"),
        ("2026-01-02 00:00:00", "1-2"),
        ("01월 02일", "1-2"),
        ("01-Mar", "MAR1"),
        ("1-Mar", "MAR1"),
        ("03월 01일", "MAR1"),
        ("11/5/2024", "2024-11-5"),
        ("2024-11-05", "2024-11-5"),
        ("05.11.2024", "2024-11-5"),
        ("12-Dec", "DEC-12"),
    ],
)
def test_what_excel_makes_of_a_name_is_recognized(tmp_path: Path, shown: str, name: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f'scan\n"{shown}"\n', encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_names(path, key="data.exclude", known=KNOWN, what="scan")
    expected = f"received {shown} ({name}, changed by Excel? keep the column as text)"
    if shown == "2024-11-05":
        expected = "received 2024-11-05 ('2024-11-5'?)"  # zeros alone
    assert str(caught.value).endswith(expected)


@pytest.mark.parametrize(
    "other",
    [
        *("7654321", "7655000000", "765432109", "1.24E+17", "1.2E+3458", "E+17", "1E+999999999"),
        *("123456789012344000", "3-Jan", "Jan", "2-Foo", "32-Jan-1", "0-Jan", "ward", "2-1", ""),
    ],
)
def test_another_name_is_no_changed_one(other: str) -> None:
    assert changed_by_spreadsheet(other, KNOWN) == []


def test_where_several_scans_look_so_none_is_chosen() -> None:
    known = ("1234567890123450", "1234567890123451")
    assert meant("1.23E+15", known) == (
        " (one of 1234567890123450, 1234567890123451, changed by Excel? keep the column as text)"
    )


def test_a_changed_name_is_not_taken_for_the_scan_of_its_first_digits() -> None:
    known = ("0000001", "12e34", "2024-03-01")
    ends = ", changed by Excel? keep the column as text)"
    assert meant("1.2E+35", known) == f" (12e34{ends}"
    assert meant("2024/3/1", known) == " ('2024-03-01'?)", "zeros and signs alone"
    assert meant("1.2E+99", known) == ""
    assert meant("1", known) == " (without the zeros of 0000001?)"
    assert meant("B/0000001.mat", known) == " ('0000001'?)"
