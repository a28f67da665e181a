"""A folder of graded scans, graded by a model: who is scored, and who is left out."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from djd.data.cohort import Cohort
from djd.data.crop import crop_digests
from djd.data.scan import KneeGrades, Scan, ScanFiles, ViewOrder, read_scan
from djd.errors import InputError
from djd.files import cache_folder, is_there
from djd.grades import SIDES
from djd.models.model import Model
from djd.predict.doubts import Flags
from djd.predict.grading import GradedScan, Grader
from djd.predict.scoring import Distance, Scored, baselines_of, distance_of, score_knees
from djd.runs.folder import CONFIG_NAME, saved_config
from djd.runs.test_ledger import record_scans
from djd.statistics.held_out import HeldOut
from djd.statistics.metrics import Array


@dataclass(frozen=True, eq=False)
class ScoredFolder:
    """The knees of a folder that a model was not trained on, and their scores.

    Attributes:
        cohort: All that was read.
        graded: The scored knees; names are scan, side and patient.
        flags: Of each scored knee.
        trained_on: Graded knees left out because the model was trained on their patients.
        tested: Scored knees of the test patients of the model's own cohort.
        openings: Of these test patients, this one included; 0 without any.
    """

    cohort: Cohort
    graded: HeldOut
    flags: tuple[Flags, ...]
    trained_on: int
    tested: int
    openings: int
    distance: Distance
    scored: Scored


def score_cohort(
    cohort: Cohort,
    grader: Grader,
    files: Mapping[str, ScanFiles],
    on_scan: Callable[[int], None] = lambda done: None,
    *,
    cache: Path | None = None,
) -> ScoredFolder:
    """Grade and score the knees of a cohort whose patients the models were not trained on.

    Where test patients of a model's own cohort are among them, the ledger of its cache has the
    opening before it happens.

    Args:
        cohort: With one graded knee or more, cropped as the first model's are.
        grader: The models.
        files: Files of each scan by name.
        on_scan: Is called with the number of scans done.
        cache: Folder of the ledger; by default that of the first model's run.

    Raises:
        InputError: No knee is left; a file changed; the run's configuration is damaged.
        DriveError: The drive failed.
        OSError: The ledger can't be written.
    """
    digests = [row.tobytes() for row in crop_digests(cohort.crops)]
    seen, held_out = _digests(grader, "digests"), _digests(grader, "test_digests")
    of_knee = cohort.knee_patients
    trained = np.isin(of_knee, of_knee[[each in seen for each in digests]])
    if trained.all():
        raise InputError(
            f"{cohort.root}: expected knees of patients whom the model was not trained on, "
            f"received {len(cohort)} of patients whom it was trained on"
        )
    knees = np.flatnonzero(~trained)
    tested = [knee for knee in knees if digests[knee] in held_out]
    openings = 0
    if tested:
        scans = {cohort.scans[cohort.scan_index[knee]] for knee in tested}
        first = grader.models[0]
        folder = cache or _cache_of(first)
        setting = first.content.setting
        openings = record_scans(cohort, sorted(scans), setting=setting, folders=(folder,))
    graded, flags = _graded(cohort, knees, grader, files, on_scan)
    content = grader.models[0].content
    crops, quantiles = cohort.crops[knees], content.training.count_quantiles.numpy()
    return ScoredFolder(
        cohort=cohort,
        graded=graded,
        flags=flags,
        trained_on=int(trained.sum()),
        tested=len(tested),
        openings=openings,
        distance=distance_of(
            crops, flags, quantiles, has_features=bool(np.isfinite(grader.doubts.likeness.limit))
        ),
        scored=score_knees(graded, baselines_of(content, crops)),
    )


def _digests(grader: Grader, name: str) -> set[bytes]:
    trainings = [model.content.training for model in grader.models]
    return {row.tobytes() for each in trainings for row in getattr(each, name).numpy()}


def _cache_of(model: Model) -> Path:
    """The cache of the run whose folder a model lies in; the user's own elsewhere."""
    for folder in model.path.parents[:3]:  # of a refit: itself; of a run: above winner/<setting>
        if is_there(folder / CONFIG_NAME):
            return saved_config(folder).paths.cache
    return cache_folder()


def _graded(
    cohort: Cohort,
    knees: NDArray[np.int64],
    grader: Grader,
    files: Mapping[str, ScanFiles],
    on_scan: Callable[[int], None],
) -> tuple[HeldOut, tuple[Flags, ...]]:
    """The knees as the models grade them, and their flags."""
    wanted = np.unique(cohort.scan_index[knees])
    found: dict[int, tuple[NDArray[np.int64], Array, tuple[Flags, ...]]] = {}
    graded = grader.grade_each(_scans(cohort, wanted, files, grader.view_order))
    for index, each in zip(wanted.tolist(), graded, strict=True):
        of_scan = cast(GradedScan, each)
        found[index] = of_scan.predicted, of_scan.probabilities, of_scan.flags
        on_scan(len(found))
    names, predicted, chances, flags = [], [], [], []
    for scan, side in _places(cohort, knees):
        names.append((cohort.scans[scan], SIDES[side], cohort.patients[scan]))
        predicted.append(found[scan][0][side])
        chances.append(found[scan][1][side])
        flags.append(found[scan][2][side])
    grades = cohort.grades[knees]
    held_out = HeldOut.of_knees(tuple(names), grades, np.array(predicted), np.array(chances))
    return held_out, tuple(flags)


def _places(cohort: Cohort, knees: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Scan and side of knees."""
    return [(int(cohort.scan_index[knee]), int(cohort.side_index[knee])) for knee in knees]


def _scans(
    cohort: Cohort,
    wanted: NDArray[np.int64],
    files: Mapping[str, ScanFiles],
    view_order: ViewOrder | None,
) -> Iterator[Scan]:
    """Scans with the grades of the cohort: a network of both knees takes others for absent."""
    given = {
        place: int(grade)
        for place, grade in zip(_places(cohort, np.arange(len(cohort))), cohort.grades, strict=True)
    }
    for index in map(int, wanted):
        scan = read_scan(files[cohort.scans[index]], needs_labels=False, view_order=view_order)
        grades = tuple(given.get((index, side)) for side in range(len(SIDES)))
        yield replace(scan, grades=cast(KneeGrades, grades))
