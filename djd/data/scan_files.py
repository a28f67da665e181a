"""The scans of a folder and of its subfolders: which files each is in, and its name."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from pathlib import Path
from typing import Literal

from djd.data.formats import known_suffixes, reader_of
from djd.data.formats.dicom_file import is_dicom
from djd.data.formats.dicom_headers import DicomFolder, DicomStudy, dicom_scans
from djd.data.names import look_of, one_form
from djd.data.placeholders import scans_among
from djd.data.scan import ScanError, ScanFiles, name_below
from djd.errors import InputError, require_text
from djd.files import tried_again
from djd.wording import listed

Source = Literal["mat", "dicom"]
"""`mat` leaves DICOM files out; `dicom` has them and the files of all other formats."""

OnFault = Callable[[str, str | None], None]
"""Called with a sentence, and with the scan where one has a name."""

_OF_SYSTEMS = frozenset(("__MACOSX", "$RECYCLE.BIN", "System Volume Information", "@eaDir"))
"""Folders that systems make; what lies in them looks like scans."""


@dataclass(frozen=True)
class ScanFolder:
    """The scans below a folder.

    Attributes:
        root: The folder.
        scans: In order of name.
        excluded: How many scans were left out by name.
        left_out: How many files of a scan's format are no whole-body bone scan, by kind.
    """

    root: Path
    scans: tuple[ScanFiles, ...]
    excluded: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of scans."""
        return len(self.scans)

    def __iter__(self) -> Iterator[ScanFiles]:
        """The scans."""
        return iter(self.scans)

    def __getitem__(self, chosen: slice) -> "ScanFolder":
        """Some of the scans."""
        return replace(self, scans=self.scans[chosen])

    @property
    def names(self) -> list[str]:
        """Name of each scan."""
        return [scan.name for scan in self.scans]

    @property
    def patients(self) -> dict[str, str]:
        """Patient of each scan whose files say so, by name of the scan."""
        return {scan.name: scan.patient for scan in self.scans if scan.patient}

    def without(self, exclude: Iterable[str]) -> "ScanFolder":
        """The folder without the scans of these names.

        Raises:
            InputError: No scan is left.
        """
        names = frozenset(map(one_form, exclude))
        kept = tuple(scan for scan in self.scans if scan.name not in names)
        if not kept:
            raise _no_scans(self.root, known_suffixes(), f"{len(self.scans)} files, all excluded")
        excluded = self.excluded + len(self.scans) - len(kept)
        return replace(self, scans=kept, excluded=excluded)


def find_scans(
    root: Path,
    exclude: Iterable[str] = (),
    *,
    source: Source = "dicom",
    on_fault: OnFault | None = None,
) -> ScanFolder:
    """The scans of a folder and its subfolders, without those excluded by name.

    A scan with a placeholder in its place (`scans_among`) is among them, and can't be read. Hidden
    subfolders are left out. A linked subfolder is looked at once, whatever else leads there. DICOM
    files are one scan a study (`dicom_scans`); a scan in several files has the name of the first.

    Where `on_fault` is given, it is called in place of an error for two scans of one name, of which
    the first is kept, for a subfolder that can't be listed, and for a name that is no text.

    Raises:
        InputError: The folder is missing or holds no scan, it or a subfolder can't be listed, two
            scans have one name, or the name of one is no text.
    """
    kinds = f"{known_suffixes()} or DICOM" if source == "dicom" else known_suffixes()
    if not root.is_dir():
        received = "a file" if root.exists() else "nothing there"
        raise InputError(
            f"data.root: expected a folder of {kinds} scans, received {root} ({received})"
        )
    folders = _by_folder(root, on_fault)
    found = [path for files in folders for path in scans_among(files, dicom=source == "dicom")]
    found = list(_named_in_text(root, found, on_fault))
    dicom = [path for path in found if not reader_of(path) and is_dicom(path)]
    others = sorted(set(found).difference(dicom))
    try:
        studies = dicom_scans(dicom) if dicom else DicomFolder([], Counter())
    except ScanError as error:
        raise InputError(f"data.root: {root}: {error}") from None
    scans = [ScanFiles(_name(root, path), (path,)) for path in others]
    scans += _of_studies(root, studies.scans, {scan.name for scan in scans})
    scans.sort(key=lambda scan: scan.name)
    scans = _one_file_each(root, scans, on_fault)
    if not scans:
        raise _no_scans(root, kinds, _others(root, source, studies.left_out))
    return ScanFolder(root, tuple(scans), left_out=studies.left_out).without(exclude)


