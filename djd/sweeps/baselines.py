"""Two humble baselines for every sweep, fitted on the very folds of its networks.

Majority always gives the commonest grade. Uptake knows only how much the knee takes up relative to
its leg's shafts: a network that does no better has learned nothing more. Uptake is tuned as
networks are: every candidate on every fold, the best by quadratic kappa of the confusion counts
pooled over folds, averaged over split seeds. The best of many looks better than it is, so the
grades of every candidate are kept.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
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
from djd.grades import GRADE_COUNT
from djd.runs.config import RunConfig
from djd.runs.reading import split_cell
from djd.statistics.held_out import HeldOut
from djd.statistics.metrics import confusion_counts, quadratic_kappa

BaselineName = Literal["majority", "uptake"]

_Knees = NDArray[np.int64]
_Probabilities = NDArray[np.float64]
_Model = Callable[[_Knees, _Knees], _Probabilities]
"""Knees to fit on and knees held out, to the probabilities of the latter's grades."""

_Candidate = tuple[float, str, str]
"""Inverse penalty (scikit-learn's C), class weight, and features of an uptake model."""

_MEASURES = {"both": [0, 1], "mean": [0], "peak": [1]}
# The plainest candidate comes first: it wins ties, and stands where nothing was held out.
_CANDIDATES = tuple(product((1.0, 0.1, 10.0, 0.01, 100.0), ("none", "balanced"), _MEASURES))
_STEPS = 1000  # at most, of the solver; a few dozen do


