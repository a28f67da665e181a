import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info, threadpool_limits

from djd.data.cohort import Cohort
from djd.data.crop import Views
from djd.data.features import joint_features
from djd.data.split import Parts, split_knees, split_patients
from djd.data.uptake import relative_uptake
from djd.grades import Decide
from djd.statistics.deciding import cuts_of, decided, expected_grade
from djd.statistics.held_out import GradedKnees
from djd.sweeps import baselines, grade_models
from djd.sweeps.baselines import Baseline, fit_baselines
from tests.invented import invented_cohort

Folds = Mapping[tuple[int, int], Parts]


def cohort_with(grades: Sequence[int] | NDArray[np.int64]) -> Cohort:
    """Legs whose joint is the hotter the higher its grade, more or less; two knees a patient."""
    true = np.asarray(grades, dtype=np.int64)
    rng = np.random.default_rng(0)
    crops = rng.poisson(3, (len(true), 2, 128, 128))
    crops[..., 54:66] += 10
    mean, peak = np.exp(0.3 * (true[:, None] + rng.standard_normal((2, len(true), 2))))
    crops[..., 44:85, 40:80] += (15 * mean).astype(int)[..., None, None]
    crops[..., 60:66, 50:56] += (30 * peak).astype(int)[..., None, None]
    return replace(invented_cohort(true.reshape(-1, 2)), crops=crops.astype(np.uint16))


FEATURE_MODELS = dict(baselines._FEATURE_MODELS)
COHORT = cohort_with(np.random.default_rng(1).choice(5, 90, p=(0.3, 0.25, 0.2, 0.15, 0.1)))
SPLIT = split_patients(COHORT.patients, test_count=9)
FOLDS: Folds = {
    (seed, fold): split_knees(COHORT, SPLIT, folds=2, fold=fold, split_seed=seed)
    for seed in (3, 4)
    for fold in (0, 1)
}
ONE_FOLD: Folds = {(3, 0): FOLDS[3, 0]}
DEVELOPMENT = split_knees(COHORT, SPLIT, folds=2, fold=None, split_seed=0)
UPTAKES = relative_uptake(COHORT.crops[:, :1])[:, 0]


def parts(train: Sequence[int], validation: Sequence[int]) -> Folds:
    empty = np.zeros(0, dtype=np.int64)
    return {(0, 0): Parts(np.array(train), np.array(validation, dtype=np.int64), empty)}


def both(cohort: Cohort, folds: Folds, test: Parts | None = None) -> tuple[Baseline, Baseline]:
    majority, uptake, _ = fit_baselines(cohort, folds, views="anterior", test=test)
    assert (majority.name, uptake.name) == ("majority", "uptake")
    return majority, uptake


@cache
def of_one_fold(*, test: bool) -> tuple[Baseline, Baseline]:
    """Of the cohort as it is."""
    return both(COHORT, ONE_FOLD, DEVELOPMENT if test else None)


@cache
def of_all_folds() -> tuple[Baseline, Baseline]:
    """The same, with the test patients."""
    return both(COHORT, FOLDS, DEVELOPMENT)


def held_out(baseline: Baseline) -> GradedKnees:
    (fold,) = baseline.validation.values()
    return fold


def assert_same(one: GradedKnees | None, other: GradedKnees | None) -> None:
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.knees, other.knees)
    np.testing.assert_array_equal(one.predicted, other.predicted)
    np.testing.assert_array_equal(one.probabilities, other.probabilities)


def with_other_knees(
    knees: NDArray[np.int64], *, crops: bool = True, grades: bool = True
) -> Cohort:
    """The cohort with crops emptied or grades turned around for some knees."""
    changed_crops, changed_grades = COHORT.crops.copy(), COHORT.grades.copy()
    if crops:
        changed_crops[knees] = 0
    if grades:
        changed_grades[knees] = 4 - changed_grades[knees]
    return replace(COHORT, crops=changed_crops, grades=changed_grades)


