"""The answer of a comparison: findings, scores of the test patients, and what is missing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from djd.data.split import PatientSplit
from djd.data.tables import Readings
from djd.errors import InputError
from djd.report.findings import Findings, find
from djd.report.knees import ShownKnees
from djd.report.risk_coverage import NETWORK, Risks, risks_of
from djd.report.scores import Agreement, GraderScores, ScoresOnTest, agreement, score_tested
from djd.runs.folder import SPLIT_NAME
from djd.statistics.held_out import HeldOut
from djd.sweeps.baselines import BaselineName, KeptBaseline, basis_of
from djd.sweeps.out_of_fold import predictions_at
from djd.sweeps.setting_scores import Evidence, Setting, knees_of
from djd.sweeps.winner import OpenedRefit
from djd.wording import count_of

SETTINGS_NAME = "settings.csv"
EFFECTS_NAME = "effects.csv"
STEPS_NAME = "steps.csv"
CELLS_NAME = "cells.csv"
LATEX_NAME = "settings.tex"
REPORT_NAME = "report.html"
FIGURES = "figures"

OUT_OF_FOLD, TEST = "out of fold", "test"
"""Parts that settings, baselines and readers are scored on."""

UPTAKE: BaselineName = "uptake"
FEATURES: BaselineName = "features"


@dataclass(frozen=True, eq=False)
class Answer:
    """Everything that is known of a comparison.

    Attributes:
        findings: Out of fold; None where no setting is finished.
        tested: None where the test patients weren't opened.
        notes: Sentences on missing and unusable things.
        second_reader: By part, without parts of which the reader graded nothing; None without one.
        knees: Of the best setting, out of fold; None where they can't be shown.
        risks: Error of the best setting and uptake by the share of knees kept, out of fold.
    """

    findings: Findings | None
    tested: ScoresOnTest | None
    baselines: tuple[KeptBaseline, ...]
    notes: tuple[str, ...]
    second_reader: Mapping[str, Agreement] | None = None
    knees: ShownKnees | None = None
    risks: Risks = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, GraderScores]:
        """Scores of the best setting out of fold, and of the winner on the test patients."""
        parts: dict[str, GraderScores] = {}
        if self.findings:
            parts[OUT_OF_FOLD] = self.findings.settings[0]
        if self.tested:
            parts[TEST] = self.tested.settings[self.tested.winner]
        return parts

    @property
    def uptake(self) -> dict[str, GraderScores]:
        """Scores of the uptake baseline by part."""
        parts = {OUT_OF_FOLD: self.findings, TEST: self.tested}
        scored = {part: each.baselines.get(UPTAKE) for part, each in parts.items() if each}
        return {part: each for part, each in scored.items() if each}

    @property
    def other_tested(self) -> str | None:
        """The setting scored on the test patients, where another setting is the best now."""
        if not self.findings or not self.tested:
            return None
        winner = self.tested.winner
        return None if winner == self.findings.settings[0].setting.name else winner


def work_out(
    evidence: Evidence,
    *,
    refits: Sequence[OpenedRefit],
    baselines: Sequence[KeptBaseline],
    notes: Iterable[str] = (),
    readings: Readings | None = None,
) -> Answer:
    """The answer of finished cells and refits (the winner first).

    Baselines of other knees, folds or views are left out; `notes` are put first.
    """
    said = [*notes, *(f"left out: {folder}: {reason}" for folder, reason in evidence.broken)]
    if evidence.on_other_knees:
        some = count_of(evidence.on_other_knees, "setting")
        said.append(f"left out: {some} that held out other knees than the rest")
    refitted, more = _on_test(refits)
    said += more
    knees = {OUT_OF_FOLD: evidence.knees, TEST: knees_of(list(refitted.values())[:1])}
    findings, serving = None, []
    risks: Risks = {}
    if evidence.settings:
        serving = [each for each in baselines if serves(each, evidence)]
        others = [each.name for each in baselines if each not in serving]
        reason = "which is of other knees, folds, views or rules"
        said += [f"left out: the {name} baseline, {reason}" for name in others]
        on_folds = {each.name: _candidates(each) for each in serving}
        finer = {
            each.name: HeldOut.joined([[repeat] for repeat in each.finer])
            for each in serving
            if knees_of(each.finer) == evidence.knees
        }
        asked = _test_patients(evidence.settings[0])
        findings = find(evidence, on_folds, finer, test_patients=asked)
        best = {NETWORK: evidence.held_out[0]}
        chosen = {name: first for name, (first, *_) in on_folds.items() if name == UPTAKE}
        by_rps = {name: each for name, each in finer.items() if name == UPTAKE}
        risks = risks_of(best | by_rps, best | chosen)
    tested, second_reader = _score_tested(refitted, baselines), None
    if readings is not None:
        agreed = {part: agreement(readings, asked) for part, asked in knees.items()}
        second_reader = {part: each for part, each in agreed.items() if each}
    return Answer(findings, tested, tuple(serving), tuple(said), second_reader, risks=risks)


def serves(baseline: KeptBaseline, evidence: Evidence) -> bool:
    """Whether a baseline was fitted as the best setting was, and graded the same knees."""
    fitted = baseline.basis == basis_of(evidence.settings[0].configs, evidence.rules)
    return fitted and knees_of(baseline.repeats) == evidence.knees


def _candidates(baseline: KeptBaseline) -> list[HeldOut]:
    """The chosen candidate, then all; with its probabilities, since only grades are compared."""
    chosen = HeldOut.joined([[each] for each in baseline.repeats])
    return [chosen, *(replace(chosen, predicted=given) for given in baseline.candidates)]


def _on_test(refits: Iterable[OpenedRefit]) -> tuple[dict[str, HeldOut], list[str]]:
    """Predictions of the test patients by setting, and refits whose predictions can't be read."""
    read: dict[str, HeldOut] = {}
    notes = []
    for refit in refits:
        try:
            by_epoch = predictions_at(refit.folder, [refit.scores])
            read.setdefault(refit.name, by_epoch[refit.scores.epoch])
        except InputError as error:
            notes.append(f"left out: {refit.name} on the test patients: {error}")
    return read, notes


def _score_tested(
    refitted: Mapping[str, HeldOut], baselines: Iterable[KeptBaseline]
) -> ScoresOnTest | None:
    """Scores of all who graded the knees that the first refit graded."""
    if not refitted:
        return None
    knees = knees_of(list(refitted.values())[:1])
    settings = {name: each for name, each in refitted.items() if knees_of([each]) == knees}
    tests = {each.name: each.test for each in baselines if each.test}
    beside = {name: each for name, each in tests.items() if knees_of([each]) == knees}
    return score_tested(settings, beside)


def _test_patients(setting: Setting) -> int:
    """Number of test patients of the first cell; 0 where its split can't be read."""
    try:
        return len(PatientSplit.load(setting.cells[0].folder / SPLIT_NAME).test)
    except (OSError, ValueError, KeyError, TypeError):
        return 0
