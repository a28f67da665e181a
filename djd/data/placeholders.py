"""Scans that aren't there yet: placeholders of cloud folders, and partial downloads.

A placeholder keeps the place of its scan, so that no patient moves between development and test.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from djd.data.formats import DICOM_SUFFIXES, reader_of
from djd.data.formats.dicom_file import is_dicom
from djd.data.names import scan_name

_ENDINGS = (
    *("icloud", "cloud", "cloudf", "nextcloud", "owncloud", "gdownload"),  # cloud folders
    *("crdownload", "part", "partial", "download", "opdownload"),  # browsers, curl, rclone
    *("filepart", "aria2", "tmp", "temp", r"!\w+", "bc!", r"~\w+", "lftp-pget-status"),
    *("incomplete", "xltd", "gstmp", r"unison\.tmp", r"sb-[\w-]+"),  # other programs
)
_PLACEHOLDER = re.compile(
    r"(?!\._)(?:\.syncthing\.|~syncthing~|\.unison\.|\.)?(?P<scan>[^.~].*?\.\w+?)"
    rf"(?:\.[\w-]{{6,40}})?_?\.(?:{'|'.join(_ENDINGS)})",
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
    if not match or not _is_named_scan(scan := path.with_name(match["scan"])):
        return None
    if path.suffix.lower() == ".part" and (firefox := _FIREFOX.fullmatch(scan.stem)):
        return scan.with_stem(firefox["stem"])
    return scan


def _is_named_scan(path: Path) -> bool:
    return bool(reader_of(path)) or path.suffix.lower() in DICOM_SUFFIXES


def scans_among(files: Iterable[Path], *, dicom: bool) -> list[Path]:
    """The scans among a folder's files, and each scan with only a placeholder in its place.

    DICOM files, which may have no suffix, are among them where asked; drive errors are raised.
    """
    files = [path for path in files if reader_of(path) or dicom or awaited_scan(path)]
    awaited = {path: scan for path in files if (scan := awaited_scan(path))}
    scans = [
        path
        for path in files
        if path not in awaited
        and not path.name.startswith(".")
        and (_is_named_scan(path) or is_dicom(path))
    ]
    missing = {scan_name(scan): scan for scan in awaited.values() if dicom or reader_of(scan)}
    missing_names = missing.keys() - set(map(scan_name, scans))
    return [*scans, *(missing[name] for name in missing_names)]


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
