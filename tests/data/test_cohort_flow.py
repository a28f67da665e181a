import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from djd.data.cohort_flow import FLOW_NAME, Flow, flow_of, flow_sentences
from djd.data.split import split_patients
from djd.errors import InputError
from djd.runs.config import read_config
from djd.runs.reading import leave_for_report, read_data
from tests.conftest import Compose
from tests.finished_run import FinishedRun
from tests.invented import cycling_grades, invented_cohort
from tests.ordinary_user import link


def some_flow() -> Flow:
    """Ten scans of nine patients, one unreadable, one with a knee and one without any grade."""
    cohort = invented_cohort(cycling_grades(10))
    kept = np.isin(cohort.scan_index, [0, 1, 2, 3, 4, 5, 6, 7])
    kept[0] = False  # the right knee of the first scan; scan 8 has no grade, scan 9 can't be read
    cohort = replace(
        cohort,
        patients=(*cohort.patients[:-2], cohort.patients[0], cohort.patients[-1]),
        crops=cohort.crops[kept],
        grades=cohort.grades[kept],
        scan_index=cohort.scan_index[kept],
        side_index=cohort.side_index[kept],
        unspecified=3,
        unreadable={cohort.scans[-1]: "no scan"},
        excluded=2,
    )
    return flow_of(cohort, split_patients(cohort.patients, test_count=3))


def test_every_scan_knee_and_patient_is_counted_once() -> None:
    flow = some_flow()
    assert (flow.scans_found, flow.scans_excluded, flow.scans_unreadable) == (12, 2, 1)
    assert (flow.scans_read, flow.knees_unspecified, flow.knees_graded) == (9, 3, 15)
    assert (flow.patients, flow.patients_graded) == (9, 8)
    # The first patient came back as the ninth scan, and so is a test patient.
    assert (flow.development.patients, flow.test.patients) == (6, 2)
    assert flow.test.knees_per_grade == (1, 1, 0, 0, 1)


def test_the_flow_is_told_in_plain_lines() -> None:
    assert flow_sentences(some_flow()) == [
        "12 scans found; 2 excluded by name; 1 could not be read; 9 read",
        "18 knees in them; 3 without a grade, left out; 15 graded",
        "9 patients; 1 without a graded knee; 8 with one or more",
        "Development: 6 patients, 12 knees (2 normal, 2 minimal, 3 mild, 3 moderate, 2 severe)",
        "Test: 2 patients, 3 knees (1 normal, 1 minimal, 0 mild, 0 moderate, 1 severe)",
    ]


def test_the_flow_is_read_back_as_written(tmp_path: Path) -> None:
    assert Flow.load(tmp_path) is None
    some_flow().save(tmp_path)
    assert Flow.load(tmp_path) == some_flow()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scans_found", -1),
        ("scans_found", "12"),
        ("scans_found", 13),
        ("patients", 7),
        ("phantom", "yes"),
        ("knees_unspecified", 1.5),
        ("development", None),
        ("test", {"patients": 2, "knees_per_grade": [0, 1, 2]}),
        ("test", {"patients": 2, "knees_per_grade": [1, 1, 0, 0, 2]}),
    ],
)
def test_a_flow_that_does_not_add_up_is_one_sentence(
    tmp_path: Path, key: str, value: object
) -> None:
    record = some_flow().model_dump(mode="json") | {key: value}
    (tmp_path / FLOW_NAME).write_text(json.dumps(record))
    with pytest.raises(InputError, match=rf"{FLOW_NAME}: expected the flow .* a damaged file"):
        Flow.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null", None])
def test_a_damaged_flow_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    if content is None:
        (tmp_path / FLOW_NAME).mkdir()
    else:
        (tmp_path / FLOW_NAME).write_bytes(content)
    with pytest.raises(InputError, match=rf"{FLOW_NAME}: expected the flow .*, received") as caught:
        Flow.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_run_leaves_the_flow_of_its_cohort(finished: FinishedRun) -> None:
    flow = Flow.load(finished.folder)
    assert flow
    assert flow.phantom
    assert (flow.scans_found, flow.scans_excluded, flow.patients) == (40, 0, 40)
    assert flow.test.patients == finished.result.test[-1].patients
    assert flow.test.knees == finished.result.test[-1].knees
    confusion = np.array(finished.result.test[-1].confusion)
    assert flow.test.knees_per_grade == tuple(confusion.sum(axis=1))


def test_scans_left_out_by_name_or_damage_are_told_apart(
    tiny: Compose, phantom_folder: Path, tmp_path: Path
) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    for path in sorted(phantom_folder.glob("*.mat"))[:15]:
        link(scans / path.name, path)
    names = sorted(path.stem for path in scans.iterdir())
    (scans / f"{names[3]}.mat").unlink()
    (scans / f"{names[3]}.mat").write_bytes(b"hello")
    excluded = f"data.exclude=['{names[5]}','{names[6]}','9999999']"
    values = tiny("data=mat", f"data.root='{scans}'", "data.on_error=skip", excluded)
    cohort, split = read_data(read_config(values))
    leave_for_report(tmp_path, cohort, split, None, stamp=None)
    flow = Flow.load(tmp_path)
    assert flow
    assert (flow.scans_found, flow.scans_excluded, flow.scans_unreadable) == (15, 2, 1)
    assert flow.scans_read == 12
    assert not (tmp_path / "second_reader.csv").exists()
