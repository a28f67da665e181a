"""What the intervals hold, how often the best set errs, and what luck and selection are worth.

Invented readers grade invented patients with two knees each: a knee's severity is normal, shared in
part between the knees of a patient; a setting's guess is correlated with it, and its errors are in
part those of all settings. True scores follow from the bivariate normal, or from a million knees.
Nothing is trained. Each trial simulates a cohort and asks the functions of
`djd.statistics` what they would say.

    python bench/coverage.py                # 1,000 trials each; 40 minutes on two cores
    python bench/coverage.py --trials 100   # a quick look

The figures in `docs/statistics.md` are this script's (2026-11-25, two-core x86-64).
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import multivariate_normal, norm
from threadpoolctl import threadpool_limits

from djd.machine import usable_cores
from djd.statistics.bootstrap import (
    SPECIFICITY,
    draw_patients,
    mean_of_repeats,
    score_draws,
)
from djd.statistics.effects import LevelScores, best_in_grid, mean_over_grid
from djd.statistics.held_out import HeldOut
from djd.statistics.intervals import percentile_interval, share_interval
from djd.statistics.metrics import (
    THREE_GROUPS,
    accuracy,
    auroc,
    brier_score,
    merge_grades,
    quadratic_kappa,
    ranked_probability_score,
    score_table,
)
from djd.statistics.risk_coverage import HALF, SHARES, entropy, risk_curve
from djd.statistics.scoring import (
    loss_draws,
    score_settings_draws,
    scores_with_intervals,
    three_group_kappa,
)
from djd.statistics.selection import (
    best_set,
    interval_of_best,
    interval_of_lead,
    optimism_of_best,
    out_of_bag,
)
from djd.statistics.spread import training_deviation, with_training_luck

GRADE_SHARES = np.array([0.42, 0.26, 0.16, 0.10, 0.06])
"""Skewed, as grades are: with 40 patients five knees are severe."""

DRAWS = 1_000
TRUTH_KNEES = 1_000_000

Array = NDArray[np.float64]
Trial = Callable[[int], dict[str, float]]


@dataclass(frozen=True)
class Cohort:
    """Patients, and how alike the two knees of one are."""

    patients: int
    alike: float = 0.45

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.patients} patients, knees correlated {self.alike:g}"


def simulate(
    generator: np.random.Generator,
    cohort: Cohort,
    skills: Sequence[float],
    guessed: Sequence[Array] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """True grades (patient, knee 2), grades given (setting, patient, knee 2), and the raw guesses.

    Args:
        generator: Of chance.
        cohort: The patients.
        skills: Correlation of each setting's guess with severity.
        guessed: How often each setting gives each grade; as often as there are, unless told.
    """

    def normal(*leading: int) -> Array:
        shared = generator.standard_normal((*leading, cohort.patients, 1))
        own = generator.standard_normal((*leading, cohort.patients, 2))
        both: Array = np.sqrt(cohort.alike) * shared + np.sqrt(1 - cohort.alike) * own
        return both

    severity = normal()
    errors = np.sqrt(0.6) * normal(1) + np.sqrt(0.4) * normal(len(skills))
    skill = np.asarray(skills)[:, None, None]
    guesses = skill * severity + np.sqrt(1 - skill**2) * errors
    shares = guessed or [GRADE_SHARES] * len(skills)
    given = [
        np.searchsorted(limits(share), guess) for share, guess in zip(shares, guesses, strict=True)
    ]
    return np.searchsorted(limits(GRADE_SHARES), severity), np.stack(given), guesses


def limits(shares: Array) -> Array:
    """Where a standard normal is cut so that each part has its share."""
    return np.asarray(ndtri(np.cumsum(shares)[:-1].clip(1e-12, 1 - 1e-12)))


@cache
def true_confusion(skill: float) -> Array:
    """Share of knees by true and given grade, (5, 5)."""
    return _table(skill, GRADE_SHARES)


def _table(skill: float, guessed: Array) -> Array:
    if skill == 0:
        return np.outer(GRADE_SHARES, guessed)
    edges = [np.concatenate([[-9.0], limits(each), [9.0]]) for each in (GRADE_SHARES, guessed)]
    both = multivariate_normal([0, 0], [[1, skill], [skill, 1]])
    below = np.array([[both.cdf([one, other]) for other in edges[1]] for one in edges[0]])
    return np.diff(np.diff(below, axis=0), axis=1)


def probabilities_of(guess: Array, skill: float) -> Array:
    """A calibrated reader's probabilities of each grade, (..., 5)."""
    below = norm.cdf((limits(GRADE_SHARES) - skill * guess[..., None]) / np.sqrt(1 - skill**2))
    edge = np.zeros((*guess.shape, 1))
    return np.diff(np.concatenate([edge, below, edge + 1], axis=-1), axis=-1)