@pytest.fixture
def one_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to choose, where what is held out has its say."""
    monkeypatch.setattr(baselines, "_CANDIDATES", baselines._CANDIDATES[:1])


@pytest.fixture(autouse=True)
def one_model_of_features(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most tests are of uptake: the other models of features would only take time."""
    if "features" not in request.node.name:
        name = "ridge alpha=30"
        monkeypatch.setattr(baselines, "_FEATURE_MODELS", {name: FEATURE_MODELS[name]})


def test_majority_gives_the_training_sides_commonest_grade_and_its_shares() -> None:
    cohort = cohort_with([1, 3, 3, 0, 3, 1, 4, 4, 4, 4])
    majority, _ = both(cohort, parts(train=[0, 1, 2, 3, 4, 5], validation=[6, 7]))
    fold = held_out(majority)
    assert (majority.setting, list(majority.candidates), majority.test) == ("", [""], None)
    assert fold.predicted.tolist() == [3, 3]
    np.testing.assert_allclose(fold.probabilities, [[1 / 6, 2 / 6, 0, 3 / 6, 0]] * 2)


def test_majority_gives_the_lowest_of_equally_common_grades() -> None:
    majority, _ = both(cohort_with([4, 2, 2, 4, 0, 0]), parts([0, 1, 2, 3], [4, 5]))
    assert held_out(majority).predicted.tolist() == [2, 2]


Choice = tuple[float, str | None, tuple[int, ...]]
GRID: dict[str, Choice] = {
    f"C={c:g} class_weight={weight or 'none'} features={features}": (c, weight, measures)
    for c, weight, (features, measures) in product(
        (0.01, 0.1, 1, 10, 100),
        (None, "balanced"),
        (("both", (0, 1)), ("mean", (0,)), ("peak", (1,))),
    )
}


def plain_fit(choice: Choice, train: NDArray[np.int64], knees: NDArray[np.int64]) -> Any:
    """Probabilities of the knees' grades in plain scikit-learn; every grade is trained on."""
    c, weight, measures = choice
    table = UPTAKES[:, measures]
    logistic = LogisticRegression(C=c, class_weight=weight, max_iter=1000)
    with threadpool_limits(1):  # two threads wait for each other longer than they work
        model = make_pipeline(StandardScaler(), logistic).fit(table[train], COHORT.grades[train])
    return model.predict_proba(table[knees])


def plain_kappa(choice: Choice) -> float:
    kappas = []
    for seed in (3, 4):
        folds = [FOLDS[seed, fold] for fold in (0, 1)]
        knees = np.concatenate([each.validation for each in folds])
        predicted = [plain_fit(choice, each.train, each.validation).argmax(1) for each in folds]
        kappas.append(
            cohen_kappa_score(COHORT.grades[knees], np.concatenate(predicted), weights="quadratic")
        )
    return float(np.mean(kappas))


def test_what_every_candidate_graded_is_handed_on() -> None:
    _, uptake = of_one_fold(test=False)
    part = FOLDS[3, 0]
    for name, choice in GRID.items():
        (fold,) = uptake.candidates[name].values()
        np.testing.assert_array_equal(fold.knees, part.validation)
        expected = plain_fit(choice, part.train, part.validation).argmax(axis=1)
        np.testing.assert_array_equal(fold.predicted, expected)


@pytest.mark.slow
def test_uptake_is_the_best_of_a_plain_scikit_learn_grid() -> None:
    _, uptake = of_all_folds()
    kappas = {name: plain_kappa(choice) for name, choice in GRID.items()}
    assert set(uptake.candidates) == set(GRID)
    assert kappas[uptake.setting] == pytest.approx(max(kappas.values()))
    assert list(uptake.validation) == list(FOLDS)
    held_out = [(each.train, each.validation) for each in FOLDS.values()]
    for fold, (train, knees) in zip(uptake.validation.values(), held_out, strict=True):
        np.testing.assert_array_equal(fold.knees, knees)
        expected = plain_fit(GRID[uptake.setting], train, knees)
        np.testing.assert_allclose(fold.probabilities, expected, atol=1e-9)


