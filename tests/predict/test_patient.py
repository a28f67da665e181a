"""Both knees of a patient, in sentences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from djd.errors import InputError
from djd.predict.patient import disease_cut, patient_sentences, worse_side

SURE = np.eye(5)
SHARES = st.floats(0, 1, allow_nan=False)


@given(arrays(np.float64, st.integers(1, 60), elements=SHARES), st.floats(0.01, 1))
def test_a_cut_keeps_the_asked_share_of_normal_knees_and_no_lower_cut_does(
    normals: np.ndarray, specificity: float
) -> None:
    cut = disease_cut(normals, specificity)
    assert (normals < cut.probability).mean() >= specificity - 1e-9
    lower = np.nextafter(cut.probability, -1)
    assert (normals < lower).mean() < specificity
    assert cut.normals == len(normals)


@pytest.mark.parametrize("specificity", [0, -1, 1.01, float("nan")])
def test_a_specificity_that_is_no_share_is_refused(specificity: float) -> None:
    with pytest.raises(InputError, match="specificity: expected a share"):
        disease_cut(np.array([0.1]), specificity)


def test_without_normal_knees_there_is_no_cut() -> None:
    with pytest.raises(InputError, match="received none"):
        disease_cut(np.zeros(0), 0.9)


def test_the_worse_knee_has_the_larger_expected_grade() -> None:
    assert worse_side(SURE[[1, 3]]) == "left"
    assert worse_side(SURE[[3, 1]]) == "right"
    assert worse_side(SURE[[2, 2]]) == "right"


def test_knees_of_two_grades_are_named_and_their_distance_where_it_is_large() -> None:
    assert patient_sentences(SURE[[0, 3]], [0, 3]) == [
        "The left knee is the worse one: moderate, the right one normal",
        "The knees are unlike: 3.0 grades apart",
    ]


def test_knees_of_one_grade_are_told_apart_by_their_expected_grades() -> None:
    probabilities = np.array([[0.0, 0.6, 0.4, 0, 0], [0.1, 0.8, 0.1, 0, 0]])
    assert patient_sentences(probabilities, [1, 1]) == [
        "Both knees are graded minimal, the right one with the higher expected grade "
        "(1.4 against 1.0)"
    ]


def test_knees_that_are_alike_have_one_expected_grade() -> None:
    assert patient_sentences(SURE[[2, 2]], [2, 2]) == [
        "Both knees are graded mild (expected grade 2.0)"
    ]


@pytest.mark.parametrize(
    ("chances", "words"),
    [
        ((0.2, 0.1), "Neither knee counts as diseased"),
        ((0.2, 0.9), "The left knee counts as diseased"),
        ((0.9, 0.8), "Both knees count as diseased"),
    ],
)
def test_a_knee_counts_as_diseased_from_the_cut_on(
    chances: tuple[float, float], words: str
) -> None:
    cut = disease_cut(np.linspace(0, 0.5, 11), 0.9)  # ten of eleven are at most 0.45
    probabilities = np.array([[1 - chance, chance, 0, 0, 0] for chance in chances])
    said = patient_sentences(probabilities, [int(chance > 0.5) for chance in chances], cut)[-1]
    assert said == (
        f"{words} (minimal or worse) at a specificity of 90 %, which asks for a probability of 45 %"
    )
