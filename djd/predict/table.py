"""`predictions.csv` of `djd predict`: a row a knee, written as scans are graded."""

import csv
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from djd.csv_files import append_rows, csv_lines, write_rows
from djd.data.scan import ScanFiles
from djd.errors import InputError
from djd.files import is_there, write_whole
from djd.grades import GRADE_COUNT, GRADE_NAMES, RESEARCH, SIDES
from djd.locks import remove_lock, try_lock
from djd.predict.grading import GradedScan, Grader, UnreadScan
from djd.runs.keys import free_name, spelt_alike
from djd.statistics.deciding import PROBABILITY_DIGITS, expected_grade
from djd.statistics.risk_coverage import entropy

TABLE_NAME = "predictions.csv"
PICTURES = "pictures"

_CHANCES = tuple(f"p{grade}" for grade in range(GRADE_COUNT))
_OF_KNEE = ("predicted", "name", *_CHANCES, "expected", "entropy", "row", "column", "flags")
_OF_FILE = ("file", "bytes", "modified")
COLUMNS = ("use", "stamp", "scan", "side", *_OF_KNEE, "error", "picture", "model", *_OF_FILE)

_LOCK_NAME = ".predict.lock"

Row = dict[str, str]


Draw = Callable[[GradedScan], bytes]
"""A scan's picture as a PNG."""


@dataclass(frozen=True)
class Predicted:
    """What became of the scans of a command.

    Attributes:
        path: The table.
        rows: Rows of `COLUMNS` of these scans, in their order: two of a graded scan, one with
            an error of another.
        table: Rows of the whole table: those of files of earlier commands, then `rows`.
        graded, failed: Numbers of scans.
        kept: Graded scans whose rows were there already.
    """

    path: Path
    rows: tuple[Row, ...]
    table: tuple[Row, ...]
    graded: int
    failed: int
    kept: int


