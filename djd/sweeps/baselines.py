"""Two humble baselines for every sweep, fitted on the very folds of its networks.

Majority always gives the commonest grade. Uptake knows only how much a knee takes up relative to
its leg's shafts. Uptake is tuned as networks are: every candidate on every fold, the best by
quadratic kappa of the confusion counts pooled over folds, averaged over split seeds. Where networks
decide by several rules, uptake chooses among these too. The best of many looks better than it is,
so the grades of every candidate are kept.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from djd.data.cohort import Cohort
from djd.data.crop import VIEW_INDICES, Views
from djd.data.split import Parts, PatientSplit
from djd.data.uptake import relative_uptake
from djd.grades import GRADE_COUNT, Decide
from djd.machine import one_blas_thread
from djd.runs.config import RunConfig
from djd.runs.reading import split_cell
from djd.statistics.deciding import Decision, cross_fitted
from djd.statistics.held_out import GradedKnees, HeldOut
from djd.statistics.metrics import quadratic_kappa

BaselineName = Literal["majority", "uptake"]

_Knees = NDArray[np.int64]
_Probabilities = NDArray[np.float64]
_Model = Callable[[_Knees, _Knees], _Probabilities]
"""From the knees to fit on and the knees held out to the grades' probabilities of the latter."""

_MEASURES = {"both": [0, 1], "mean": [0], "peak": [1]}
# Inverse penalty (scikit-learn's C), class weight and features of each uptake model. The plainest
# candidate comes first: it wins ties, and stands where nothing was held out.
_CANDIDATES = tuple(product((1.0, 0.1, 10.0, 0.01, 100.0), ("none", "balanced"), _MEASURES))
_STEPS = 1000  # the solver's limit; a few dozen suffice


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


@dataclass(frozen=True, eq=False)
class KeptBaseline:
    """A `Baseline` as its folder has it.

    Attributes:
        basis: See `basis_of`.
        repeats: Held-out knees of each split seed, all folds together.
        candidates: int64 (candidate, knee), 0 to 4: grades that each candidate gave the knees of
            all repeats, one repeat after the other.
    """

    name: str
    setting: str
    basis: Mapping[str, Any]
    repeats: tuple[HeldOut, ...]
    candidates: NDArray[np.int64]
    test: HeldOut | None


def fit_baselines(
    cohort: Cohort,
    parts: Mapping[tuple[int, int], Parts],
    *,
    views: Views,
    test: Parts | None,
    rules: Sequence[Decide] = ("likeliest",),
) -> tuple[Baseline, ...]:
    """Fit majority, then uptake, on every training side, and predict the held-out knees.

    Models, and the features' mean and deviation, are fitted on the training side alone. Where a
    training side has a single grade, uptake guesses as majority does.

    Args:
        cohort: The knees.
        parts: The networks' parts by split seed and fold; no training side is empty. Without
            parts the plainest candidate stands.
        views: The networks' views.
        test: Test patients, who have no say in the choice; None leaves them unscored.
        rules: By which uptake may decide. Majority has its own.
    """
    import_module("sklearn.linear_model")  # limits reach only the libraries that are loaded
    grades = cohort.grades
    uptakes = relative_uptake(cohort.crops[:, VIEW_INDICES[views]])
    majority: _Model = partial(_grade_shares, grades)
    models: dict[str, _Model] = {}
    for c, weight, measures in _CANDIDATES:
        features = uptakes[..., _MEASURES[measures]].reshape(len(uptakes), -1)
        name = f"C={c:g} class_weight={weight} features={measures}"
        models[name] = partial(_logistic, c, weight, features, grades)
    # Threads of the linear algebra wait for each other longer than they work: on two busy cores
    # the fits for 205 patients and 15 folds took up to 40 s instead of 2.
    with one_blas_thread():
        fitted = {name: _on_folds(model, grades, parts) for name, model in models.items()}
        named = {(name, rule): _named(name, rule, rules) for rule in rules for name in models}
        candidates = {
            named[name, rule]: _decided(fitted[name], rule) for rule in rules for name in models
        }
        best = max(candidates, key=lambda name: _rank(candidates[name]))
        model, rule = next(pair for pair, name in named.items() if name == best)
        tested = _on_test(models[model], grades, test)
        if tested:
            tested = replace(tested, decision=_decision(rule, fitted[model].values()))
        uptake = Baseline("uptake", best, candidates, tested)
    guesses = {"": _on_folds(majority, grades, parts)}
    return Baseline("majority", "", guesses, _on_test(majority, grades, test)), uptake


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


def _decision(rule: Decide, folds: Iterable[GradedKnees]) -> Decision:
    """A rule for the test patients, fitted on all knees held out."""
    known = [(fold.probabilities, fold.grades) for fold in folds]
    if not known:
        return Decision(rule)
    probabilities, grades = (np.concatenate(each) for each in zip(*known, strict=True))
    return Decision.fitted(rule, probabilities, grades, calibrate=False)


def basis_of(
    configs: Sequence[RunConfig], rules: Sequence[Decide] = ("likeliest",)
) -> dict[str, Any]:
    """What a setting's cells share with its baselines, as in JSON.

    Views, folds and held-out sets; the rules to decide by and the share of the patients, where they
    are others than those of earlier versions.
    """
    data = [config.data for config in configs]
    held_out = {(each.split_seed, each.fold) for each in data if each.fold is not None}
    folds = [list(each) for each in sorted(held_out)]
    basis: dict[str, Any] = {"views": data[0].views, "folds": data[0].folds, "held_out": folds}
    basis |= {} if data[0].share == 1 else {"share": data[0].share}
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


def _grade_shares(grades: NDArray[np.int64], train: _Knees, knees: _Knees) -> _Probabilities:
    """The training side's share of each grade, for every knee held out."""
    shares = np.bincount(grades[train], minlength=GRADE_COUNT) / len(train)
    return np.tile(shares, (len(knees), 1))


def _logistic(
    inverse_penalty: float,
    class_weight: str,
    features: NDArray[np.float64],
    grades: NDArray[np.int64],
    train: _Knees,
    knees: _Knees,
) -> _Probabilities:
    """Multinomial logistic regression on features, float64 (knee of the cohort, feature)."""
    # The import takes a second, and few commands that look at a sweep fit a model.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if not len(knees) or len(np.unique(grades[train])) < 2:
        return _grade_shares(grades, train, knees)
    weight = None if class_weight == "none" else class_weight
    logistic = LogisticRegression(C=inverse_penalty, class_weight=weight, max_iter=_STEPS)
    model = make_pipeline(StandardScaler(), logistic)
    with warnings.catch_warnings():
        # Where grades are separated without fault, weights may still grow at the last step. The
        # folds judge such a fit like any other.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features[train], grades[train])
    probabilities = np.zeros((len(knees), GRADE_COUNT))
    probabilities[:, logistic.classes_] = model.predict_proba(features[knees])
    return probabilities
