"""How often knees that can't be graded are flagged, and others by mistake.

    python bench/flags.py                      # training takes most of the time
    python bench/flags.py --scans 20 --epochs 20    # a quick look

Trains three seeds of the default recipe on an invented plain cohort: their folds set the limits of
flat and disagreeing probabilities, their refits on the development patients grade together. Then
prints a line of Markdown for each kind of fresh invented knees: the share that is flagged, in all
and by each flag, and quadratic kappa with its 95 % interval, of all knees and of those that are not
flagged. Limits were chosen on the scan seeds 101 to 105; the default seeds are others.

Of the cases that can't be graded 98.8 to 100 % were flagged, of knees far from the middle of their
crop 89 %, of plain knees 1.0 %, of soft ones 2.0 %, with half the counts 2.2 % (2026-11-29,
two-core x86-64, one thread, half an hour beside other work); docs/flags.md has the whole table.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

sys.path.insert(0, str(Path(__file__).parents[1]))  # bench is no part of the package

from bench.cells import train_cell
from djd.data.cohort import read_cohort
from djd.data.crop import CROP_SIZE, cut_knees, place_knees, scale_crops, sum_neighbours
from djd.data.phantom.body import count, expected_counts
from djd.data.phantom.cohort import cached_phantom
from djd.data.phantom.knee import invent_knee
from djd.data.phantom.odd import CASES, Case, turn_pages
from djd.data.phantom.patient import invent_patient
from djd.data.phantom.style import STYLES
from djd.data.scan_files import find_scans
from djd.data.split import PatientSplit
from djd.grades import PhantomStyle
from djd.models.classifier import GradeClassifier
from djd.models.pooled import PooledCNN
from djd.predict.crop_check import crop_doubts
from djd.predict.flags import FlagLimits, Likeness, disagreement
from djd.runs.fit import build_classifier
from djd.runs.folder import PREDICTIONS_NAME, SPLIT_NAME, epoch_checkpoint, saved_config
from djd.runs.predictions import read_predictions
from djd.statistics.bootstrap import draw_patients, score_draws
from djd.statistics.deciding import Decision
from djd.statistics.intervals import percentile_interval
from djd.statistics.metrics import Array, quadratic_kappa
from djd.statistics.risk_coverage import entropy

TRAINING_SEED = 301
SCAN_SEED = 201
MEMBERS = (0, 1, 2)
PATIENTS = 205
FAR = 48
"""Rows between a joint and the middle of its crop: as many leave a quarter of the crop below it."""

GRADABLE = ("plain", "soft", "few counts", "turned legs", "hot bladder")
LOST = f"any of {', '.join(GRADABLE)}, joint {FAR} rows off"

FLAGS = ("crop", "flat", "members", "unlike")
DECISION = Decision("median")

Flags = dict[str, NDArray[np.bool_]]
"""bool (knee,) by flag."""


@dataclass(frozen=True, eq=False)
class Knee:
    """A fresh knee of one kind, in one scan.

    Attributes:
        crops: uint16 (view 2, row 128, column 128).
        grade: 0 to 4; -1 where there is none.
        doubtful: Whether the check of the crop has a reason.
        lost: Of a scan that can be graded otherwise, but far from the middle of its crop.
    """

    kind: str
    scan: int
    crops: NDArray[np.uint16]
    grade: int
    doubtful: bool
    lost: bool


KINDS: tuple[tuple[PhantomStyle, Case | None], ...] = (
    ("plain", None),
    ("soft", None),
    *(("odd", case) for case in CASES),
)


def fresh_knees(style: PhantomStyle, case: Case | None, *, scans: int, seed: int) -> Iterator[Knee]:
    """Both knees of so many scans of a style or case, and of plain scans thinned."""
    place = KINDS.index((style, case))
    seeds = np.random.SeedSequence([seed, place])
    rng = np.random.default_rng(seeds)
    for number, patient_seed in enumerate(seeds.spawn(scans), start=scans * place):
        patient = invent_patient(patient_seed, STYLES[style], case=case, null=False)
        right, left = (
            invent_knee(each, patient.image, STYLES[style]) for each in patient.severities
        )
        body = patient.body
        expected = expected_counts(body, (right, left), patient.image, patient.pose)
        pages, centres = turn_pages(case, count(expected, patient.image), body.knee_centres)
        joints = [each.joint for each in body.sides]
        grades = [-1 if each is None else each for each in patient.grades]
        yield from _knees(case or style, number, pages, centres, joints, grades)
        for share, name in ((0.5, "half the counts"), (0.1, "a tenth of the counts")):
            if style == "plain":
                thin = rng.binomial(pages, share).astype(np.uint16)
                yield from _knees(f"plain, {name}", number, thin, centres, joints, grades)


def _knees(
    kind: str,
    scan: int,
    counts: NDArray[np.uint16],
    centres: Array,
    joints: Sequence[str],
    grades: Sequence[int],
) -> Iterator[Knee]:
    places = place_knees(counts)
    crops, first = cut_knees(counts, places), places.corners[0][0]
    doubts, hand = crop_doubts(counts, places), _hand_side(counts, first)
    for side, joint in enumerate(joints):
        part = kind
        if kind == "hand at knee":
            part = f"{kind}: {'its' if side == hand else 'the other'} side"
        elif kind in ("blank leg", "prosthesis"):
            part = f"{kind}: {'the other' if joint == 'own' else 'its'} side"
        off = abs(centres[side, 0] - first - CROP_SIZE / 2)
        lost = joint == "own" and kind in GRADABLE and off >= FAR
        yield Knee(part, scan, crops[side], grades[side], bool(doubts[side]), lost)


def _hand_side(counts: NDArray[np.uint16], first: int) -> int | None:
    """The side with the hottest spot at the legs; None where it is not in the crop's rows."""
    low, high = 440, 800
    squares = uniform_filter(counts[0, low:high].astype(np.float64), 5)
    row, column = np.unravel_index(int(squares.argmax()), squares.shape)
    return int(column >= CROP_SIZE) if first <= row + low < first + CROP_SIZE else None


