"""The knees that the page shows: which, their crops, and what spoke for their grades."""

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from djd.data.cohort import Cohort
from djd.data.split import PatientSplit
from djd.errors import InputError
from djd.files import is_there, read_bytes, write_whole
from djd.grades import GRADE_COUNT, GRADE_NAMES
from djd.runs.folder import epoch_checkpoint
from djd.statistics.held_out import HeldOut, most_wrong
from djd.sweeps.out_of_fold import by_repeat
from djd.sweeps.setting_scores import Evidence, Setting
from djd.wording import count_of, share

KNEES_NAME = "knees.npz"
"""Crops and maps of the shown knees, from which the page is drawn again without scans."""

MISSES = 6
"""Misses on the page."""

Data = Callable[[], tuple[Cohort, PatientSplit]]


@dataclass(frozen=True)
class ChosenKnee:
    """A knee out of fold; grades 0 to 4, five probabilities that sum to 1."""

    scan: str
    side: str
    grade: int
    given: int
    probabilities: tuple[float, ...]

    @property
    def in_words(self) -> str:
        """Scan, side, true grade and given grade."""
        given, chance = GRADE_NAMES[self.given], share(self.probabilities[self.given])
        return f"{self.scan} {self.side}: {GRADE_NAMES[self.grade]}, graded {given} ({chance})"


@dataclass(frozen=True, eq=False)
class ShownKnees:
    """The knees of the page.

    Attributes:
        knees: Those graded right, by grade, then the misses, the worst first.
        crops: uint16 (knee, view, row, column), counts a pixel.
        maps: uint8 (knee, map, row, column), 0 to 255: what speaks for the given grade in the
            first views. No maps where the network has no map of features.
        views: Names of the views.
        unmatched: Grades of which there are knees, and none was graded right.
        wrong, total: Numbers of knees graded wrong, and of all.
    """

    knees: tuple[ChosenKnee, ...]
    crops: NDArray[np.uint16]
    maps: NDArray[np.uint8]
    views: tuple[str, ...]
    unmatched: tuple[int, ...]
    wrong: int
    total: int

    @property
    def window(self) -> float:
        """Counts a pixel that are black in every picture."""
        from djd.plots.sheets import counts_window  # matplotlib takes half a second

        return counts_window(self.crops)

    @property
    def sentences(self) -> list[str]:
        """How to read the pictures, and grades without a typical knee."""
        said = [
            "Each knee was graded out of fold, by a network that did not train on its patient",
            f"In every picture 0 counts a pixel are white, {self.window:.0f} and more black",
        ]
        if self.maps.shape[1]:
            said.append(
                "Attention, in orange, marks the pixels that speak for the given grade, each map "
                "by its own largest value"
            )
        else:
            said.append("This network has no map of features, so its attention can't be shown")
        if self.unmatched:
            names = ", ".join(GRADE_NAMES[grade] for grade in self.unmatched)
            said.append(f"No knee of these grades was graded right: {names}")
        wrong = f"{self.wrong} of {count_of(self.total, 'knee')} were graded wrong"
        return [*said, wrong if self.wrong else "No knee was graded wrong"]

    def rows(self, *, right: bool) -> list[int]:
        """Places of the knees that were graded right, or of the misses."""
        return [
            place for place, each in enumerate(self.knees) if (each.grade == each.given) == right
        ]


def choose_knees(held_out: HeldOut) -> list[ChosenKnee]:
    """Of each grade one knee graded right, with the median probability; then the worst misses.

    The knees are those of the first repeat. Of an even number the less probable one is the median.
    """
    first = held_out.one(0)
    chances = first.probabilities[np.arange(len(first.grades)), first.predicted]
    places = []
    for grade in range(GRADE_COUNT):
        right = np.flatnonzero((first.grades == grade) & (first.predicted == grade))
        ordered = right[np.argsort(chances[right], kind="stable")]
        places += [int(ordered[(len(ordered) - 1) // 2])] if len(ordered) else []
    return [_knee(first, place) for place in [*places, *most_wrong(first, MISSES)]]


def _knee(held_out: HeldOut, place: int) -> ChosenKnee:
    scan, side, _ = held_out.knees[place]
    grades = int(held_out.grades[place]), int(held_out.predicted[place])
    return ChosenKnee(scan, side, *grades, tuple(held_out.probabilities[place].tolist()))


def shown_knees(
    folder: Path, evidence: Evidence, data: Data
) -> tuple[ShownKnees | None, str | None]:
    """The knees of the best setting, kept in a folder or made now, or a sentence why not.

    `data` reads the scans, which are needed only where the folder has no such knees yet.
    """
    if not evidence.settings:
        return None, None
    best, held_out = evidence.settings[0], evidence.held_out[0]
    chosen = choose_knees(held_out)
    try:
        crops, maps = _kept(folder, best, chosen) or _made(folder, best, chosen, data)
    except Exception as error:  # pictures are worth no answer
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        return None, f"no pictures of knees: {reason}"
    first = held_out.one(0)
    right = first.predicted == first.grades
    unmatched = set(first.grades.tolist()) - set(first.grades[right].tolist())
    counts = int((~right).sum()), len(right)
    views = best.configs[0].data.views
    names = ("anterior", "posterior") if crops.shape[1] > 1 else (views,)
    return ShownKnees(tuple(chosen), crops, maps, names, tuple(sorted(unmatched)), *counts), None


Pictures = tuple[NDArray[np.uint16], NDArray[np.uint8]]


def _made(folder: Path, best: Setting, chosen: Sequence[ChosenKnee], data: Data) -> Pictures:
    _require_weights(best)
    # torch and Lightning take seconds.
    from djd.report.explaining import explained

    crops, maps = explained(best, chosen, *data())
    content = io.BytesIO()
    np.savez_compressed(content, key=np.array(_key(best, chosen)), crops=crops, maps=maps)
    write_whole(folder / KNEES_NAME, content.getvalue())
    return crops, maps


def _require_weights(best: Setting) -> None:
    """Raise InputError where the first repeat of a setting has lost its weights."""
    for cell in by_repeat(best.cells)[0]:
        if not is_there(epoch_checkpoint(cell.folder, best.epochs)):
            name, keep = cell.folder.name, cell.config.keep
            raise InputError(f"{name} has no weights after epoch {best.epochs} (keep={keep})")


def _kept(folder: Path, best: Setting, chosen: Sequence[ChosenKnee]) -> Pictures | None:
    """Pictures in the folder; None where there are none, or of other knees or predictions."""
    try:
        with np.load(io.BytesIO(read_bytes(folder / KNEES_NAME))) as kept:
            key, crops, maps = (kept[name] for name in ("key", "crops", "maps"))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    whole = crops.ndim == maps.ndim == 4 and len(crops) == len(maps) == len(chosen)
    return (crops, maps) if whole and str(key) == _key(best, chosen) else None


def _key(best: Setting, chosen: Iterable[ChosenKnee]) -> str:
    return json.dumps([best.name, [asdict(each) for each in chosen]])
