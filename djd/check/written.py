"""The files of a check: `check.html`, `check.csv` and the folder of the page's pictures."""

import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from djd.check.cohort_problems import Checked
from djd.check.page import check_page
from djd.check.pictures import common_black, set_black
from djd.check.problems import Problem
from djd.csv_files import write_rows
from djd.data.scan_files import ScanFolder
from djd.files import write_whole

PAGE_NAME, TABLE_NAME, PICTURES_NAME = "check.html", "check.csv", "check_pictures"

COLUMNS = ("effect", "kind", "scan", "side", "file", "what", "why", "to_do", "stamp")

_TOKEN = re.compile("[0-9a-f]{8}")


@contextmanager
def new_pictures(out: Path) -> Iterator[Path]:
    """A new folder for pictures below `out`, beside those of an earlier page.

    What is in it stays where `write_check` comes to its end, and is removed where it does not.

    Raises:
        OSError: The folder can't be made.
    """
    pictures = out / PICTURES_NAME / secrets.token_hex(4)
    pictures.mkdir(parents=True)
    try:
        yield pictures
    except BaseException:  # a stopped command, too: the earlier page keeps its pictures
        shutil.rmtree(pictures, ignore_errors=True)
        with suppress(OSError):
            pictures.parent.rmdir()  # unless there is an earlier page's
        raise


def write_check(
    out: Path, pictures: Path, found: Checked, scans: ScanFolder, *, train_line: str
) -> Path:
    """Write table and page, and remove the pictures of an earlier page; the path of the page.

    Raises:
        OSError: A file can't be written; the earlier page is still whole.
    """
    black = common_black(look.black for look in found.looks.values())
    for look in found.looks.values():
        set_black(pictures / look.picture, black)
    stamp = found.cohort.stamp
    write_rows(out / TABLE_NAME, COLUMNS, problem_rows(found.problems, scans, stamp))
    address = pictures.relative_to(out).as_posix()
    page = check_page(found, scans, pictures=address, black=black, train_line=train_line)
    write_whole(out / PAGE_NAME, page)
    for earlier in pictures.parent.iterdir():
        if earlier != pictures and _TOKEN.fullmatch(earlier.name):
            shutil.rmtree(earlier, ignore_errors=True)
    return out / PAGE_NAME


def problem_rows(
    problems: Sequence[Problem], scans: ScanFolder, stamp: str | None
) -> Iterator[dict[str, str]]:
    """The rows of `check.csv`, in the order of the problems."""
    files = files_of(scans)
    for each in problems:
        yield {
            "effect": each.effect,
            "kind": each.kind.name,
            "scan": each.scan or "",
            "side": each.side or "",
            "file": files.get(each.scan or "", ""),
            "what": each.what,
            "why": each.kind.why,
            "to_do": each.kind.to_do,
            "stamp": stamp or "",
        }


def files_of(scans: ScanFolder) -> dict[str, str]:
    """The files of each scan below the folder, by name of the scan."""
    return {
        each.name: "; ".join(path.relative_to(scans.root).as_posix() for path in each.paths)
        for each in scans
    }
