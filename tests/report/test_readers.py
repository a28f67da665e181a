import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, cohen_kappa_score

from djd.data.tables import Readings
from djd.grades import SIDES
from djd.report.headline import reader_sentences
from djd.report.scores import Agreement, agreement
from djd.statistics.bootstrap import draw_patients, score_draws
from djd.statistics.intervals import percentile_interval
from djd.statistics.metrics import confusion_counts, quadratic_kappa
from djd.sweeps.setting_scores import Knee


def knees_with(grades: Sequence[int]) -> list[Knee]:
    """Two knees a scan, two scans a patient."""
    return [
        (f"{place // 2:07d}", SIDES[place % 2], f"p{place // 4:02d}", grade)
        for place, grade in enumerate(grades)
    ]


def read_as(knees: Sequence[Knee], given: Sequence[int | None]) -> Readings:
    return {
        (scan, "left" if side == "left" else "right"): grade
        for (scan, side, _, _), grade in zip(knees, given, strict=True)
        if grade is not None
    }


def noisy(grades: Sequence[int], seed: int = 0) -> list[int]:
    noise = np.random.default_rng(seed).integers(-1, 2, len(grades))
    return np.clip(np.array(grades) + noise, 0, 4).tolist()  # type: ignore[no-any-return]


MANY = np.random.default_rng(7).integers(0, 5, 160).tolist()


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.integers(0, 4), st.none() | st.integers(0, 4)), min_size=1, max_size=40)
)
def test_kappa_and_accuracy_are_scikit_learns_on_the_knees_both_graded(
    pairs: list[tuple[int, int | None]],
) -> None:
    knees = knees_with([grade for grade, _ in pairs])
    found = agreement(read_as(knees, [given for _, given in pairs]), knees)
    shared = [(grade, given) for grade, given in pairs if given is not None]
    if not shared:
        assert found is None
        return
    assert found
    truth, reader = zip(*shared, strict=True)
    assert (found.knees, found.asked) == (len(shared), len(pairs))
    patients = {knee[2] for knee, (_, given) in zip(knees, pairs, strict=True) if given is not None}
    assert found.patients == len(patients)
    assert found.scores["accuracy"].value == pytest.approx(accuracy_score(truth, reader))
    if len({*truth, *reader}) == 1:
        assert np.isnan(found.scores["kappa"].value)
    else:
        expected = cohen_kappa_score(truth, reader, weights="quadratic", labels=range(5))
        assert found.scores["kappa"].value == pytest.approx(expected)


def test_a_patients_knees_are_drawn_together() -> None:
    knees, given = knees_with(MANY), noisy(MANY)
    found = agreement(read_as(knees, given), knees)
    assert found
    counts = np.array(
        [
            confusion_counts(np.array(MANY[at : at + 4]), np.array(given[at : at + 4]))
            for at in range(0, len(MANY), 4)
        ]
    )
    draws = score_draws(draw_patients(40), counts[None], {"kappa": quadratic_kappa})["kappa"][0]
    assert found.scores["kappa"][1:] == percentile_interval(draws, 40)
    assert found.scores["kappa"].low < found.scores["kappa"].value < found.scores["kappa"].high
    assert (
        found.scores["accuracy"].low
        < found.scores["accuracy"].value
        < found.scores["accuracy"].high
    )


def test_a_reader_of_other_knees_has_no_agreement() -> None:
    knees = knees_with([0, 1, 2, 3])
    assert agreement({("other", "right"): 1}, knees) is None
    assert agreement({("0000000", "right"): 1}, []) is None


def agreements(
    readings: Readings, held_out: Sequence[Knee], test: Sequence[Knee]
) -> dict[str, Agreement]:
    found = {"out of fold": agreement(readings, held_out), "test": agreement(readings, test)}
    return {part: each for part, each in found.items() if each}


def test_the_agreement_is_told_for_held_out_and_test_knees() -> None:
    knees = knees_with(MANY)
    given: list[int | None] = [*noisy(MANY)]
    given[:8] = [None] * 8
    reader = agreements(read_as(knees, given), knees[:80], knees[80:])
    held_out, test, meaning = reader_sentences(reader)
    figures = r"kappa 0\.\d\d \(0\.\d\d to 0\.\d\d\), accuracy \d\d % \(\d\d to \d\d\)"
    said = "A second reader agrees with the grades at"
    assert re.fullmatch(
        rf"{said} {figures} on 72 of the 80 held-out knees \(18 patients; 95 % intervals\)",
        held_out,
    )
    assert re.fullmatch(
        rf"{said} {figures} on 80 of the 80 test knees \(20 patients; 95 % intervals\)", test
    )
    assert meaning.startswith("A network that reaches this agrees with the grades as well as")


def test_where_there_is_no_reader_or_no_shared_knee_the_words_say_so() -> None:
    assert reader_sentences(None) == []
    assert reader_sentences({}) == ["The second reader graded none of these knees"]


def test_a_kappa_that_is_undefined_is_said_to_be() -> None:
    knees = knees_with([2] * 8)
    reader = agreements(read_as(knees, [2] * 8), knees, [])
    told = reader_sentences(reader)[0]
    assert "an undefined kappa, since all knees have one grade, and accuracy 100 %" in told
    assert "nan" not in told
