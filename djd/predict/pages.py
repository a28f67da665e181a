"""The page over all graded scans, out of the rows of `predictions.csv`."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import NamedTuple
from urllib.parse import quote

from djd.grades import SIDES
from djd.predict.patient import flags_of
from djd.report.page.page import own_page
from djd.wording import count_of, number

HEAD = ("scan", "worse knee", "side", "right", "left", "apart", "flags")


class ScanRow(NamedTuple):
    """A scan in the table: its name, other cells, the address of its picture, and a class."""

    scan: str
    cells: Sequence[str]
    picture: str
    kind: str


def index_page(
    knees: Iterable[Mapping[str, str]],
    *,
    model: str,
    stamp: str | None,
    sentences: Sequence[str] = (),
) -> str:
    """The page as HTML: a row a scan, sortable, and a sentence for each that wasn't graded.

    Args:
        knees: Rows of `predictions.csv`; those of a file follow each other.
        model: Which model graded.
        stamp: Such as PHANTOM; None for none.
        sentences: Stand above the table.
    """
    rows, failed = [], []
    for _, group in groupby(knees, key=lambda knee: knee["file"]):
        both = list(group)
        if error := both[0]["error"]:
            failed.append(error)
        else:
            rows.append(_row(both))
    doubtful = sum(row.kind == "doubtful" for row in rows)
    said = f"{count_of(len(rows), 'scan')} graded, {doubtful} with a doubtful knee"
    values = {
        "title": "Knee DJD grades",
        "stamp": stamp,
        "model": model,
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "sentences": [f"{each}." for each in (said, *sentences)],
        "head": HEAD,
        "rows": rows,
        "unreadable": failed,
    }
    return own_page(__package__, "index", values)


def _row(knees: Sequence[Mapping[str, str]]) -> ScanRow:
    by_side = {knee["side"]: knee for knee in knees}
    right, left = (by_side[side] for side in SIDES)
    means = float(right["expected"]), float(left["expected"])
    worse = SIDES[int(means[1] > means[0])]
    flags = sorted(flags_of(knees))
    cells = (
        _grade(by_side[worse]),
        worse,
        _grade(right),
        _grade(left),
        number(abs(means[0] - means[1]), decimals=1),
        ", ".join(flags) or "-",
    )
    address = quote(knees[0]["picture"])
    return ScanRow(knees[0]["scan"], cells, address, "doubtful" if flags else "")


def _grade(knee: Mapping[str, str]) -> str:
    return f"{knee['predicted']} {knee['name']} ({number(float(knee['expected']), decimals=1)})"
