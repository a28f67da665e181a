"""Scans that aren't there yet: placeholders of cloud folders, and partial downloads.

A placeholder keeps the place of its scan, so that no patient moves between development and test.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from djd.data.formats import reader_of
from djd.data.names import scan_name

_ENDINGS = (
    *("icloud", "cloud", "cloudf", "nextcloud", "owncloud", "gdownload"),  # cloud folders
    *("crdownload", "part", "partial", "download", "opdownload"),  # browsers, curl, rclone
    *("filepart", "aria2", "tmp", "temp", "!sync", r"~\w+", "lftp-pget-status"),  # other programs
)
_PLACEHOLDER = re.compile(
    r"(?!\._)(?:\.syncthing\.|~syncthing~|\.)?(?P<scan>[^.~].*?\.\w+?)"
    rf"(?:\.[\w-]{{6,10}})?\.(?:{'|'.join(_ENDINGS)})",
    re.IGNORECASE,
)
_RSYNC = re.compile(r"\.(?P<scan>[^._].*\.\w+)\.\w{6}")
_FIREFOX = re.compile(r"(?P<stem>.+)\.(?=[\w-]*[A-Za-z])[\w-]{8}")
"""Firefox saves `name.mat` as `name.RANDOM1x.mat.part`."""

_NOT_HERE = 0x1000 | 0x40000 | 0x400000
"""Windows: offline, recall on open, recall on data access; see FILE_ATTRIBUTE_OFFLINE."""

_DATALESS = 0x40000000
"""macOS: SF_DATALESS."""

_LFS = b"version https://git-lfs"
_START = 512


def awaited_scan(path: Path) -> Path | None:
    """The scan that a placeholder stands for, `0000932.mat` for `.0000932.mat.icloud`; or None."""
    match = _PLACEHOLDER.fullmatch(path.name) or _RSYNC.fullmatch(path.name)
    if not match or not reader_of(scan := path.with_name(match["scan"])):
        return None
    if path.suffix.lower() == ".part" and (firefox := _FIREFOX.fullmatch(scan.stem)):
        return scan.with_stem(firefox["stem"])
    return scan


def scans_among(files: Iterable[Path]) -> list[Path]:
    """The scans among a folder's files, and each scan that only a placeholder is there of."""
    files = list(files)
    scans = [path for path in files if reader_of(path) and not path.name.startswith(".")]
    awaited = {scan_name(scan): scan for path in files if (scan := awaited_scan(path))}
    missing = awaited.keys() - set(map(scan_name, scans))
    return [*scans, *(awaited[name] for name in missing)]


def not_downloaded(path: Path) -> str | None:
    """What stands in place of a scan that can't be read, and the advice to download the scan.

    None where nothing says that the scan is only absent.
    """
    try:
        what = _in_place_of(path)
    except OSError:
        return None
    return what and f"{what}: the scan isn't downloaded yet, download it"


def _in_place_of(path: Path) -> str | None:
    if not os.path.lexists(path):
        names = [each.name for each in path.parent.iterdir() if awaited_scan(each) == path]
        return f"the placeholder {min(names)}" if names else None
    if not path.is_file():
        return None if path.exists() else "a link to a file that isn't there"
    state = path.stat()
    attributes = getattr(state, "st_file_attributes", 0) & _NOT_HERE
    dataless = getattr(state, "st_flags", 0) & _DATALESS
    if not state.st_size:
        return "0 bytes"
    if attributes or dataless or getattr(state, "st_blocks", 1) == 0:
        return "a file without its content"
    with path.open("rb") as file:
        start = file.read(_START)
    if start.startswith(_LFS):
        return "a Git LFS pointer"
    return None if any(start) else "a file that starts with zeros"
