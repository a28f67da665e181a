"""The ledger of test openings: each is recorded in run and cache folder before it happens.

Every look at the test patients makes the next one worth less.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from djd.data.cohort import Cohort
from djd.data.split import PatientSplit
from djd.files import append_line, is_there, read_bytes
from djd.locks import wait_for_lock
from djd.runs.folder import LEDGER_NAME


def require_ledger(cache: Path) -> None:
    """Raise OSError where the ledger can't be written, before a training is spent."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / LEDGER_NAME).open("ab"):
        pass


def record_opening(
    cohort: Cohort, split: PatientSplit, *, setting: str, folder: Path, cache: Path
) -> int:
    """Record that the test patients are about to be scored, and return `count_openings`.

    Digests of pixels identify the scans, so another crop, label or file name starts no new count.
    """
    scans = _test_scans(cohort, split)
    return record_scans(cohort, scans, setting=setting, folders=(folder, cache))


def record_scans(
    cohort: Cohort, scans: Iterable[str], *, setting: str, folders: Sequence[Path]
) -> int:
    """Record an opening of test scans, by their names, in the ledgers of folders.

    Returns:
        Openings in the last folder's ledger that share a scan with these, this one included.
    """
    digests = _digests(cohort, scans)
    record = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "fingerprint": cohort.fingerprint(),
        "setting": setting,
        "test_scans": digests,
    }
    require_ledger(folders[-1])
    for ledger in (folder / LEDGER_NAME for folder in folders):
        # Two machines that append to one file at once overwrite each other over NFS.
        with wait_for_lock(ledger.with_name(f".{LEDGER_NAME}.lock")):
            append_line(ledger, record)
    return _count_sharing(folders[-1], digests)


def count_openings(cache: Path, cohort: Cohort, split: PatientSplit) -> int:
    """Openings in the cache's ledger that share a test patient with this split."""
    return _count_sharing(cache, _digests(cohort, _test_scans(cohort, split)))


def _count_sharing(cache: Path, digests: Sequence[str]) -> int:
    opened = [each.get("test_scans") for each in openings_in(cache / LEDGER_NAME)]
    return sum(isinstance(each, list) and not set(digests).isdisjoint(each) for each in opened)


def _test_scans(cohort: Cohort, split: PatientSplit) -> list[str]:
    test, scans = set(split.test), zip(cohort.scans, cohort.patients, strict=True)
    return [name for name, patient in scans if patient in test]


def _digests(cohort: Cohort, scans: Iterable[str]) -> list[str]:
    known = cohort.pixel_digests
    return sorted(known[name][:12] for name in scans if name in known)


def openings_in(ledger: Path) -> Iterator[dict[str, Any]]:
    """All openings of a ledger, the first one first; none without a ledger."""
    if not is_there(ledger):
        return
    for line in read_bytes(ledger).decode(errors="replace").splitlines():
        with suppress(ValueError):  # a line cut by a full disk; the others still count
            if isinstance(record := json.loads(line), dict):
                yield record
