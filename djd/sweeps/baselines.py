"""Three baselines for every sweep, fitted on the very folds of its networks.

Majority always gives the commonest grade. Uptake knows only how much a knee takes up relative to
its leg's shafts. Features knows handmade measures of the picture: what people would use in place
of a network. Uptake and features are tuned as networks are: every candidate on every fold, the
best by quadratic kappa of the confusion counts pooled over folds, averaged over split seeds. Where
networks decide by several rules, these choose among the rules too. The best of many looks better
than it is, so the grades of every candidate are kept.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from djd.data.cohort import Cohort
from djd.data.crop import VIEW_INDICES, Views, measured
from djd.data.features import joint_features
from djd.data.split import Parts, PatientSplit
from djd.data.uptake import relative_uptake
from djd.grades import GRADE_COUNT, Decide
from djd.machine import one_blas_thread
from djd.runs.config import RunConfig
from djd.runs.reading import split_cell
from djd.statistics.deciding import cross_fitted, fitted_on
from djd.statistics.held_out import GradedKnees, HeldOut
from djd.statistics.metrics import quadratic_kappa, ranked_probability_score
from djd.sweeps.grade_models import Regressed, extra_trees, fit_and_predict, logistic

BaselineName = Literal["majority", "uptake", "features"]

_Knees = NDArray[np.int64]
_Array = NDArray[np.float64]
_Probabilities = NDArray[np.float64]
_Model = Callable[[_Knees, _Knees], _Probabilities]
"""From the knees to fit on and the knees held out to the grades' probabilities of the latter."""

_MEASURES = {"both": [0, 1], "mean": [0], "peak": [1]}
# Inverse penalty (scikit-learn's C), class weight and features of each uptake model. The plainest
# candidate comes first: it wins ties, and stands where nothing was held out.
_CANDIDATES = tuple(product((1.0, 0.1, 10.0, 0.01, 100.0), ("none", "balanced"), _MEASURES))
# Of features, likewise: the plainest first.
_FEATURE_MODELS: dict[str, Callable[[], Any]] = {
    **{f"ridge alpha={a:g}": partial(Regressed, "ridge", a) for a in (30.0, 10.0, 100.0)},
    **{
        f"logistic C={c:g} class_weight={weight}": partial(logistic, c, weight)
        for c, weight in product((0.1, 0.03, 0.3), ("none", "balanced"))
    },
    **{f"support vectors C={c:g}": partial(Regressed, "support vectors", 1 / c) for c in (1, 3)},
    "extra trees": extra_trees,
}


_ITS_OWN: tuple[Decide, ...] = ("likeliest",)  # majority's rule