def held_out(grades: NDArray[np.int64], given: NDArray[np.int64], chances: Array) -> HeldOut:
    """One setting's knees, of arrays (patient, knee 2, ...)."""
    patients = len(grades)
    return HeldOut(
        patient=np.repeat(np.arange(patients), 2),
        repeat=np.zeros(2 * patients, dtype=np.int64),
        grades=grades.ravel(),
        predicted=given.ravel(),
        probabilities=chances.reshape(-1, 5),
        patients=patients,
    )


@cache
def true_scores(skill: float) -> dict[str, float]:
    """Every score among all patients there could be."""
    confusion = true_confusion(skill)
    generator = np.random.default_rng(99)
    grades, _, guess = simulate(generator, Cohort(TRUTH_KNEES // 2), [skill])
    grades, chances = grades.ravel(), probabilities_of(guess[0].ravel(), skill)
    any_chance = 1 - chances[:, 0]
    threshold = np.quantile(any_chance[grades == 0], SPECIFICITY)
    none, diseased = confusion[0], confusion[1:]
    return score_table(confusion) | {
        "three_group_kappa": float(three_group_kappa(confusion)),
        "three_group_accuracy": float(accuracy(merge_grades(confusion, THREE_GROUPS))),
        "any_specificity": float(none[0] / none.sum()),
        "any_sensitivity": float(diseased[:, 1:].sum() / diseased.sum()),
        "brier": float(brier_score(grades, chances).mean()),
        "rps": float(ranked_probability_score(grades, chances).mean()),
        "auroc_any": auroc(grades > 0, any_chance),
        "early_sensitivity": float((any_chance[grades == 1] > threshold).mean()),
    }


def interval_trial(cohort: Cohort, skill: float, seed: int) -> dict[str, float]:
    """Whether each score's interval holds the truth."""
    generator = np.random.default_rng([seed, cohort.patients])
    grades, given, guesses = simulate(generator, cohort, [skill])
    setting = held_out(grades, given[0], probabilities_of(guesses[0], skill))
    weights = draw_patients(cohort.patients, draws=DRAWS, seed=seed)
    drawn = score_settings_draws([setting], weights)
    scored = scores_with_intervals(setting, {name: row[0] for name, row in drawn.items()}, weights)
    truth = true_scores(skill)
    return {
        name: low <= truth[name] <= high
        for name, (_, low, high) in scored.items()
        if np.isfinite(low)
    }


@cache
def true_risks(skill: float) -> Array:
    """Mean ranked probability score and share of wrong grades by share kept, (loss 2, share)."""
    generator = np.random.default_rng(98)
    grades, given, guess = simulate(generator, Cohort(TRUTH_KNEES // 2), [skill])
    setting = held_out(grades, given[0], probabilities_of(guess[0], skill))
    order = np.argsort(entropy(setting.probabilities))
    kept = np.rint(SHARES * len(order)).astype(np.int64)
    return np.stack([np.cumsum(loss[order])[kept - 1] / kept for loss in losses_of(setting)])


def losses_of(setting: HeldOut) -> tuple[Array, Array]:
    """Ranked probability score of each knee, and 1 for a wrong grade, float64 (knee,) each."""
    wrong = (setting.predicted != setting.grades).astype(np.float64)
    return ranked_probability_score(setting.grades, setting.probabilities), wrong


def risk_trial(cohort: Cohort, skill: float, seed: int) -> dict[str, float]:
    """Whether intervals of the error by the share of knees kept hold the truth."""
    generator = np.random.default_rng([seed, cohort.patients, 17])
    grades, given, guesses = simulate(generator, cohort, [skill])
    setting = held_out(grades, given[0], probabilities_of(guesses[0], skill))
    weights = draw_patients(cohort.patients, draws=DRAWS, seed=seed)
    held: dict[str, float] = {}
    half = int(np.searchsorted(SHARES, HALF))
    named = zip(("rps", "wrong"), losses_of(setting), true_risks(skill), strict=True)
    for name, losses, truth in named:
        curve = risk_curve(setting, losses, weights)
        held |= {
            f"{name}, {share:.0%} kept": low <= true <= high
            for share, true, (_, low, high) in zip(SHARES, truth, curve.risks, strict=True)
        }
        held[f"{name}, half less than all"] = (
            curve.gain.low <= truth[-1] - truth[half] <= curve.gain.high
        )
    return held


def rps_lead_trial(cohort: Cohort, skill: float, other: float, seed: int) -> dict[str, float]:
    """Whether the interval of a difference of ranked probability scores holds the truth."""
    generator = np.random.default_rng([seed, cohort.patients, 13])
    grades, given, guesses = simulate(generator, cohort, [skill, other])
    both = [
        held_out(grades, given[place], probabilities_of(guesses[place], each))
        for place, each in enumerate((skill, other))
    ]
    drawn = loss_draws(both, draw_patients(cohort.patients, draws=DRAWS, seed=seed))
    low, high = percentile_interval(drawn[1] - drawn[0], cohort.patients)
    truth = true_scores(other)["rps"] - true_scores(skill)["rps"]
    return {"its interval holds": low <= truth <= high, "said to be ahead": low > 0}


def kappas(
    cohort: Cohort,
    skills: Sequence[float],
    seed: int,
    guessed: Sequence[Array] | None = None,
) -> tuple[Array, Array, NDArray[np.int64], NDArray[np.float32]]:
    """Kappa of each setting, its draws, counts and the draws of patients."""
    generator = np.random.default_rng([seed, cohort.patients, len(skills)])
    grades, given, _ = simulate(generator, cohort, skills, guessed)
    cell = grades * 5 + given
    by_cell = np.stack([(cell == each).sum(axis=-1) for each in range(25)], axis=-1)
    counts = by_cell.reshape(len(skills), cohort.patients, 5, 5).astype(np.int64)
    weights = draw_patients(cohort.patients, draws=DRAWS, seed=seed)
    drawn = score_draws(weights, counts, {"kappa": quadratic_kappa})["kappa"]
    return quadratic_kappa(counts.sum(axis=1)), drawn, counts, weights


def true_kappas(skills: Sequence[float]) -> Array:
    """Kappa of each setting among all patients there could be."""
    return np.array([float(quadratic_kappa(true_confusion(skill))) for skill in skills])


def winner_trial(cohort: Cohort, skills: Sequence[float], seed: int) -> dict[str, float]:
    """The winner's interval, its estimates, and the best set."""
    found, drawn, counts, weights = kappas(cohort, skills, seed)
    truth = true_kappas(skills)
    best = int(found.argmax())
    low, high = interval_of_best(found, drawn, cohort.patients)
    plain = np.quantile(drawn[best], [0.025, 0.975])
    lead_low, lead_high = interval_of_lead(
        found[1:], drawn[1:], found[:1], drawn[:1], cohort.patients
    )
    ahead = 1 + int(found[1:].argmax())
    outside = out_of_bag(list(counts[:, None]), drawn, weights)
    assert outside is not None
    return {
        "its interval holds": low <= truth[best] <= high,
        "its lead over the first holds": lead_low <= truth[ahead] - truth[0] <= lead_high,
        "a plain interval holds": plain[0] <= truth[best] <= plain[1],
        "too high by": found[best] - truth[best],
        "out of bag too high by": float(quadratic_kappa(outside[0])) - truth[best],
        "best set holds the truly best": bool(
            best_set(found, drawn, cohort.patients)[int(truth.argmax())]
        ),
        "best set holds all": bool(best_set(found, drawn, cohort.patients).all()),
        "settings in the best set": int(best_set(found, drawn, cohort.patients).sum()),
    }


def baseline_trial(
    cohort: Cohort, networks: Sequence[float], candidates: Sequence[float], seed: int
) -> dict[str, float]:
    """Which is said to be ahead, the best network or the best candidate of a baseline."""
    found, drawn, _, _ = kappas(cohort, [*networks, *candidates], seed)
    truth, count = true_kappas([*networks, *candidates]), len(networks)
    best, other = int(found[:count].argmax()), count + int(found[count:].argmax())
    low, high = interval_of_lead(
        found[:count], drawn[:count], found[count:], drawn[count:], cohort.patients
    )
    plain = np.quantile(drawn[best] - drawn[other], [0.025, 0.975])
    return {
        "its interval holds": low <= truth[best] - truth[other] <= high,
        "said to be ahead": low > 0,
        "said to be behind": high < 0,
        "said to be behind by a plain interval": plain[1] < 0,
    }


def seeds_trial(
    cohort: Cohort, settings: int, repeats: int, luck: float, seed: int
) -> dict[str, float]:
    """Equal settings with several seeds, each of which is lucky or not.

    Args:
        cohort: The patients.
        settings: How many there are.
        repeats: Seeds of each.
        luck: Standard deviation of a training's skill, near that of its kappa.
        seed: Of the trial.
    """
    generator = np.random.default_rng([seed, settings, repeats, 11])
    skills = np.minimum(0.75 + luck * generator.standard_normal(settings * repeats), 0.98)
    found, drawn, counts, _ = kappas(cohort, skills.tolist(), seed)
    times = [repeats] * settings
    means, draws = mean_of_repeats(found, times), mean_of_repeats(drawn, times)
    deviation = training_deviation(found, drawn, times)
    again = with_training_luck(draws, deviation, times, seed=seed)
    right = np.einsum("spii->sp", counts[:repeats]).astype(np.float64)
    low, high = share_interval(right, np.full_like(right, 2.0))
    accuracies = [float(np.trace(true_confusion(skill))) for skill in skills[:repeats]]
    return {
        "best set holds all": bool(best_set(means, again, cohort.patients).all()),
        "... with luck taken for nothing": bool(best_set(means, draws, cohort.patients).all()),
        "accuracy's interval holds": low <= np.mean(accuracies) <= high,
        "deviation squared": np.nan_to_num(deviation) ** 2,
    }


def null_trial(cohort: Cohort, settings: int, seed: int) -> dict[str, float]:
    """Grades that have nothing to do with the images; settings guess in all kinds of ways."""
    generator = np.random.default_rng([seed, settings, 7])
    guessed = list(generator.dirichlet(np.full(5, 0.7), size=settings))
    found, drawn, _, _ = kappas(cohort, [0.0] * settings, seed, guessed)
    low, _ = interval_of_best(found, drawn, cohort.patients)
    return {
        "best set holds all": bool(best_set(found, drawn, cohort.patients).all()),
        "winner's interval holds 0": low <= 0,
    }


def effect_trial(
    cohort: Cohort, skills: Sequence[float], levels: int, seed: int
) -> dict[str, float]:
    """Intervals of levels and of all differences between them."""
    found, drawn, _, _ = kappas(cohort, skills, seed)
    truth = true_kappas(skills)
    level = np.repeat(np.arange(levels), len(skills) // levels)
    means = mean_over_grid(found, drawn, level, cohort.patients)
    bests = best_in_grid(found, drawn, level, cohort.patients)
    by_level = truth.reshape(levels, -1)
    return {
        **_level_hits("mean over the grid", means, by_level.mean(axis=1)),
        **_level_hits("best in the grid", bests, by_level.max(axis=1)),
    }


def _level_hits(name: str, levels: LevelScores, truth: Array) -> dict[str, float]:
    held = [
        low <= true <= high for (_, low, high), true in zip(levels.estimates, truth, strict=True)
    ]
    errors = np.subtract.outer(levels.scores, levels.scores) - np.subtract.outer(truth, truth)
    return {
        f"{name}: interval": float(np.mean(held)),
        f"{name}: all differences": bool((np.abs(errors) <= levels.distance).all()),
    }


def power_trial(cohort: Cohort, settings: int, better: float, seed: int) -> dict[str, float]:
    """Whether settings that are worse are told from the best."""
    skills = [better] + [0.75] * (settings - 1)
    found, drawn, _, _ = kappas(cohort, skills, seed)
    return {"told apart": float((~best_set(found, drawn, cohort.patients))[1:].mean())}


def effect_power_trial(cohort: Cohort, better: float, seed: int) -> dict[str, float]:
    """Whether a level that is better in all of its 12 settings is told from two others."""
    skills = [better] * 12 + [0.75] * 24
    found, drawn, _, _ = kappas(cohort, skills, seed)
    means = mean_over_grid(found, drawn, np.repeat(np.arange(3), 12), cohort.patients)
    return {"told apart": float((~means.among_best)[1:].mean())}


def test_choice_trial(patients: int, settings: int, seed: int) -> dict[str, float]:
    """What the best of equal settings owes to luck, chosen on so many test patients."""
    skills = [0.75] * settings
    found, _, _, _ = kappas(Cohort(patients), skills, seed)
    truth = true_kappas(skills)
    development, _, counts, _ = kappas(Cohort(165), skills, seed + 10**6)
    few = draw_patients(165, patients, draws=DRAWS, seed=seed)
    drawn = score_draws(few, counts, {"kappa": quadratic_kappa})["kappa"]
    return {
        "too high by": float(found.max() - truth[found.argmax()]),
        "as told from 165 patients": optimism_of_best(development, drawn),
    }


def run(name: str, trial: Trial, trials: int) -> dict[str, float]:
    """Means over those trials in which each figure was defined."""
    # Trials are what runs in parallel, not the linear algebra in them.
    with get_context("fork").Pool(usable_cores(), threadpool_limits, (1,)) as pool:
        results = pool.map(trial, range(trials), chunksize=10)
    keys = dict.fromkeys(key for result in results for key in result)
    means = {
        key: float(np.mean([result[key] for result in results if key in result])) for key in keys
    }
    print(f"\n{name}")
    for key, mean in means.items():
        print(f"  {key:34} {mean:.3f}")
    return means


def cohorts() -> Iterator[Cohort]:
    """As many patients as a test and as a development side have."""
    for patients, alike in product((40, 165), (0.3, 0.6)):
        yield Cohort(patients, alike)


def study_intervals(trials: int) -> None:
    """Coverage of every score's interval."""
    everywhere = []
    for cohort, skill in product(cohorts(), (0.55, 0.75, 0.9)):
        true_scores(skill)
        title = f"{cohort.name}, skill {skill}"
        everywhere.append(run(title, partial(interval_trial, cohort, skill), trials))
    print("\nlowest, mean and highest coverage of each score, 40 and 165 patients")
    for name in everywhere[0]:
        few, many = ([each[name] for each in half] for half in (everywhere[:6], everywhere[6:]))
        told = " | ".join(f"{min(e):.3f} {np.mean(e):.3f} {max(e):.3f}" for e in (few, many))
        print(f"  {name:24} {told}")


def study_choice(trials: int) -> None:
    """The winner's interval and the best set, where all are equal and where they aren't."""
    for patients, settings in product((40, 165), (6, 36, 108)):
        cohort = Cohort(patients)
        for name, skills in (
            ("equal", [0.75] * settings),
            ("unequal", np.linspace(0.6, 0.8, settings).round(3).tolist()),
            ("near perfect", np.linspace(0.9, 0.985, settings).round(3).tolist()),
            ("equal settings but for a better first", [0.9] + [0.75] * (settings - 1)),
        ):
            title = f"{patients} patients, {settings} {name} settings"
            run(title, partial(winner_trial, cohort, skills), trials)
        title = f"{patients} patients, {settings} settings, null"
        run(title, partial(null_trial, cohort, settings), trials)


def study_effects(trials: int) -> None:
    """Three levels of twelve settings: equal, one with a narrow range of good ones, one worse."""
    narrow = [0.75] * 12 + [0.55, 0.75, 0.35] * 4 + [0.7, 0.72, 0.75] * 4
    worse = np.concatenate([np.linspace(0.6, 0.8, 12) + shift for shift in (-0.05, 0, 0)])
    for patients in (40, 165):
        for name, skills in (
            ("equal", [0.75] * 36),
            ("narrow", narrow),
            ("one level worse", worse.round(3).tolist()),
        ):
            title = f"{patients} patients, effects, {name}"
            run(title, partial(effect_trial, Cohort(patients), skills, 3), trials)


def study_baseline(trials: int) -> None:
    """A baseline that is tuned itself, beside networks that are as good, better or worse."""
    for patients, settings in product((33, 165), (1, 9, 36)):
        for name, skill in (("as good as", 0.75), ("better than", 0.85), ("worse than", 0.65)):
            title = f"{patients} patients, {settings} settings {name} 30 candidates"
            trial = partial(baseline_trial, Cohort(patients), [skill] * settings, [0.75] * 30)
            run(title, trial, trials)


def study_seeds(trials: int) -> None:
    """Best sets where training itself is luck, and shares of several trainings."""
    for patients, settings, repeats in product((40, 165), (2, 36), (1, 2, 3, 5)):
        for luck in (0.0, 0.03, 0.06):
            title = f"{patients} patients, {settings} equal settings, {repeats} seeds, luck {luck}"
            trial = partial(seeds_trial, Cohort(patients), settings, repeats, luck)
            found = run(title, trial, trials)
            print(f"  {'deviation found':34} {np.sqrt(found['deviation squared']):.3f}")


def study_power(trials: int) -> None:
    """How large a difference is found in four of five comparisons."""
    for settings in (2, 36, 324):
        _power_curve(
            f"one of {settings} settings", partial(power_trial, Cohort(165), settings), trials
        )
    _power_curve("one of 3 levels of 12 settings", partial(effect_power_trial, Cohort(165)), trials)


def _power_curve(name: str, trial: Callable[[float, int], dict[str, float]], trials: int) -> None:
    base = float(true_kappas([0.75])[0])
    for better in (0.77, 0.79, 0.81, 0.83, 0.85, 0.87, 0.89, 0.91, 0.94):
        difference = float(true_kappas([better])[0]) - base
        title = f"165 patients, {name} better by kappa {difference:.3f}"
        found = run(title, partial(trial, better), trials)
        if found["told apart"] > 0.9:
            return


def study_test_choice(trials: int) -> None:
    """What choosing on the test patients would have cost."""
    for settings in (18, 36, 108, 324):
        title = f"best of {settings} equal settings on 40 test patients"
        run(title, partial(test_choice_trial, 40, settings), trials)


def study_rps(trials: int) -> None:
    """Differences of the ranked probability score between two settings, equal and not."""
    for cohort, (skill, other) in product(
        cohorts(), ((0.55, 0.55), (0.75, 0.75), (0.8, 0.75), (0.9, 0.75))
    ):
        for each in (skill, other):
            true_scores(each)
        title = f"{cohort.name}, rps of skill {skill} against {other}"
        run(title, partial(rps_lead_trial, cohort, skill, other), trials)


def study_risk(trials: int) -> None:
    """Error by the share of knees kept, the surest first."""
    for cohort, skill in product(cohorts(), (0.55, 0.75, 0.9)):
        true_risks(skill)
        title = f"{cohort.name}, error by share kept, skill {skill}"
        run(title, partial(risk_trial, cohort, skill), trials)


STUDIES = {
    "risk": study_risk,
    "rps": study_rps,
    "intervals": study_intervals,
    "choice": study_choice,
    "effects": study_effects,
    "baseline": study_baseline,
    "seeds": study_seeds,
    "power": study_power,
    "test": study_test_choice,
}


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="*", choices=[*STUDIES, []], help="all unless named")
    parser.add_argument("--trials", type=int, default=1_000)
    arguments = parser.parse_args()
    for name in arguments.studies or STUDIES:
        STUDIES[name](arguments.trials)


if __name__ == "__main__":
    main()
