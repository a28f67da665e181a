"""File formats that a scan is read from: a module each, and a line below that registers the format.

A module outside of this package registers a format in the same way: `register(".npz", read_npz)`.
`data.format_module` names the module.

A DICOM file needs no suffix, and a scan may be in several of them: `dicom_headers` says which files
belong together, and `dicom` reads them.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from djd.data.formats.mat import read_mat
from djd.data.scan import GradeNames, Scan
from djd.errors import InputError

Reader = Callable[[Path, GradeNames], Scan]
"""Reads a file, given the grades of further spellings of severity names; raises `ScanError`."""

READERS: dict[str, Reader] = {}
"""Reader of each suffix, in lower case with its dot."""


def register(suffix: str, reader: Reader) -> None:
    """Read files of a suffix, such as `.npz` in any case, with a function."""
    READERS[suffix.lower()] = reader


def reader_of(path: Path) -> Reader | None:
    """The reader of a file by the file's suffix; None where no format has the suffix."""
    return READERS.get(path.suffix.lower())


def known_suffixes() -> str:
    """The suffixes of all formats, such as `.mat or .npz`."""
    return " or ".join(READERS)


DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
"""Files with one of these are DICOM, damaged ones too; others are where their first bytes are."""


def stem_of(path: Path) -> str:
    """A file's name without the suffix of a format; `1.2.840` is whole."""
    return path.stem if reader_of(path) or path.suffix.lower() in DICOM_SUFFIXES else path.name


def import_formats(module: str) -> None:
    """Import the module of `data.format_module`, which registers formats.

    Raises:
        InputError: The module can't be imported.
    """
    try:
        import_module(module)
    except Exception as error:  # a person's module may raise anything
        raise InputError(
            f"data.format_module: expected a module that can be imported, received {module} "
            f"({type(error).__name__}: {error}); a module of your own is found in the folders of "
            "PYTHONPATH"
        ) from error


register(".mat", read_mat)