@dataclass(frozen=True, eq=False)
class Grader:
    """Refitted networks that grade together, and the limits of their flags."""

    networks: Sequence[GradeClassifier]
    limits: FlagLimits
    likeness: Likeness

    def grades(self, crops: NDArray[np.uint16]) -> tuple[NDArray[np.int64], Flags]:
        """Grades, int64 (knee,), and flags of the probabilities and features, bool (knee,)."""
        members = np.stack([_seen(each, crops)[0] for each in self.networks])
        distances = self.likeness.distances(_seen(self.networks[0], crops)[1])
        mean = members.mean(axis=0)
        flags = {
            "flat": entropy(mean) > self.limits.entropy,
            "members": disagreement(members) > self.limits.disagreement,
            "unlike": distances > self.likeness.limit,
        }
        return DECISION.grades(mean), flags


def _seen(
    classifier: GradeClassifier, crops: NDArray[np.uint16]
) -> tuple[Array, NDArray[np.float32]]:
    """Probabilities float64 (knee, grade 5) and features float32 (knee, feature) of crops."""
    chances, features = [], []
    pooled = cast(PooledCNN, classifier.network).pooled
    for some in np.array_split(crops, max(1, len(crops) // 200)):
        batch = torch.from_numpy(scale_crops(sum_neighbours(some, 32), "standard"))
        with torch.inference_mode():
            shares = classifier.probabilities(classifier(batch).double(), len(some))
            samples, _ = classifier.samples(batch, {})
            features.append(pooled(samples).reshape(len(some), -1).numpy())
        chances.append(shares.numpy())
    return np.concatenate(chances), np.concatenate(features)


def train_grader(folder: Path, cache: Path, *, seed: int, epochs: int) -> Grader:
    """Train the folds and the refit of each member on the cohort of a seed."""
    always = [f"data.phantom_seed={seed}", f"paths.cache={cache}", f"trainer.max_epochs={epochs}"]
    always += ["logger=csv", "plots=false", "test=never", "keep=all"]
    members, networks = [], []
    for member in MEMBERS:
        folds = []
        for fold in (*range(5), "null"):
            cell = folder / f"member={member} fold={fold}"
            train_cell(cell, [*always, f"seed={member}", f"data.fold={fold}"])
            if fold != "null":
                folds.append(read_predictions(cell / PREDICTIONS_NAME)[str(epochs)])
        members.append(np.concatenate([each.probabilities for each in folds]))
        classifier = build_classifier(saved_config(cell), np.arange(5))
        classifier.take_epoch(epoch_checkpoint(cell, epochs), epochs)
        networks.append(classifier.eval())
    cohort = read_cohort(find_scans(cached_phantom(cache, patients=PATIENTS, seed=seed)))
    development = set(cohort.patients) - set(PatientSplit.load(cell / SPLIT_NAME).test)
    trained = np.isin(cohort.knee_patients, list(development))
    features = _seen(networks[0], cohort.crops[trained])[1]
    likeness = Likeness.fitted(features, cohort.knee_patients[trained])
    return Grader(networks, FlagLimits.fitted(np.stack(members)), likeness)


def main() -> None:
    """Train, flag and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scans", type=int, default=200, help="of each style and case")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=SCAN_SEED, help="of the scans")
    parser.add_argument("--training-seed", type=int, default=TRAINING_SEED)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        cells, cache = Path(folder) / "cells", Path(folder) / "cache"
        cells.mkdir()
        grader = train_grader(cells, cache, seed=arguments.training_seed, epochs=arguments.epochs)
    print(f"| knees | number | flagged % | {' | '.join(FLAGS)} | kappa | kappa of the others |")
    print("| --- " * (len(FLAGS) + 5) + "|", flush=True)
    lost: list[Knee] = []
    for style, case in KINDS:
        kinds: dict[str, list[Knee]] = defaultdict(list)
        for knee in fresh_knees(style, case, scans=arguments.scans, seed=arguments.seed):
            kinds[knee.kind].append(knee)
            if knee.lost:
                lost.append(knee)
        for kind, knees in kinds.items():
            print(_line(kind, knees, grader), flush=True)
    print(_line(LOST, lost, grader))


def _line(kind: str, knees: Sequence[Knee], grader: Grader) -> str:
    given, flags = grader.grades(np.stack([each.crops for each in knees]))
    flags["crop"] = np.array([each.doubtful for each in knees])
    flagged = np.any(list(flags.values()), axis=0)
    shares = [f"{100 * flags[name].mean():.1f}" for name in FLAGS]
    kappas = [_kappa(knees, given, kept) for kept in (np.ones(len(knees), dtype=bool), ~flagged)]
    columns = [kind, str(len(knees)), f"{100 * flagged.mean():.1f}", *shares, *kappas]
    return f"| {' | '.join(columns)} |"


def _kappa(knees: Sequence[Knee], given: NDArray[np.int64], kept: NDArray[np.bool_]) -> str:
    """Quadratic kappa of the kept knees that have a grade, with its 95 % interval."""
    grades, scans = (np.array([(each.grade, each.scan) for each in knees])).T
    chosen = kept & (grades >= 0)
    if chosen.sum() < 20:
        return "-"
    scans, patient = np.unique(scans[chosen], return_inverse=True)
    counts = np.zeros((1, len(scans), 5, 5), dtype=np.int64)
    np.add.at(counts[0], (patient, grades[chosen], given[chosen]), 1)
    weights = draw_patients(len(scans), draws=2000)
    draws = score_draws(weights, counts, {"kappa": quadratic_kappa})["kappa"][0]
    low, high = percentile_interval(draws, len(scans))
    return f"{float(quadratic_kappa(counts[0].sum(axis=0))):.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