Place = tuple[int, int | None]
"""Split seed and fold of held-out knees; (0, None) of the test patients."""


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline, as the best of its candidates.

    Attributes:
        setting: The chosen candidate, such as "C=1 class_weight=balanced features=both"; empty for
            majority.
        candidates: The held-out folds of every candidate, by its name and by place.
        test: The test patients, graded by the chosen candidate; None where they stay closed.
    """

    name: BaselineName
    setting: str
    candidates: Mapping[str, Mapping[Place, GradedKnees]]
    test: GradedKnees | None = None

    @property
    def validation(self) -> Mapping[Place, GradedKnees]:
        """The held-out folds of the chosen candidate."""
        return self.candidates[self.setting]

    @property
    def finer(self) -> Mapping[Place, GradedKnees]:
        """The held-out folds of the candidate with the least ranked probability score.

        Kappa may choose balanced class weights, which make probabilities worse: a network would
        seem to beat them where it knows no more than the grades' shares.
        """
        return min(self.candidates.values(), key=_mean_rps)


@dataclass(frozen=True, eq=False)
class KeptBaseline:
    """A `Baseline` as its folder has it.

    Attributes:
        basis: See `basis_of`.
        repeats: Held-out knees of each split seed, all folds together.
        candidates: int64 (candidate, knee), 0 to 4: grades that each candidate gave the knees of
            all repeats, one repeat after the other.
        finer: As `repeats`, of the candidate with the least ranked probability score; earlier
            versions left none.
    """

    name: str
    setting: str
    basis: Mapping[str, Any]
    repeats: tuple[HeldOut, ...]
    candidates: NDArray[np.int64]
    test: HeldOut | None
    finer: tuple[HeldOut, ...] = ()


def fit_baselines(
    cohort: Cohort,
    parts: Mapping[tuple[int, int], Parts],
    *,
    views: Views,
    test: Parts | None,
    rules: Sequence[Decide] = ("likeliest",),
) -> tuple[Baseline, ...]:
    """Fit majority, uptake and features on every training side, and predict the held-out knees.

    Models, and the features' mean and deviation, are fitted on the training side alone. Where a
    training side has a single grade, all guess as majority does.

    Args:
        cohort: The knees.
        parts: The networks' parts by split seed and fold; no training side is empty. Without
            parts the plainest candidate stands.
        views: The networks' views.
        test: Test patients, who have no say in the choice; None leaves them unscored.
        rules: By which uptake and features may decide. Majority has its own.
    """
    for module in ("linear_model", "ensemble", "svm"):
        import_module(f"sklearn.{module}")  # limits reach only the libraries that are loaded
    grades = cohort.grades
    uptakes, joints = _measures(cohort, VIEW_INDICES[views])
    models: dict[BaselineName, dict[str, _Model]] = {
        "majority": {"": partial(_grade_shares, grades)},
        "uptake": {},
        "features": {},
    }
    for c, weight, measures in _CANDIDATES:
        features = uptakes[..., _MEASURES[measures]].reshape(len(uptakes), -1)
        name = f"C={c:g} class_weight={weight} features={measures}"
        models["uptake"][name] = partial(_fitted, partial(logistic, c, weight), features, grades)
    for name, make in _FEATURE_MODELS.items():
        models["features"][name] = partial(_fitted, make, joints, grades)
    # Threads of the linear algebra wait for each other longer than they work: on two busy cores
    # the fits for 205 patients and 15 folds took up to 40 s instead of 2.
    with one_blas_thread():
        return tuple(
            _best_of(name, each, grades, parts, test, _ITS_OWN if name == "majority" else rules)
            for name, each in models.items()
        )


def _measures(cohort: Cohort, views: list[int]) -> tuple[_Array, _Array]:
    """Uptake (knee, view, measure 2) and handmade features (knee, feature) of all knees."""

    def crops(knees: _Knees) -> NDArray[np.uint16]:
        return cohort.crops[knees[:, None], views]

    def joints(knees: _Knees) -> _Array:
        found = joint_features(crops(knees), cohort.side_index[knees] == 1)
        return found.reshape(len(knees), found.shape[1] * found.shape[2])

    every = np.arange(len(cohort))
    return measured(lambda knees: relative_uptake(crops(knees)), every), measured(joints, every)


def _best_of(
    name: BaselineName,
    models: Mapping[str, _Model],
    grades: NDArray[np.int64],
    parts: Mapping[tuple[int, int], Parts],
    test: Parts | None,
    rules: Sequence[Decide],
) -> Baseline:
    fitted = {each: _on_folds(model, grades, parts) for each, model in models.items()}
    named = {_named(each, rule, rules): (each, rule) for rule in rules for each in models}
    candidates = {each: _decided(fitted[model], rule) for each, (model, rule) in named.items()}
    best = max(candidates, key=lambda each: _rank(candidates[each]))
    model, rule = named[best]
    tested = _on_test(models[model], grades, test)
    if tested:
        known = [(fold.probabilities, fold.grades) for fold in fitted[model].values()]
        tested = replace(tested, decision=fitted_on(rule, known))
    return Baseline(name, best, candidates, tested)


def _named(name: str, rule: Decide, rules: Sequence[Decide]) -> str:
    return name if list(rules) == ["likeliest"] else f"{name} decide={rule}"


def _decided(folds: Mapping[Place, GradedKnees], rule: Decide) -> dict[Place, GradedKnees]:
    """The folds by a rule, which the other folds of a split fit where it has to be fitted."""
    decided: dict[Place, GradedKnees] = {}
    for split_seed in dict.fromkeys(place[0] for place in folds):
        same = {place: fold for place, fold in folds.items() if place[0] == split_seed}
        known = [(fold.probabilities, fold.grades) for fold in same.values()]
        for (place, fold), decision in zip(same.items(), cross_fitted(rule, known), strict=True):
            decided[place] = replace(fold, decision=decision)
    return decided


def basis_of(
    configs: Sequence[RunConfig], rules: Sequence[Decide] = ("likeliest",)
) -> dict[str, Any]:
    """What a setting's cells share with its baselines, as in JSON.

    Views, folds and held-out sets; the crop, the rules to decide by and the share of the patients,
    where they are others than those of earlier versions.
    """
    data = [config.data for config in configs]
    held_out = {(each.split_seed, each.fold) for each in data if each.fold is not None}
    folds = [list(each) for each in sorted(held_out)]
    basis: dict[str, Any] = {"views": data[0].views, "folds": data[0].folds, "held_out": folds}
    basis |= {} if data[0].share == 1 else {"share": data[0].share}
    basis |= {} if data[0].crop == "study" else {"crop": data[0].crop}
    return basis if list(rules) == ["likeliest"] else {**basis, "decide": list(rules)}


def fit_to(
    configs: Sequence[RunConfig],
    cohort: Cohort,
    split: PatientSplit,
    *,
    opens_test: bool,
    rules: Sequence[Decide] = ("likeliest",),
) -> tuple[Baseline, ...]:
    """Fit the baselines on the folds and views of a setting, by the configurations of its cells.

    Raises:
        InputError: The split is not as expected.
    """
    by_fold = {(config.data.split_seed, config.data.fold): config for config in configs}
    parts = {
        (split_seed, fold): split_cell(by_fold[split_seed, fold], cohort, split, fold=fold)
        for split_seed, fold in basis_of(configs)["held_out"]
    }
    test = split_cell(configs[0], cohort, split, fold=None) if opens_test else None
    return fit_baselines(cohort, parts, views=configs[0].data.views, test=test, rules=rules)


def plainest(
    uptake: NDArray[np.floating], grades: NDArray[np.int64], fresh: NDArray[np.floating]
) -> dict[BaselineName, _Probabilities]:
    """Majority and the plainest candidate of uptake on knees of other patients.

    Args:
        uptake: (training knee, measure), all measures of all views.
        grades: int64 (training knee,), 0 to 4.
        fresh: (knee, measure), of the knees to grade.

    Returns:
        float64 (knee, grade 5) by name.
    """
    c, weight, _ = _CANDIDATES[0]
    features = np.concatenate([uptake, fresh]).astype(np.float64)
    train, knees = np.split(np.arange(len(features)), [len(uptake)])
    with one_blas_thread():
        graded = _fitted(partial(logistic, c, weight), features, grades, train, knees)
    return {"majority": _grade_shares(grades, train, knees), "uptake": graded}


def _on_folds(
    model: _Model, grades: NDArray[np.int64], parts: Mapping[tuple[int, int], Parts]
) -> dict[Place, GradedKnees]:
    folds: dict[Place, GradedKnees] = {}
    for place, each in parts.items():
        knees = each.validation
        folds[place] = GradedKnees(knees, grades[knees], model(each.train, knees))
    return folds


def _on_test(model: _Model, grades: NDArray[np.int64], parts: Parts | None) -> GradedKnees | None:
    if parts is None:
        return None
    return GradedKnees(parts.test, grades[parts.test], model(parts.train, parts.test))


def _rank(folds: Mapping[Place, GradedKnees]) -> float:
    """Kappa pooled over folds and averaged over split seeds, as networks are chosen by."""
    pooled: dict[int, NDArray[np.int64]] = {}
    for (split_seed, _), fold in folds.items():
        counts = pooled.setdefault(split_seed, np.zeros((GRADE_COUNT,) * 2, dtype=np.int64))
        counts += fold.counts
    kappas = [float(quadratic_kappa(counts)) for counts in pooled.values()]
    kappa = float(np.mean(kappas)) if kappas else math.nan
    return -math.inf if math.isnan(kappa) else kappa


def _mean_rps(folds: Mapping[Place, GradedKnees]) -> float:
    scores = [ranked_probability_score(fold.grades, fold.probabilities) for fold in folds.values()]
    return float(np.concatenate(scores).mean()) if scores else 0.0


def _grade_shares(grades: NDArray[np.int64], train: _Knees, knees: _Knees) -> _Probabilities:
    """The training side's share of each grade, for every knee held out."""
    shares = np.bincount(grades[train], minlength=GRADE_COUNT) / len(train)
    return np.tile(shares, (len(knees), 1))


def _fitted(
    make: Callable[[], Any],
    features: NDArray[np.float64],
    grades: NDArray[np.int64],
    train: _Knees,
    knees: _Knees,
) -> _Probabilities:
    """See `fit_and_predict`; the grades' shares where there is nothing to learn or to predict."""
    if not len(knees) or len(np.unique(grades[train])) < 2:
        return _grade_shares(grades, train, knees)
    return fit_and_predict(make, features, grades, train, knees)