def test_the_test_patients_are_graded_by_the_choice_fitted_on_all_others() -> None:
    for baseline in of_one_fold(test=True):
        fold = baseline.test
        assert fold is not None
        np.testing.assert_array_equal(fold.knees, DEVELOPMENT.test)
        if baseline.name == "uptake":
            expected = plain_fit(GRID[baseline.setting], DEVELOPMENT.train, DEVELOPMENT.test)
        else:
            counts = np.bincount(COHORT.grades[DEVELOPMENT.train], minlength=5)
            expected = np.tile(counts / len(DEVELOPMENT.train), (len(DEVELOPMENT.test), 1))
        np.testing.assert_allclose(fold.probabilities, expected, atol=1e-9)


def test_the_test_patients_are_left_alone_unless_asked_for() -> None:
    without, with_test = of_one_fold(test=False), of_one_fold(test=True)
    for one, other in zip(without, with_test, strict=True):
        assert one.test is None
        assert one.setting == other.setting
        for fold, same in zip(one.validation.values(), other.validation.values(), strict=True):
            assert_same(fold, same)


def test_the_test_patients_grades_change_nothing_and_their_crops_only_their_own_fold() -> None:
    before = of_one_fold(test=True)
    other_grades = both(with_other_knees(DEVELOPMENT.test, crops=False), ONE_FOLD, DEVELOPMENT)
    other_crops = both(with_other_knees(DEVELOPMENT.test), ONE_FOLD, DEVELOPMENT)
    for one, grades, crops in zip(before, other_grades, other_crops, strict=True):
        assert_same(one.test, grades.test)
        for changed in (grades, crops):
            assert changed.setting == one.setting
            for fold, same in zip(
                one.validation.values(), changed.validation.values(), strict=True
            ):
                assert_same(fold, same)


@pytest.mark.usefixtures("one_candidate")
def test_held_out_knees_have_no_part_in_what_is_said_of_other_knees() -> None:
    some, others = np.split(FOLDS[3, 0].validation, 2)
    for one, other in zip(
        both(COHORT, ONE_FOLD), both(with_other_knees(some), ONE_FOLD), strict=True
    ):
        kept = np.isin(held_out(one).knees, others)
        np.testing.assert_array_equal(
            held_out(one).probabilities[kept], held_out(other).probabilities[kept]
        )


@pytest.mark.usefixtures("one_candidate")
def test_training_knees_do_have_a_part() -> None:
    changed = with_other_knees(FOLDS[3, 0].train[:20])
    for one, other in zip(both(COHORT, ONE_FOLD), both(changed, ONE_FOLD), strict=True):
        assert not np.array_equal(held_out(one).probabilities, held_out(other).probabilities)


@pytest.mark.usefixtures("one_candidate")
@pytest.mark.parametrize(
    ("views", "same"), [("anterior", False), ("posterior", True), ("both", False)]
)
def test_uptake_is_that_of_the_views_that_networks_see(views: Views, same: bool) -> None:
    changed = COHORT.crops.copy()
    changed[:, 0] = 0
    one, other = (
        fit_baselines(replace(COHORT, crops=crops), ONE_FOLD, views=views, test=None)[1]
        for crops in (COHORT.crops, changed)
    )
    for fold, its in zip(one.validation.values(), other.validation.values(), strict=True):
        assert np.array_equal(fold.probabilities, its.probabilities) == same


def test_probabilities_are_shares_and_the_likeliest_grade_is_given() -> None:
    for baseline in of_one_fold(test=True):
        for fold in (*baseline.validation.values(), baseline.test):
            assert fold is not None
            assert (fold.probabilities >= 0).all()
            np.testing.assert_allclose(fold.probabilities.sum(axis=1), 1)
            np.testing.assert_array_equal(fold.predicted, fold.probabilities.argmax(axis=1))
            assert str(fold.predicted.dtype) == "int64"
            assert str(fold.probabilities.dtype) == "float64"


