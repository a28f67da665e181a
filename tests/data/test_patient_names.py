"""Names of scans and patients: one form, and a warning where two may be one."""

import logging
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djd.data.cohort import Cohort, read_cohort
from djd.data.names import alike_warning, groups_line, meant, one_form
from djd.data.scan_files import find_scans
from djd.data.split import PatientSplit
from djd.data.tables import read_groups
from djd.errors import InputError
from djd.runs.config import read_config
from djd.runs.reading import read_data
from djd.runs.summary import say_cohort
from tests.conftest import compose_values
from tests.data.test_cohort import write_scan

NFC, NFD = "뼈é", unicodedata.normalize("NFD", "뼈é")


@pytest.mark.parametrize("around", ["", " ", "\t", "\xa0", "\u3000", "\u200b", "\ufeff", "\u3164"])
def test_blank_and_invisible_signs_around_a_name_are_no_part_of_it(around: str) -> None:
    assert one_form(f"{around}{NFD} {NFC}{around}") == f"{NFC} {NFC}"


@given(st.text())
def test_a_form_is_its_own_form(text: str) -> None:
    assert (
        one_form(one_form(text)) == one_form(text) == one_form(unicodedata.normalize("NFD", text))
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("P001", "P1"),
        ("007", "7"),
        ("7", "7.0"),
        ("Kim", "KIM"),
        ("Kim A", "KimA"),
        ("P001", "\uff30\uff10\uff10\uff11"),
        ("P-1", "P\u20131"),
        ("P-1", "P\u22121"),
        ("P1", "P\u200b1"),
        ("P1", "'P1"),
        ("Straße", "STRASSE"),
        ("P-001", "P001"),
        ("P 1", "P/1"),
        ("Kim A", "Kim, A."),
        ("1-11", "1_11"),
        ("P7", "P\u0667"),
    ],
)
def test_names_that_look_alike_are_a_warning(one: str, other: str) -> None:
    warning = alike_warning([one, "another", other, one])
    assert warning
    assert " and ".join(map(repr, sorted([one, other]))) in warning
    assert meant(one, [other, "x"])


@pytest.mark.parametrize(
    "names",
    [("P1", "P10"), ("1 11", "11 1"), ("1.5", "15"), ("1-11", "11-1"), ("?", "-"), ("a", "á"), ()],
)
def test_names_that_differ_are_none(names: tuple[str, ...]) -> None:
    assert alike_warning(names) is None


def test_of_many_names_a_few_are_named() -> None:
    warning = alike_warning(f"{zero}{number}" for number in range(1, 21) for zero in ("", "0"))
    assert "'01' and '1', " in (warning or "")
    assert " and 15 more; " in (warning or "")


def test_scans_without_a_line_in_groups_are_counted_and_those_that_join_named() -> None:
    assert groups_line({"1": "1", "2": "2"}) is None
    assert groups_line({"1": "A", "2": "1", "3": "3"}) == (
        "patients named by data.groups, or by DICOM headers (P0001 and so on): 2 scans; "
        "under their own name: 1 scan"
    )
    assert (groups_line({"1": "1", "2": "1", "3": "3"}) or "").endswith(
        "under their own name: 2 scans, of which 1 join the patient of that name"
    )


def test_a_file_in_one_unicode_form_is_the_scan_named_in_the_other(tmp_path: Path) -> None:
    write_scan(tmp_path, NFD, seed=1)
    write_scan(tmp_path, "0000002")
    (tmp_path / f"{NFD}3.mat").write_bytes(b"damaged")
    table = tmp_path / "groups.csv"
    table.write_text(f"scan,patient\n{NFC},0000002\n")
    patients = read_groups(table, known={NFC, "0000002"})
    cohort = read_cohort(find_scans(tmp_path), patients=patients)
    assert cohort.scans == ("0000002", NFC, f"{NFC}3")
    assert cohort.patients == ("0000002", "0000002", f"{NFC}3")
    assert set(cohort.pixel_digests) == {NFC, "0000002"}
    assert [*cohort.unreadable] == [f"{NFC}3"]
    assert cohort.size == "3 scans of 2 patients"
    assert find_scans(tmp_path, [f" {NFC}", f"{NFC}3"]).names == ["0000002"]


def test_two_files_of_one_name_in_two_forms_are_an_error(tmp_path: Path) -> None:
    for name in (NFC, NFD):
        (tmp_path / f"{name}.mat").touch()
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("this file system knows one form alone")
    with pytest.raises(InputError, match=r"expected one file a scan, received .*two Unicode forms"):
        find_scans(tmp_path)


def test_the_head_says_scans_and_patients_and_names_that_look_alike(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("0000001", "0000002", "0000003"):
        write_scan(tmp_path, name)
    patients = {"0000001": "Kim", "0000002": "Kim", "0000003": "kim"}
    cohort = read_cohort(find_scans(tmp_path), patients=patients)
    with caplog.at_level(logging.INFO, "djd"):
        say_cohort(cohort, {}, ())
    assert f"3 scans of 2 patients in {tmp_path}: 6 graded knees" in caplog.text
    assert "(P0001 and so on): 3 scans; under their own name: 0 scans" in caplog.text
    assert "warning: patients whose names are nearly the same" in caplog.text
    assert "'Kim' and 'kim'; if they are one" in caplog.text


def test_lists_of_scans_and_patients_reach_the_cohort(tmp_path: Path) -> None:
    scans, tests = tmp_path / "scans", tmp_path / "tests.csv"
    scans.mkdir()
    for name in ("0000001", "0000002", "0000003", NFD):
        write_scan(scans, name, seed=len(list(scans.iterdir())))
    tests.write_text("scan\n0000001\n")
    place = ("data=mat", f"data.root='{scans}'", f"paths.cache='{tmp_path}'")

    def data_of(*more: str) -> tuple[Cohort, PatientSplit]:
        return read_data(read_config(compose_values(*place, *more)))

    cohort, split = data_of(f"data.test_list='{tests}'", f"data.exclude=['{NFC}']")
    assert (cohort.scans, split.test) == (("0000001", "0000002", "0000003"), ("0000001",))
    with pytest.raises(InputError, match=r"names in brackets \('data\.exclude=\[0000002\]'\)"):
        data_of("data.exclude='0000002'")
    groups = tmp_path / "groups.csv"
    groups.write_text("scan,patient\n0000002,0000001\n")
    with pytest.raises(InputError, match="line 1: expected a patient of the cohort, received scan"):
        data_of(f"data.test_list='{tests}'", f"data.groups='{groups}'")