def _others(root: Path, source: Source, left_out: Mapping[str, int]) -> str:
    """What a folder without scans has in place of them."""
    if left_out:
        return f"others ({listed([f'{left_out[kind]} {kind}' for kind in sorted(left_out)])})"
    if source == "mat" and any(scans_among(files, dicom=True) for files in _by_folder(root)):
        return "DICOM files; say data=dicom"
    return "none"


def _of_studies(
    root: Path, studies: Sequence[DicomStudy], names: Collection[str]
) -> list[ScanFiles]:
    """Scans of DICOM studies; patients are numbered in order of their first scans' names.

    A number that is nearly the name of a scan is passed over.
    """
    named = [(_name(root, study.paths[0]), study) for study in studies]
    by_name = sorted(named, key=lambda each: each[0])
    taken = set(map(look_of, (*names, *(name for name, _ in by_name))))
    keys = list(dict.fromkeys(study.patient_key for _, study in by_name if study.patient_key))
    width = max(4, len(str(len(keys) + len(taken))))
    numbers = (f"P{number:0{width}d}" for number in count(1))
    patients = dict(
        zip(keys, (each for each in numbers if look_of(each) not in taken), strict=False)
    )
    return [
        ScanFiles(name, study.paths, patients.get(study.patient_key or ""), study.problem)
        for name, study in by_name
    ]


def _by_folder(root: Path, on_fault: OnFault | None = None) -> Iterator[list[Path]]:
    """The files of the folder and of each subfolder, each folder once."""
    seen: set[tuple[int, int] | str] = set()
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            if (identity := _identity(folder)) in seen:
                continue
            seen.add(identity)
            entries = tried_again(lambda: _entries(folder), folder)  # noqa: B023 (called at once)
        except OSError as error:
            sentence = f"data.root: {folder} can't be listed ({error.strerror})"
            if not on_fault or folder == root:
                raise InputError(sentence) from error
            on_fault(sentence, None)
            continue
        # Folders themselves come before links to them, and so name their scans.
        folders += [entry for entry, kind in reversed(entries) if kind == "link"]
        folders += [entry for entry, kind in reversed(entries) if kind == "folder"]
        yield [entry for entry, kind in entries if kind == "file"]


def _entries(folder: Path) -> list[tuple[Path, str]]:
    entries = []
    with os.scandir(folder) as found:
        for entry in sorted(found, key=lambda each: each.name):
            path = folder / entry.name
            if not _is_folder(entry):
                entries.append((path, "file"))
            elif not entry.name.startswith(".") and entry.name not in _OF_SYSTEMS:
                entries.append((path, "link" if entry.is_symlink() else "folder"))
    return entries


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _identity(folder: Path) -> tuple[int, int] | str:
    """What is the same for two ways to one folder; Windows' drives may lack the numbers."""
    state = folder.stat()
    return (state.st_dev, state.st_ino) if state.st_ino else os.path.realpath(folder)


def _one_file_each(
    root: Path, scans: Sequence[ScanFiles], on_fault: OnFault | None
) -> list[ScanFiles]:
    kept = list(scans[:1])
    for one, other in pairwise(scans):
        if one.name != other.name:
            kept.append(other)
            continue
        names = [each.path.relative_to(root).as_posix() for each in (one, other)]
        received = ", ".join(names)
        if one.path.stem != other.path.stem:  # they look the same
            shown = ", ".join(f"{name!a}" for name in names)
            received = f"{shown} (one name in two Unicode forms, or blanks)"
        sentence = f"{root}: expected one file a scan, received {received}"
        if not on_fault:
            raise InputError(sentence)
        on_fault(sentence, other.name)
    return kept


def _named_in_text(root: Path, paths: Iterable[Path], on_fault: OnFault | None) -> Iterator[Path]:
    for path in paths:
        try:
            _name(root, path)
        except InputError as error:
            if not on_fault:
                raise
            on_fault(str(error), None)
        else:
            yield path


def _name(root: Path, path: Path) -> str:
    shown = path.relative_to(root)
    require_text(f"{root}: name of a scan", str(shown))
    return name_below(shown)


def _no_scans(root: Path, kinds: str, received: str) -> InputError:
    return InputError(f"data.root: expected {kinds} scans in {root}, received {received}")
