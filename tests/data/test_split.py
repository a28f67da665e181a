import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from djd.data.cohort import Cohort
from djd.data.split import (
    Parts,
    PartSummary,
    PatientSplit,
    grade_warnings,
    part_summaries,
    split_knees,
    split_patients,
)
from djd.errors import InputError
from djd.runs.folder import require_same_cohort, save_split
from tests.invented import cycling_grades, invented_cohort


def test_the_last_patients_by_file_name_are_the_test_patients() -> None:
    split = split_patients([f"{number:07d}" for number in range(205)], test_count=40)
    assert len(split.development) == 165
    assert split.test == tuple(f"{number:07d}" for number in range(165, 205))


def test_a_patient_with_two_scans_stands_where_the_last_one_stands() -> None:
    split = split_patients(["a", "b", "c", "a"], test_count=1)
    assert split == PatientSplit(development=("b", "c"), test=("a",))


@pytest.mark.parametrize("test_count", [3, 4])
def test_too_few_patients_are_one_sentence(test_count: int) -> None:
    with pytest.raises(InputError, match=rf"data.test_count: .*3 patients.*{test_count}"):
        split_patients(["a", "b", "c"], test_count=test_count)


def test_named_test_patients_replace_the_last_ones() -> None:
    split = split_patients(["a", "b", "c"], test_count=1, test_patients=["a"])
    assert split == PatientSplit(development=("b", "c"), test=("a",))
    with pytest.raises(InputError, match=r"data.test_list: .* z"):
        split_patients(["a", "b"], test_count=1, test_patients=["z"])


def test_a_split_is_read_back_as_written(tmp_path: Path) -> None:
    split = PatientSplit(development=("가", "b"), test=("c",))
    save_split(
        tmp_path,
        split,
        {"test": PartSummary(("c",), (0, 1, 0, 0, 1))},
        fingerprint="f",
    )
    require_same_cohort(tmp_path, "f")
    require_same_cohort(tmp_path / "new", "another")
    with pytest.raises(InputError, match=r"\(fingerprint f\), received another one \(g\)"):
        require_same_cohort(tmp_path, "g")
    assert PatientSplit.load(tmp_path / "split.json") == split
    written = json.loads((tmp_path / "split.json").read_text(encoding="utf-8"))
    assert written["parts"]["test"] == {"patients": ["c"], "knees_per_grade": [0, 1, 0, 0, 1]}


@settings(max_examples=10)
@given(
    grades=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=30, max_size=60),
    groups=st.integers(20, 60),
    split_seed=st.integers(0, 99),
)
def test_folds_hold_patients_whole_and_cover_every_development_knee_once(
    grades: list[tuple[int, int]], groups: int, split_seed: int
) -> None:
    patients = tuple(f"p{index % groups:02d}" for index in range(len(grades)))
    cohort = invented_cohort(np.array(grades), patients=patients)
    split = split_patients(patients, test_count=6)
    held_out = []
    for fold in range(5):
        try:
            parts = split_knees(cohort, split, folds=5, fold=fold, split_seed=split_seed)
        except InputError as error:  # a rare grade all of whose knees fell into one fold
            assume("expected every grade" not in str(error))
            raise
        for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
            shared = set(cohort.knee_patients[getattr(parts, one)]) & set(
                cohort.knee_patients[getattr(parts, other)]
            )
            assert not shared
        held_out += parts.validation.tolist()
    development = np.flatnonzero(np.isin(cohort.knee_patients, split.development))
    assert sorted(held_out) == development.tolist()


def test_folds_spread_the_grades_and_do_not_move_with_the_training_seed() -> None:
    cohort = invented_cohort(cycling_grades(100))
    split = split_patients(cohort.patients, test_count=20)
    one = split_knees(cohort, split, folds=5, fold=2, split_seed=0)
    again = split_knees(cohort, split, folds=5, fold=2, split_seed=0)
    other = split_knees(cohort, split, folds=5, fold=2, split_seed=1)
    np.testing.assert_array_equal(one.validation, again.validation)
    assert one.validation.tolist() != other.validation.tolist()
    per_grade = np.bincount(cohort.grades[one.validation], minlength=5)
    assert per_grade.min() >= 5
    assert per_grade.max() <= 8


def test_without_a_fold_all_development_patients_train() -> None:
    cohort = invented_cohort(cycling_grades(30))
    split = split_patients(cohort.patients, test_count=6)
    parts = split_knees(cohort, split, folds=5, fold=None, split_seed=0)
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (48, 0, 12)


def test_a_copy_on_another_part_is_an_error_that_names_both_and_the_ways_on() -> None:
    """Knees 59 and 0 are the left of scan 30 and the right of scan 1; 2 and 3 are of scan 2."""
    copied = np.array([[59, 0], [59, 2]])
    cohort = replace(invented_cohort(cycling_grades(30)), copies=copied)
    split = split_patients(cohort.patients, test_count=6)
    named = (
        r"0000030 left \(test\) of 0000001 right \((train|validation)\), .*of 0000002 right "
        r".*data\.groups .*data\.exclude"
    )
    with pytest.raises(InputError, match=named):
        split_knees(cohort, split, folds=5, fold=0, split_seed=0)


def test_a_copy_of_the_same_patient_or_on_the_same_part_does_not_stop() -> None:
    patients = ("A", *(f"p{scan:02d}" for scan in range(1, 29)), "A")
    grouped = invented_cohort(cycling_grades(30), patients=patients)
    alone = invented_cohort(cycling_grades(30))
    for cohort, pair in ((grouped, (59, 0)), (alone, (59, 57))):
        copied = replace(cohort, copies=np.array([pair]))
        split = split_patients(copied.patients, test_count=6)
        split_knees(copied, split, folds=5, fold=0, split_seed=0)


