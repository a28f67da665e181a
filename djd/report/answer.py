"""The answer of a comparison: what was found out of fold, what the test said, what is missing."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from djd.data.split import PatientSplit
from djd.data.tables import Readings
from djd.errors import InputError
from djd.report.axis_effects import Edge, edges
from djd.report.opened import Opened, score_opened
from djd.report.out_of_fold import Findings, find
from djd.report.readers import SecondReader, second_reader_of
from djd.runs.folder import SPLIT_NAME
from djd.runs.predictions import Predictions, held_out_of, patients_of
from djd.statistics.held_out import HeldOut
from djd.sweeps.baseline_files import KeptBaseline, basis_of
from djd.sweeps.evidence import Evidence, Knee, knees_of, predictions_at
from djd.sweeps.scored_refits import OpenedRefit
from djd.sweeps.settings import Setting
from djd.wording import count_of


@dataclass(frozen=True, eq=False)
class Answer:
    """All that can be told of a comparison now.

    Attributes:
        findings: Out of fold; None where no setting is finished.
        opened: What the test patients said; None where they weren't opened.
        edges: Where the best setting is at the edge of the grid.
        baselines: Those that the settings are held against.
        notes: What is missing or can't be used, a sentence each.
        second_reader: How far a second reader agrees with the grades; None where none was given.
    """

    findings: Findings | None
    opened: Opened | None
    edges: tuple[Edge, ...]
    baselines: tuple[KeptBaseline, ...]
    notes: tuple[str, ...]
    second_reader: SecondReader | None = None

    @property
    def is_of_one(self) -> bool:
        """Whether there is a single setting, whose grades are then told one by one."""
        settings = self.findings.settings if self.findings else ()
        return len(settings) == 1 or (not settings and self.opened is not None)


def work_out(
    evidence: Evidence,
    *,
    refits: Sequence[OpenedRefit],
    baselines: Sequence[KeptBaseline],
    notes: Iterable[str] = (),
    readings: Readings | None = None,
) -> Answer:
    """Work out everything that finished cells and refits tell.

    Args:
        evidence: Settings whose cells are all finished, the best first.
        refits: Settings that were scored on the test patients, the winner first.
        baselines: Fitted on the folds of the best setting; those on other knees are left out.
        notes: What the caller knows to be missing.
        readings: A second reader's grades, where there are any.
    """
    said = [*notes, *(f"left out: {folder}: {reason}" for folder, reason in evidence.broken)]
    if evidence.on_other_knees:
        others = count_of(evidence.on_other_knees, "setting")
        said.append(f"left out: {others} that held out other knees than the rest")
    opened, more = _opened(refits, baselines)
    said += more
    second_reader = None
    if readings is not None:
        second_reader = second_reader_of(
            readings, held_out=evidence.knees, test=_test_knees(refits)
        )
    findings = None
    on_folds: Mapping[str, Sequence[HeldOut]] = {}
    if evidence.settings:
        on_folds, more = _on_same_knees(baselines, evidence)
        said += more
        findings = find(evidence, on_folds, test_patients=_test_patients(evidence.settings[0]))
    return Answer(
        findings=findings,
        opened=opened,
        edges=tuple(edges(evidence.settings)),
        baselines=tuple(each for each in baselines if each.name in on_folds),
        notes=tuple(said),
        second_reader=second_reader,
    )


def serves(baseline: KeptBaseline, evidence: Evidence) -> bool:
    """Whether a baseline was fitted as the best setting was, and graded the very same knees."""
    fitted = baseline.basis == basis_of(evidence.settings[0])
    return fitted and knees_of(baseline.repeats) == evidence.knees


def _on_same_knees(
    baselines: Iterable[KeptBaseline], evidence: Evidence
) -> tuple[dict[str, Sequence[HeldOut]], list[str]]:
    """All candidates of each baseline that serves, the chosen first, and what is wrong with others.

    Candidates have the probabilities of the chosen one; only their grades are held against others.
    """
    same: dict[str, Sequence[HeldOut]] = {}
    notes = []
    for baseline in baselines:
        if serves(baseline, evidence):
            repeats = [[each] for each in baseline.repeats]
            chosen = held_out_of(repeats, evidence.patients)
            others = (replace(chosen, predicted=given) for given in baseline.candidates)
            same[baseline.name] = (chosen, *others)
        else:
            notes.append(
                f"left out: the {baseline.name} baseline, which is of other knees, folds or views"
            )
    return same, notes


def _opened(
    refits: Iterable[OpenedRefit], baselines: Iterable[KeptBaseline]
) -> tuple[Opened | None, list[str]]:
    read: dict[str, Predictions] = {}
    notes = []
    for refit in refits:
        try:
            by_epoch = predictions_at(refit.folder, [refit.scores])
            read.setdefault(refit.name, by_epoch[refit.scores.epoch])
        except InputError as error:
            notes.append(f"left out: {refit.name} on the test patients: {error}")
    if not read:
        return None, notes
    knees = knees_of([next(iter(read.values()))])
    same = {name: each for name, each in read.items() if knees_of([each]) == knees}
    tests = {each.name: each.test for each in baselines if each.test}
    beside = {name: test for name, test in tests.items() if knees_of([test]) == knees}
    patients = patients_of(same.values())
    return score_opened(_arrays(same, patients), _arrays(beside, patients)), notes


def _test_knees(refits: Iterable[OpenedRefit]) -> frozenset[Knee]:
    """Knees of the first refit that can be read, as `_opened` takes them."""
    for refit in refits:
        with suppress(InputError):  # `_opened` says so
            return knees_of(predictions_at(refit.folder, [refit.scores]).values())
    return frozenset()


def _arrays(predictions: Mapping[str, Predictions], patients: Sequence[str]) -> dict[str, HeldOut]:
    return {name: held_out_of([[each]], patients) for name, each in predictions.items()}


def _test_patients(setting: Setting) -> int:
    """How many test patients there are, as a cell's folder tells; 0 where it doesn't."""
    path = setting.cells[0].folder / SPLIT_NAME
    try:
        return len(PatientSplit.load(path).test)
    except (OSError, ValueError, KeyError, TypeError):
        return 0