def predict_into(
    folder: Path,
    grader: Grader,
    scans: Sequence[ScanFiles],
    on_scan: Callable[[int], None] = lambda done: None,
    *,
    draw: Draw | None = None,
) -> Predicted:
    """Grade scans into a folder's table and, where `draw` makes pictures, into `pictures/`.

    Rows of the same file and models that are there already are kept, those of other files too, so
    that a stopped command goes on; a scan whose picture is missing is graded again. `on_scan` is
    called with the number of scans done.

    Raises:
        InputError: The table is none, is of other models, or another process writes it.
        DriveError: The drive failed; rows so far are in the table.
        OSError: The table can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with try_lock(folder / _LOCK_NAME) as held:
        if not held:
            raise InputError(
                f"{folder}: expected a folder that nobody writes to, received one in which another "
                "djd predict is at work"
            )
        predicted = _predict(folder / TABLE_NAME, grader, scans, on_scan, draw)
    remove_lock(folder / _LOCK_NAME)
    return predicted


def _predict(
    path: Path,
    grader: Grader,
    scans: Sequence[ScanFiles],
    on_scan: Callable[[int], None],
    draw: Draw | None,
) -> Predicted:
    model = " ".join(each.digest for each in grader.models)
    there = _rows_there(path, model)
    files_of = {_file(each): each for each in scans}
    wanted = {file: _state(each) for file, each in files_of.items()}
    by_file = {file: rows for file, rows in there.items() if file not in wanted}
    kept = {file: there[file] for file in wanted if _is_same(there.get(file, ()), wanted[file])}
    if draw:
        kept = {file: rows for file, rows in kept.items() if _has_picture(path.parent, rows[0])}
    taken = {spelt_alike(Path(row["picture"]).stem) for row in _joined({**by_file, **kept})}
    write_rows(path, COLUMNS, _joined({**by_file, **kept}))
    done = len(kept)
    on_scan(done)
    graded = dict(kept)
    for each in grader.grade_each(files_of[file] for file in wanted if file not in kept):
        assert each.files  # files alone were given
        file = _file(each.files)
        picture = ""
        if draw and isinstance(each, GradedScan):
            last = each.name.rpartition("/")[2]  # scans of subfolders have no folders of pictures
            picture = f"{PICTURES}/{free_name(last, _digest(file), taken)}.png"
            (path.parent / PICTURES).mkdir(exist_ok=True)
            write_whole(path.parent / picture, draw(each))
        of_all = {"use": RESEARCH, "stamp": grader.stamp or "", "model": model, "picture": picture}
        rows = [{**of_all, **row} for row in _rows_of(each, wanted[file])]
        append_rows(path, COLUMNS, rows)
        graded[file] = rows
        done += 1
        on_scan(done)
    # In the order of the command, whatever was kept or failed before.
    ordered = {file: graded[file] for file in wanted}
    whole = _joined({**by_file, **ordered})
    write_rows(path, COLUMNS, whole)
    failed = sum(any(row["error"] for row in rows) for rows in ordered.values())
    of_these = tuple(_joined(ordered))
    return Predicted(path, of_these, tuple(whole), len(ordered) - failed, failed, len(kept))


def _has_picture(folder: Path, row: Row) -> bool:
    return bool(row["picture"]) and is_there(folder / row["picture"])


def _digest(file: str) -> str:
    return hashlib.blake2b(file.encode(errors="surrogateescape")).hexdigest()


def _joined(by_file: dict[str, list[Row]]) -> list[Row]:
    return [row for rows in by_file.values() for row in rows]


def _rows_there(path: Path, model: str) -> dict[str, list[Row]]:
    """Rows of an earlier command by file; raises InputError where they are of other models."""
    if not is_there(path):
        return {}
    try:
        lines = csv_lines(path)
        header = next(lines, [])
        # A command that was killed may have left half a line at the end.
        rows = [dict(zip(header, line, strict=True)) for line in lines if len(line) == len(header)]
    except (ValueError, csv.Error):
        header, rows = [], []
    if tuple(header) != COLUMNS:
        raise InputError(
            f"{path}: expected predictions of this version of djd predict, received another file; "
            "choose another --out"
        )
    if {row["model"] for row in rows} - {model}:
        raise InputError(
            f"{path}: expected predictions of the same models, received those of others; choose "
            "another --out"
        )
    by_file: dict[str, list[Row]] = {}
    for row in rows:
        by_file.setdefault(row["file"], []).append(row)
    return by_file


def _file(files: ScanFiles) -> str:
    """The scan's first file, as the table names it."""
    return str(files.path.absolute())


def _state(files: ScanFiles) -> Row:
    """What a changed file would show; empty where a file is missing."""
    try:
        states = [path.stat() for path in files.paths]
    except (OSError, ValueError):
        return dict.fromkeys(_OF_FILE, "") | {"file": _file(files)}
    size, modified = sum(each.st_size for each in states), max(each.st_mtime_ns for each in states)
    return {"file": _file(files), "bytes": str(size), "modified": str(modified)}


def _is_same(rows: Sequence[Row], state: Row) -> bool:
    """Whether rows grade both knees of the file as it is now."""
    whole = [row["side"] for row in rows] == list(SIDES) and not any(row["error"] for row in rows)
    return whole and all(row[key] == value for row in rows for key, value in state.items())


def _rows_of(each: GradedScan | UnreadScan, state: Row) -> Iterable[Row]:
    if isinstance(each, UnreadScan):
        blank = dict.fromkeys(("side", *_OF_KNEE), "")
        yield {"scan": each.files.name, **blank, "error": str(each.error), **state}
        return
    expected, unsure = expected_grade(each.probabilities), entropy(each.probabilities)
    for place, side in enumerate(SIDES):
        chances = each.probabilities[place]
        numbers = dict(zip(_CHANCES, chances, strict=True))
        numbers |= {"expected": expected[place], "entropy": np.float64(unsure[place])}
        grade = int(each.predicted[place])
        yield {
            "scan": each.name,
            "side": side,
            "predicted": str(grade),
            "name": GRADE_NAMES[grade],
            **{name: f"{value:.{PROBABILITY_DIGITS}f}" for name, value in numbers.items()},
            "row": str(each.places.corners[place][0]),
            "column": str(each.places.corners[place][1]),
            "flags": "; ".join(each.flags[place]),
            "error": "",
            **state,
        }