@dataclass(frozen=True, eq=False)
class BaselineFold:
    """The grades of one held-out set.

    Attributes:
        split_seed: Of the folds; 0 for the test patients.
        fold: The one held out; None for the test patients.
        knees: int64 (knee,), indices into the cohort's knees.
        predicted: int64 (knee,), 0 to 4: the likeliest grade, the lowest on ties.
        probabilities: float64 (knee, grade 5), rows sum to 1; 0 for grades that the training side
            lacks.
    """

    split_seed: int
    fold: int | None
    knees: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probabilities: NDArray[np.float64]


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline, as the best of its candidates.

    Attributes:
        name: Which of the two.
        setting: The chosen candidate, such as "C=1 class_weight=balanced features=both"; empty for
            majority, which has nothing to choose.
        candidates: The held-out folds of every candidate by its name.
        test: The test patients, graded by the chosen one; None where they stay closed.
    """

    name: BaselineName
    setting: str
    candidates: Mapping[str, tuple[BaselineFold, ...]]
    test: BaselineFold | None

    @property
    def validation(self) -> tuple[BaselineFold, ...]:
        """The held-out folds of the chosen candidate."""
        return self.candidates[self.setting]


@dataclass(frozen=True, eq=False)
class KeptBaseline:
    """A baseline as its folder has it.

    Attributes:
        name: `majority` or `uptake`.
        setting: The chosen candidate; empty where there was nothing to choose.
        basis: See `basis_of`.
        repeats: Held-out knees of each split seed, all folds together.
        candidates: int64 (candidate, knee), 0 to 4: what each candidate gave the knees of all
            repeats, one repeat after the other.
        test: The test patients' knees; None where they stay closed.
    """

    name: str
    setting: str
    basis: Mapping[str, Any]
    repeats: tuple[HeldOut, ...]
    candidates: NDArray[np.int64]
    test: HeldOut | None


def fit_baselines(
    cohort: Cohort, parts: Mapping[tuple[int, int], Parts], *, views: Views, test: Parts | None
) -> tuple[Baseline, ...]:
    """Fit both baselines on every training side and predict what is held out.

    Whatever is fitted, the features' mean and deviation included, is fitted on the training side
    alone. A training side of a single grade teaches uptake nothing: there it guesses as majority
    does.

    Args:
        cohort: The knees.
        parts: By split seed and fold, those of the networks; no training side is empty. Without
            any, nothing is chosen and the plainest candidate stands.
        views: Those that the networks see.
        test: All development patients to fit on and the test patients, who have no say in what is
            chosen; None leaves them unscored.

    Returns:
        Majority, then uptake.
    """
    grades = cohort.grades
    measures = relative_uptake(cohort.crops[:, VIEW_INDICES[views]])
    majority: _Model = partial(_grade_shares, grades)
    models: dict[str, _Model] = {
        f"C={each[0]:g} class_weight={each[1]} features={each[2]}": partial(
            _logistic, each, measures, grades
        )
        for each in _CANDIDATES
    }
    with _on_one_core():
        candidates = {name: _folds(model, parts) for name, model in models.items()}
        best = max(candidates, key=lambda name: _rank(grades, candidates[name]))
        uptake = Baseline("uptake", best, candidates, _test(models[best], test))
    return Baseline("majority", "", {"": _folds(majority, parts)}, _test(majority, test)), uptake


def basis_of(configs: Sequence[RunConfig]) -> dict[str, Any]:
    """Views, folds, and split seed and fold of each held-out set of a setting's cells, as in JSON.

    The baselines of the setting have to be fitted on them.
    """
    data = [config.data for config in configs]
    held_out = {(each.split_seed, each.fold) for each in data if each.fold is not None}
    folds = [list(each) for each in sorted(held_out)]
    return {"views": data[0].views, "folds": data[0].folds, "held_out": folds}


def fit_to(
    configs: Sequence[RunConfig], cohort: Cohort, split: PatientSplit, *, opens_test: bool
) -> tuple[Baseline, ...]:
    """Fit the baselines on the folds and views of a setting.

    Args:
        configs: Of the cells of the setting that they are held against.
        cohort: The knees.
        split: The wall between development and test patients.
        opens_test: Whether they are scored on the test patients too.

    Raises:
        InputError: The split is not as expected.
    """
    by_fold = {(config.data.split_seed, config.data.fold): config for config in configs}
    parts = {
        (split_seed, fold): split_cell(by_fold[split_seed, fold], cohort, split, fold=fold)
        for split_seed, fold in basis_of(configs)["held_out"]
    }
    test = split_cell(configs[0], cohort, split, fold=None) if opens_test else None
    return fit_baselines(cohort, parts, views=configs[0].data.views, test=test)


def _on_one_core() -> AbstractContextManager[object]:
    """Keep the linear algebra on one core: threads wait for each other longer than they work.

    On two cores with something else running, the fits for 205 patients and 15 folds took up to 40 s
    instead of 2.
    """
    from threadpoolctl import threadpool_limits

    import_module("sklearn.linear_model")  # limits reach only the libraries that are loaded
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits


def _folds(model: _Model, parts: Mapping[tuple[int, int], Parts]) -> tuple[BaselineFold, ...]:
    return tuple(
        _held_out(model, split_seed, fold, each.train, each.validation)
        for (split_seed, fold), each in parts.items()
    )


def _test(model: _Model, test: Parts | None) -> BaselineFold | None:
    return None if test is None else _held_out(model, 0, None, test.train, test.test)


def _held_out(
    model: _Model, split_seed: int, fold: int | None, train: _Knees, knees: _Knees
) -> BaselineFold:
    probabilities = model(train, knees)
    return BaselineFold(split_seed, fold, knees, probabilities.argmax(axis=1), probabilities)


def _rank(grades: NDArray[np.int64], folds: Iterable[BaselineFold]) -> float:
    """Kappa pooled over folds and averaged over split seeds, as networks are chosen by."""
    pooled: dict[int, NDArray[np.int64]] = {}
    for each in folds:
        counts = pooled.setdefault(each.split_seed, np.zeros((GRADE_COUNT,) * 2, dtype=np.int64))
        counts += confusion_counts(grades[each.knees], each.predicted)
    kappas = [float(quadratic_kappa(counts)) for counts in pooled.values()]
    kappa = float(np.mean(kappas)) if kappas else math.nan
    return -math.inf if math.isnan(kappa) else kappa


def _grade_shares(grades: NDArray[np.int64], train: _Knees, knees: _Knees) -> _Probabilities:
    """The training side's share of each grade, for every knee held out."""
    shares = np.bincount(grades[train], minlength=GRADE_COUNT) / len(train)
    return np.tile(shares, (len(knees), 1))


def _logistic(
    candidate: _Candidate,
    uptake: NDArray[np.float64],
    grades: NDArray[np.int64],
    train: _Knees,
    knees: _Knees,
) -> _Probabilities:
    """Multinomial logistic regression on uptake, float64 (knee of the cohort, view, measure 2)."""
    # A second to import, and not every command that looks at a sweep fits one.
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if not len(knees) or len(np.unique(grades[train])) < 2:
        return _grade_shares(grades, train, knees)
    inverse_penalty, class_weight, measures = candidate
    features = uptake[..., _MEASURES[measures]].reshape(len(uptake), -1)
    weight = None if class_weight == "none" else class_weight
    logistic = LogisticRegression(C=inverse_penalty, class_weight=weight, max_iter=_STEPS)
    model = make_pipeline(StandardScaler(), logistic)
    with warnings.catch_warnings():
        # Where knees are told apart without fault weights may still grow at the last step. It is
        # a fit like any other: the folds judge it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features[train], grades[train])
    probabilities = np.zeros((len(knees), GRADE_COUNT))
    probabilities[:, logistic.classes_] = model.predict_proba(features[knees])
    return probabilities
