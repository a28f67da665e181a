from dataclasses import replace

import numpy as np
import pytest

from djd.statistics.bootstrap import draw_patients
from djd.statistics.held_out import HeldOut
from djd.statistics.intervals import Estimate
from djd.statistics.metrics import auroc, score_table
from djd.statistics.scoring import score_settings_draws, scores_alone, scores_with_intervals
from tests.statistics.invented_readers import reader, together

WEIGHTS = {patients: draw_patients(patients, draws=400) for patients in (1, 20)}


def scores_of(setting: HeldOut) -> dict[str, Estimate]:
    weights = WEIGHTS[setting.patients]
    draws = score_settings_draws([setting], weights)
    return scores_with_intervals(setting, {name: row[0] for name, row in draws.items()}, weights)


def guessing(setting: HeldOut, predicted: np.ndarray) -> HeldOut:
    return replace(setting, predicted=predicted, probabilities=np.eye(5)[predicted])


def test_every_score_is_that_of_the_tables_and_lies_in_its_interval() -> None:
    setting = reader(0)
    scored = scores_of(setting)
    expected = score_table(setting.confusion())
    expected["auroc_any"] = auroc(setting.grades > 0, 1 - setting.probabilities[:, 0])
    for name, value in expected.items():
        assert scored[name].value == pytest.approx(value, nan_ok=True), name
    assert len(scored) == len(expected) + 7
    # All of the minimal knees are found: no draw can tell how sure that is.
    early = scored.pop("early_sensitivity")
    assert early.value == 1
    assert np.isnan(early[1:]).all()
    for name, (value, low, high) in scored.items():
        assert low <= value <= high, name


def test_scores_of_several_seeds_are_their_means_and_no_surer_for_it() -> None:
    one, other = reader(0), reader(1)
    scored = scores_of(together(one, other))
    for name in ("kappa", "accuracy", "macro_f1", "precision_normal", "auroc_any", "brier"):
        mean = (scores_of(one)[name].value + scores_of(other)[name].value) / 2
        assert scored[name].value == pytest.approx(mean), name
    twice, once = scores_of(together(one, one)), scores_of(one)
    for name, (value, *ends) in once.items():
        assert twice[name].value == pytest.approx(value), name
        np.testing.assert_allclose(twice[name][1:], ends, atol=1e-6, err_msg=name)


def test_seeds_that_held_out_other_patients_are_put_together() -> None:
    whole = reader(0)
    halves = [
        replace(
            whole,
            patient=whole.patient[chosen],
            repeat=whole.repeat[chosen],
            grades=whole.grades[chosen],
            predicted=whole.predicted[chosen],
            probabilities=whole.probabilities[chosen],
        )
        for chosen in (whole.patient < 10, whole.patient >= 10)
    ]
    scored = scores_of(together(*halves))
    np.testing.assert_allclose(scored["accuracy"][1:], scores_of(whole)["accuracy"][1:], atol=1e-9)
    assert np.isfinite(scored["kappa"].low)


def test_a_constant_guess_has_a_kappa_of_zero_for_sure() -> None:
    setting = reader(0)
    scored = scores_of(guessing(setting, np.full_like(setting.grades, 2)))
    assert scored["kappa"] == (0, 0, 0)
    assert np.isnan(scored["precision_severe"].value)
    assert scored["recall_mild"].value == 1


def test_where_all_is_right_only_shares_have_an_interval() -> None:
    setting = reader(0)
    scored = scores_of(guessing(setting, setting.grades))
    for name in ("kappa", "mae", "balanced_accuracy", "macro_f1", "auroc_any", "brier"):
        assert np.isnan(scored[name][1:]).all(), name
    assert 0.8 < scored["accuracy"].low < scored["accuracy"].high == 1


def test_a_grade_that_no_knee_has_is_left_out() -> None:
    setting = reader(0)
    scored = scores_of(replace(setting, grades=np.minimum(setting.grades, 3)))
    assert np.isnan(scored["recall_severe"]).all()
    assert np.isfinite(scored["balanced_accuracy"].value)


def test_one_patient_has_scores_and_intervals_of_shares_alone() -> None:
    scored = scores_of(reader(3, patients=1))
    for name, (_, *ends) in scored.items():
        is_share = name.startswith(("acc", "off", "three_group_acc", "any_", "recall", "precision"))
        assert is_share or np.isnan(ends).all(), name
    assert np.isfinite(scored["accuracy"]).all()


def test_grades_of_one_kind_break_nothing() -> None:
    setting = reader(0)
    for grade in (0, 1, 4):
        scored = scores_of(replace(setting, grades=np.full_like(setting.grades, grade)))
        assert np.isfinite(scored["accuracy"].value)
        assert np.isnan(scored["auroc_any"].value)


@pytest.mark.parametrize("setting", [reader(1), together(reader(1), reader(2, skill=0.9))])
def test_scores_alone_are_the_same_without_intervals(setting: HeldOut) -> None:
    weights = draw_patients(setting.patients, draws=50)
    draws = {name: rows[0] for name, rows in score_settings_draws([setting], weights).items()}
    whole = scores_with_intervals(setting, draws, weights)
    alone = scores_alone(setting)
    assert list(alone) == list(whole)
    assert alone == pytest.approx({name: each.value for name, each in whole.items()}, nan_ok=True)
