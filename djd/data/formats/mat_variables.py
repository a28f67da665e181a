"""What the readers of all MATLAB versions share: what a scan needs, and how a fault is said."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from djd.data.scan import SCAN_SHAPE, ScanError

IMAGE_NAMES = ("Y", "V")
"""Names of the image: the usual one, and that of older files."""

MATLAB_SHAPE = (*SCAN_SHAPE[1:], SCAN_SHAPE[0])

NUMERIC_CLASSES = frozenset(
    ("double", "single", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
)
MOST_BYTES = 64 * 2**20
"""Of one unpacked value: a scan needs a megabyte."""

MOST_TEXT = 4096
"""Characters of a severity name that are looked at."""

_MOST_CHARACTERS = 40  # of a stranger's text in a sentence


@dataclass(frozen=True, eq=False)
class MatVariables:
    """What a scan needs of a MATLAB file, before anyone has looked whether it makes sense.

    Attributes:
        image_name: One of `IMAGE_NAMES`.
        image: (row 1024, column 256, view 2), of any numeric type.
        ids: `diaginfo.kneejointid`, of any type and shape.
        names: Texts of `diaginfo.kneejointname`, None in place of what is no text, and no texts
            where the field holds anything but texts; None where there is no such field.
    """

    image_name: str
    image: NDArray[Any]
    ids: NDArray[Any]
    names: Sequence[str | None] | None


def wrong(path: Path, key: str, *, expected: str, received: object) -> ScanError:
    """The error that a file's key is not as it should be, in one line."""
    sentence = f"{path}: {key}: expected {expected}, received {received}"
    return ScanError("".join(sign if sign.isprintable() else "?" for sign in sentence))


def require_image(path: Path, shape: tuple[int, ...], *, name: str, kind: str) -> None:
    """Refuse an image by its declared shape and type, before its values are unpacked.

    A file of 261 kB can unpack to 256 MiB.

    Args:
        path: For the sentence.
        shape: In MATLAB's order of axes.
        name: Of the variable.
        kind: Its MATLAB class.

    Raises:
        ScanError: It is not an array of numbers of `MATLAB_SHAPE`.
    """
    if shape != MATLAB_SHAPE or kind not in NUMERIC_CLASSES:
        raise wrong(
            path,
            name,
            expected=f"{described_shape(MATLAB_SHAPE)} counts",
            received=f"{described_shape(shape)} {kind}",
        )


def find_image(path: Path, present: Sequence[str]) -> str:
    """Name of the image among a file's variables.

    Raises:
        ScanError: There is none.
    """
    for name in IMAGE_NAMES:
        if name in present:
            return name
    shown = ", ".join(shortened(name) for name in present[:5]) or "no variables"
    raise wrong(path, "Y", expected="an image of that name (older files: V)", received=shown)


def described_shape(shape: tuple[int, ...]) -> str:
    """A shape as MATLAB writes it, such as 1024x256x2."""
    return "x".join(map(str, shape)) or "1x1"


def shortened(text: str) -> str:
    """A stranger's text, short enough for a sentence."""
    return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS] + "..."