def test_a_patient_on_two_parts_is_an_error() -> None:
    cohort = invented_cohort(cycling_grades(30))
    split = split_patients(cohort.patients, test_count=6)
    broken = PatientSplit(development=split.development, test=(*split.test, split.development[0]))
    with pytest.raises(InputError, match="each patient on one part, received 0000001"):
        split_knees(cohort, broken, folds=5, fold=0, split_seed=0)


def test_a_grade_that_only_the_validation_side_has_is_an_error() -> None:
    grades = np.zeros((30, 2), dtype=np.int64)
    grades[3] = 4
    cohort = invented_cohort(grades)
    split = split_patients(cohort.patients, test_count=6)
    outcomes = []
    for fold in range(5):
        try:
            split_knees(cohort, split, folds=5, fold=fold, split_seed=0)
        except InputError as error:
            outcomes.append(str(error))
    assert len(outcomes) == 1
    assert "4 (severe)" in outcomes[0]


def test_a_grade_absent_from_a_side_is_a_warning() -> None:
    cohort = invented_cohort(np.zeros((30, 2), dtype=np.int64))
    split = split_patients(cohort.patients, test_count=6)
    parts = split_knees(cohort, split, folds=5, fold=0, split_seed=0)
    sentences = grade_warnings(part_summaries(cohort, parts))
    assert len(sentences) == 3
    assert all("1 (minimal), 2 (mild)" in sentence for sentence in sentences)


def test_more_folds_than_patients_is_one_sentence() -> None:
    cohort = invented_cohort(cycling_grades(8))
    split = split_patients(cohort.patients, test_count=4)
    with pytest.raises(InputError, match=r"data.folds: expected at most 4.*received 5"):
        split_knees(cohort, split, folds=5, fold=0, split_seed=0)


@pytest.mark.parametrize(("part", "empty"), [("test", slice(24, 30)), ("train", slice(0, 24))])
def test_a_part_without_graded_knees_is_one_sentence(part: str, empty: slice) -> None:
    """Such as test patients that are all unspecified: found before hours are spent on training."""
    whole = invented_cohort(cycling_grades(30))
    kept = np.flatnonzero(~np.isin(whole.scan_index, np.arange(30)[empty]))
    cohort = replace(
        whole,
        crops=whole.crops[kept],
        grades=whole.grades[kept],
        scan_index=whole.scan_index[kept],
        side_index=whole.side_index[kept],
    )
    split = split_patients(cohort.patients, test_count=6)
    with pytest.raises(InputError, match=f"graded knees on the {part} part, received none"):
        split_knees(cohort, split, folds=5, fold=None, split_seed=0)


def patients_of(cohort: Cohort, knees: NDArray[np.int64]) -> set[str]:
    return set(cohort.knee_patients[knees].tolist())


@pytest.mark.parametrize("fold", [0, 3, None])
def test_shares_train_nested_patients_and_leave_the_other_parts_alone(fold: int | None) -> None:
    cohort = invented_cohort(cycling_grades(100), patients=tuple(f"p{i // 2}" for i in range(100)))
    split = split_patients(cohort.patients, test_count=10)

    def parts(share: float, split_seed: int = 0) -> Parts:
        seed = split_seed
        return split_knees(cohort, split, folds=5, fold=fold, split_seed=seed, share=share)

    whole = parts(1.0)
    smaller = patients_of(cohort, whole.train[:0])
    for share in (0.25, 0.5, 0.75, 1.0):
        some = parts(share)
        np.testing.assert_array_equal(some.validation, whole.validation)
        np.testing.assert_array_equal(some.test, whole.test)
        trained = patients_of(cohort, some.train)
        assert smaller < trained <= patients_of(cohort, whole.train)
        assert len(trained) == round(share * len(patients_of(cohort, whole.train)))
        with_all_knees = np.isin(cohort.knee_patients, sorted(trained))
        np.testing.assert_array_equal(some.train, np.flatnonzero(with_all_knees))
        smaller = trained
    np.testing.assert_array_equal(parts(1.0).train, whole.train)
    np.testing.assert_array_equal(parts(0.5).train, parts(0.5).train)
    assert parts(0.5).train.tolist() != parts(0.5, 1).train.tolist()


def test_a_share_has_patients_of_every_worst_grade() -> None:
    grades = np.zeros((120, 2), dtype=np.int64)
    for grade, every in ((1, 3), (2, 7), (3, 10), (4, 20)):
        grades[::every, 1] = grade
    cohort = invented_cohort(grades)
    split = split_patients(cohort.patients, test_count=20)
    whole, some = (
        split_knees(cohort, split, folds=5, fold=1, split_seed=4, share=share)
        for share in (1.0, 0.3)
    )
    knees, fewer = (np.bincount(cohort.grades[each.train], minlength=5) for each in (whole, some))
    assert (np.abs(fewer - 0.3 * knees) <= 2).all()
    assert fewer.min() > 0


def test_a_share_that_lacks_a_grade_is_a_sentence_that_names_the_share() -> None:
    cohort = invented_cohort(cycling_grades(30))
    split = split_patients(cohort.patients, test_count=6)
    for fold in (0, None):
        with pytest.raises(InputError, match=r"training part, it lacks .*larger data\.share than"):
            split_knees(cohort, split, folds=5, fold=fold, split_seed=0, share=0.01)