def test_a_grade_that_the_training_side_lacks_is_never_given() -> None:
    cohort = cohort_with([0, 2, 3, 0, 2, 3, 0, 2, 1, 4])
    for baseline in both(cohort, parts(range(8), [8, 9])):
        assert (held_out(baseline).probabilities[:, [1, 4]] == 0).all()
        np.testing.assert_allclose(held_out(baseline).probabilities.sum(axis=1), 1)


@pytest.mark.parametrize("train", [[0, 1, 2], [1]])
def test_a_training_side_of_one_grade_or_knee_teaches_no_more_than_majority(
    train: list[int],
) -> None:
    majority, uptake = both(cohort_with([3, 3, 3, 1, 0, 4]), parts(train, [3, 4, 5]))
    assert_same(held_out(uptake), held_out(majority))
    assert held_out(uptake).predicted.tolist() == [3, 3, 3]


def test_two_knees_that_are_told_apart_without_fault_are_enough() -> None:
    _, uptake = both(cohort_with([0, 4, 0, 4]), parts([0, 1], [2, 3]))
    assert set(held_out(uptake).predicted) <= {0, 4}


@pytest.mark.parametrize("count", [0, 17])
def test_crops_without_contrast_tell_nothing(count: int) -> None:
    flat = replace(COHORT, crops=np.full_like(COHORT.crops, count))
    _, uptake = both(flat, ONE_FOLD)
    for fold in uptake.validation.values():
        np.testing.assert_allclose(fold.probabilities, fold.probabilities[[0]].repeat(36, axis=0))


def test_a_fit_that_is_stopped_early_says_nothing_and_still_predicts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grade_models, "STEPS", 1)
    _, uptake = both(COHORT, ONE_FOLD)
    assert all(np.isfinite(fold.probabilities).all() for fold in uptake.validation.values())


def test_where_nothing_is_held_out_the_plainest_candidate_stands() -> None:
    majority, uptake = both(COHORT, {}, DEVELOPMENT)
    assert uptake.setting == "C=1 class_weight=none features=both"
    assert majority.validation == uptake.validation == {}
    assert uptake.test is not None


def test_the_same_knees_give_the_same_baselines() -> None:
    for one, other in zip(of_one_fold(test=False), both(COHORT, ONE_FOLD), strict=True):
        assert one.setting == other.setting
        assert_same(held_out(one), held_out(other))


def test_other_work_keeps_its_threads() -> None:
    with threadpool_limits(2):
        before = threadpool_info()
        assert {each["num_threads"] for each in before} != {1}
        both(COHORT, ONE_FOLD)
        assert threadpool_info() == before


