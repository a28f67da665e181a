import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from djd.statistics.bootstrap import auroc_draws, draw_patients, sensitivity_draws
from djd.statistics.held_out import HeldOut
from tests.statistics.invented_readers import reader


@pytest.fixture(params=[2, 9], ids=["many ties", "few ties"])
def knees(request: pytest.FixtureRequest) -> tuple[HeldOut, np.ndarray]:
    each = reader(4, patients=25, skill=0.3)
    return each, np.round(1 - each.probabilities[:, 0], request.param // 2)


def written_out(each: HeldOut, times: np.ndarray) -> np.ndarray:
    return np.repeat(np.arange(len(each.grades)), times.astype(int)[each.patient])


def test_auroc_of_a_draw_is_that_of_its_knees_written_out(knees) -> None:  # type: ignore[no-untyped-def]
    each, score = knees
    positive = each.grades > 0
    weights = draw_patients(25, draws=30)
    drawn = auroc_draws(positive, score, each.patient, weights)
    for draw, times in enumerate(weights):
        chosen = written_out(each, times)
        assert drawn[draw] == pytest.approx(roc_auc_score(positive[chosen], score[chosen]))


def test_sensitivity_of_a_draw_is_that_of_its_knees_written_out(knees) -> None:  # type: ignore[no-untyped-def]
    each, score = knees
    early = each.grades <= 1
    positive, score, patient = each.grades[early] == 1, score[early], each.patient[early]
    weights = draw_patients(25, draws=30)
    drawn = sensitivity_draws(positive, score, patient, weights)
    for draw, times in enumerate(weights.astype(int)):
        chosen = np.repeat(np.arange(len(score)), times[patient])
        if not 0 < positive[chosen].sum() < len(chosen):
            continue
        false, true, _ = roc_curve(positive[chosen], score[chosen], drop_intermediate=False)
        assert drawn[draw] == pytest.approx(true[false <= 0.1 + 1e-9].max())


def test_without_one_of_the_classes_both_are_undefined() -> None:
    score, patient = np.linspace(0, 1, 6), np.arange(6)
    weights = draw_patients(6, draws=5)
    for positive in (np.zeros(6, dtype=bool), np.ones(6, dtype=bool)):
        assert np.isnan(auroc_draws(positive, score, patient, weights)).all()
        assert np.isnan(sensitivity_draws(positive, score, patient, weights)).all()


def test_a_perfect_and_a_blind_reader() -> None:
    positive, patient = np.arange(20) >= 10, np.arange(20)
    weights = np.ones((1, 20), dtype=np.float32)
    for score, area, found in (
        (positive.astype(float), 1, 1),
        (np.zeros(20), 0.5, 0),
        (1 - positive.astype(float), 0, 0),
    ):
        assert auroc_draws(positive, score, patient, weights)[0] == area
        assert sensitivity_draws(positive, score, patient, weights)[0] == found
