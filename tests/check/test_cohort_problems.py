"""Problems of scans beside each other."""

from dataclasses import replace

import numpy as np

from djd.check.cohort_problems import Choices, checked, copy_problems, faint_problems
from djd.check.kinds import MISPLACED
from djd.check.looks import Look
from djd.check.problems import Problem, suspicion, worst_first
from djd.check.scan_problems import odd_images
from djd.data.crop import Views
from djd.data.oddities import MISSING_POSTERIOR
from tests.invented import cycling_grades, invented_cohort

LOOK = Look(
    levels=(4.0, 4.0),
    black=50.0,
    upside_down=(False, False),
    body=True,
    swapped=False,
    mirrored=False,
    oddities=(),
    doubts=((), ()),
    misplaced=(None, None),
    unknown_names=(None, None),
    phantom=False,
    picture="a.png",
)


def looks(levels: list[tuple[float, float]]) -> dict[str, Look]:
    return {f"{index}": replace(LOOK, levels=each) for index, each in enumerate(levels)}


def test_a_view_with_far_fewer_counts_than_the_others_is_faint() -> None:
    rng = np.random.default_rng(0)
    ordinary = [(4 * each, 3 * each) for each in np.exp(rng.normal(0, 0.2, 60)).tolist()]
    assert list(faint_problems(looks(ordinary))) == []
    (one,) = faint_problems(looks([*ordinary, (0.3, 3.0)]))
    assert one.scan == "60"
    assert one.what.startswith("anterior: 7")
    (both,) = faint_problems(looks([*ordinary, (0.3, 0.2)]))
    assert both.what.startswith("anterior and posterior: ")


def test_equal_scans_make_two_fifths_of_the_counts_faint_and_few_scans_none() -> None:
    equal = [(4.0, 4.0)] * 9
    assert list(faint_problems(looks([*equal, (1.7, 4.0)]))) == []
    assert len(list(faint_problems(looks([*equal, (1.5, 4.0)])))) == 1
    assert list(faint_problems(looks([(4.0, 4.0)] * 6 + [(0.1, 0.1)]))) == []


def test_odd_images_are_a_problem_a_kind_and_one_without_a_name_is_kept() -> None:
    cut = "cut off or blank at a knee"
    oddities = (
        *(f"anterior page {cut}", f"posterior page {cut}", "posterior page empty"),
        *("the same image on both pages", "upside down, or without the upper half"),
        "something new",
    )
    found = odd_images("1", replace(LOOK, oddities=oddities), "each")
    assert [(each.kind.name, each.what) for each in found] == [
        (cut, "anterior page and posterior page"),
        ("empty view", "posterior page"),
        ("the same image on both pages", "the same image on both pages"),
        ("odd image", "something new"),
    ], "what is upside down is seen in the look"


def test_a_missing_view_stops_a_training_on_both_and_none_on_the_anterior_one() -> None:
    cohort = invented_cohort(cycling_grades(12))
    there = dict.fromkeys(cohort.scans, LOOK)
    there["0000001"] = replace(LOOK, oddities=(MISSING_POSTERIOR,))
    expected: dict[Views, bool] = {"each": True, "both": True, "anterior": False}
    for views, stops in expected.items():
        (found,) = checked(cohort, there, Choices(views=views, test_count=2)).problems
        assert (found.kind.name, found.scan) == ("posterior view missing", "0000001")
        assert found.stops == stops


def test_a_scan_that_is_seen_and_has_no_grades_is_not_called_unreadable() -> None:
    cohort = invented_cohort(cycling_grades(12))
    cohort = replace(cohort, unreadable={"0000001": "a", "0000002": "b"})
    found = checked(cohort, {"0000001": LOOK}, Choices(test_count=2)).problems
    assert {each.scan: each.kind.name for each in found} == {
        "0000001": "no grades",
        "0000002": "unreadable",
    }
    assert all(each.stops for each in found)


def test_the_problems_of_a_scan_name_the_right_knee_first() -> None:
    knees = [Problem(MISPLACED, "a", "1", "left"), Problem(MISPLACED, "b", "1", "right")]
    assert [each.side for each in worst_first(knees)] == ["right", "left"]


def test_an_empty_view_is_not_compared() -> None:
    assert list(faint_problems(looks([(4.0, 0.0)] * 12))) == []


def test_a_phantom_among_scans_is_named_and_a_folder_of_phantoms_is_not() -> None:
    cohort = replace(invented_cohort(cycling_grades(12)), phantom=False)
    names = cohort.scans
    mixed = {name: replace(LOOK, phantom=name == names[3]) for name in names}
    found = checked(cohort, mixed, Choices(test_count=2)).problems
    assert [(each.kind.name, each.scan) for each in found] == [("phantom among scans", names[3])]
    invented = {name: replace(LOOK, phantom=True) for name in names}
    assert checked(cohort, invented, Choices(test_count=2)).problems == []


def test_a_mirrored_copy_says_so_and_one_of_ungraded_scans_is_found() -> None:
    cohort = invented_cohort(cycling_grades(4))
    pairs = np.array([[2, 1], [3, 0], [6, 0]])
    digests = {**cohort.pixel_digests, "0000009": "same", "0000008": "same"}
    copied = replace(cohort, copies=pairs, pixel_digests=digests)
    what = {each.scan: each.what for each in copy_problems(copied)}
    assert what == {
        "0000002": "0000001: the same noise in the counts, mirrored, or right and left knee "
        "exchanged",
        "0000004": "0000001: the same noise in the counts, with other grades",
        "0000008": "0000009: the same pixels",
    }


def test_what_stops_training_is_the_most_suspicious() -> None:
    cohort = replace(
        invented_cohort(cycling_grades(12)),
        unreadable={"0000002": "a"},
        pixel_digests={"0000001": "b"},
    )
    found = checked(cohort, {}, Choices(test_count=2)).problems
    assert found[0].scan == "0000002"
    assert suspicion(found[:1]) > suspicion([])
    assert checked(cohort, {}, Choices(test_count=2)).stops
    assert not checked(cohort, {}, Choices(on_error="skip", test_count=2)).stops