def test_no_network_library_is_needed() -> None:
    code = (
        "import sys, djd.sweeps.baselines\n"
        "print({'torch', 'lightning', 'sklearn'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"


@pytest.mark.slow
def test_the_best_model_of_features_is_chosen_by_kappa_pooled_over_folds() -> None:
    *_, features = fit_baselines(COHORT, FOLDS, views="both", test=DEVELOPMENT)
    assert (features.name, set(features.candidates)) == ("features", set(FEATURE_MODELS))
    kappas = {}
    for name, folds in features.candidates.items():
        of_seed = [[fold for (each, _), fold in folds.items() if each == seed] for seed in (3, 4)]
        kappas[name] = np.mean(
            [
                cohen_kappa_score(
                    np.concatenate([fold.grades for fold in folds]),
                    np.concatenate([fold.predicted for fold in folds]),
                    weights="quadratic",
                )
                for folds in of_seed
            ]
        )
        for fold in folds.values():
            np.testing.assert_allclose(fold.probabilities.sum(axis=1), 1)
    assert kappas[features.setting] == pytest.approx(max(kappas.values()))
    assert features.test is not None
    np.testing.assert_array_equal(features.test.knees, DEVELOPMENT.test)


def test_a_model_of_features_is_fitted_on_the_training_side_alone() -> None:
    table = joint_features(COHORT.crops[:, :1], COHORT.side_index == 1)[:, 0]
    part = FOLDS[3, 0]
    *_, features = fit_baselines(COHORT, ONE_FOLD, views="anterior", test=None)
    logistic = LogisticRegression(C=0.1, max_iter=1000)
    model = make_pipeline(StandardScaler(), logistic).fit(
        table[part.train], COHORT.grades[part.train]
    )
    (fold,) = features.candidates["logistic C=0.1 class_weight=none"].values()
    np.testing.assert_allclose(
        fold.probabilities, model.predict_proba(table[part.validation]), atol=1e-9
    )


def test_features_of_a_training_side_of_one_grade_teach_no_more_than_majority() -> None:
    some = parts([0, 1, 2], [3, 4])
    majority, _, features = fit_baselines(
        cohort_with([3, 3, 3, 1, 0, 4]), some, views="anterior", test=None
    )
    assert_same(held_out(features), held_out(majority))


def test_two_knees_are_enough_for_every_model_of_features() -> None:
    some = parts([0, 1], [2, 3])
    *_, features = fit_baselines(cohort_with([0, 4, 0, 4]), some, views="both", test=None)
    for folds in features.candidates.values():
        (fold,) = folds.values()
        assert np.isfinite(fold.probabilities).all()
        assert set(fold.predicted) <= {0, 4}


def test_uptake_chooses_among_the_networks_rules_and_shares_never_see_their_own_fold() -> None:
    rules: tuple[Decide, ...] = ("likeliest", "shares")
    _, plain = of_all_folds()
    _, chosen, _ = fit_baselines(COHORT, FOLDS, views="anterior", test=None, rules=rules)
    assert len(chosen.candidates) == 2 * len(plain.candidates)
    for name, folds in plain.candidates.items():
        same, shared = (chosen.candidates[f"{name} decide={rule}"] for rule in rules)
        for place, fold in folds.items():
            assert_same(fold, same[place])
            others = [
                other
                for there, other in folds.items()
                if there[0] == place[0] and there != place  # of the same split
            ]
            (other,) = others
            cuts = cuts_of(expected_grade(other.probabilities), other.grades)
            given = decided(fold.probabilities, "shares", cuts)
            np.testing.assert_array_equal(shared[place].predicted, given)


def test_the_test_patients_get_uptakes_grades_by_the_chosen_rule() -> None:
    uptake = fit_baselines(COHORT, FOLDS, views="anterior", test=DEVELOPMENT, rules=("shares",))[1]
    assert uptake.setting.endswith("decide=shares")
    assert uptake.test is not None
    plain = of_all_folds()[1].candidates
    folds = plain[uptake.setting.removesuffix(" decide=shares")].values()
    expected = np.concatenate([expected_grade(fold.probabilities) for fold in folds])
    cuts = cuts_of(expected, np.concatenate([fold.grades for fold in folds]))
    given = decided(uptake.test.probabilities, "shares", cuts)
    np.testing.assert_array_equal(uptake.test.predicted, given)


def test_the_finer_score_is_that_of_the_candidate_with_the_best_probabilities() -> None:
    """Balanced weights, which kappa may choose, must not let a network beat their probabilities."""
    _, uptake = of_one_fold(test=False)

    def rps(folds: Mapping[Any, GradedKnees]) -> float:
        (fold,) = folds.values()
        reached = np.arange(5) >= fold.grades[:, None]
        return float(((fold.probabilities.cumsum(axis=1) - reached) ** 2).mean())

    assert rps(uptake.finer) == min(map(rps, uptake.candidates.values()))
    assert len({rps(folds) for folds in uptake.candidates.values()}) == len(uptake.candidates)
