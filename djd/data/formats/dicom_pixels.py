"""The frames of a DICOM image as counts, with every declared size checked before decoding.

Decoders trust the sizes in a compressed stream, so these are compared with the header's first.
"""

import importlib.util
import math
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from djd.data.formats.dicom_file import INSTALL, quiet
from djd.data.formats.dicom_views import frame_count
from djd.data.scan import ScanError, wrong
from djd.wording import count_of

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.pixels.decoders.base import Decoder

MOST_PIXELS = 8 * 2**20
"""Of a frame; gamma cameras write up to a million."""
MOST_ROWS = 8192
"""And columns: resampling weighs each with each row of the study."""
MOST_FRAMES = 2
_MOST_GROWTH = 2
"""Bytes of a compressed frame over those of its pixels."""

INSTALL_JPEG = 'pip install "djd[dicom-jpeg]"'

_JPEG_2000 = frozenset(f"1.2.840.10008.1.2.4.{end}" for end in (90, 91, 201, 202, 203))
_JPEG = frozenset(f"1.2.840.10008.1.2.4.{end}" for end in (50, 51, 57, 70, 80, 81))
_BASELINE = "1.2.840.10008.1.2.4.50"
"""JPEG of 8 bits, which pillow reads too."""
_JPEG_FRAMES = frozenset((*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), 0xF7))
"""Second bytes of the markers that hold a JPEG's size; F7 is JPEG-LS."""


def read_frames(dataset: "Dataset") -> list[NDArray[Any]]:
    """Each frame, (row, column), counts a pixel after slope and intercept, of the file's type.

    With a slope or intercept they are float64.

    Raises:
        ScanError: The pixels are no counts, too many, cut off, or need a decoder that isn't there.
        Exception: The pixels are damaged.
    """
    rows, columns = _require_counts(dataset)
    decoder = _decoder(dataset)
    count = frame_count(dataset)
    encoded = list(_encoded_frames(dataset, decoder, count))
    slope, intercept = _scale(dataset)
    frames = []
    for index in range(count):
        if encoded:
            _require_size(encoded[index], rows, columns, decoder.UID)
        with quiet():
            pixels, _ = decoder.as_array(dataset, index=index, raw=True)
        if pixels.shape != (rows, columns):
            received = "x".join(map(str, pixels.shape))
            raise wrong("PixelData", expected=f"{rows}x{columns} pixels", received=received)
        stored = pixels if encoded else _without_unused_bits(pixels, dataset)
        if encoded and str(dataset.get("LossyImageCompression")) == "01" and not intercept:
            # Of pydicom's JPEG2000.dcm this leaves 0.9 % more counts than the camera's; its 3 %
            # of negative counts leave 1.9 % less.
            stored = np.maximum(stored, 0)
        is_scaled = (slope, intercept) != (1, 0)
        frames.append(stored.astype(np.float64) * slope + intercept if is_scaled else stored)
    return frames


def _require_counts(dataset: "Dataset") -> tuple[int, int]:
    """Rows and columns; raises `ScanError` where the header describes no counts."""
    colour = str(dataset.get("PhotometricInterpretation") or "")
    samples = int(dataset.get("SamplesPerPixel") or 1)
    if samples != 1 or colour != "MONOCHROME2":
        known = colour if colour in _COLOURS else "another" if colour else "none"
        received = f"{known} with {count_of(samples, 'value')} a pixel"
        raise wrong("PhotometricInterpretation", expected="MONOCHROME2: counts", received=received)
    if "ModalityLUTSequence" in dataset:
        raise wrong("ModalityLUTSequence", expected="none", received="one: pixels are no counts")
    if "PixelData" not in dataset:
        raise wrong("PixelData", expected="an image", received="none")
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    count, bits = frame_count(dataset), int(dataset.get("BitsAllocated") or 0)
    is_small = 0 < rows * columns <= MOST_PIXELS and max(rows, columns) <= MOST_ROWS
    if not is_small or not 1 <= count <= MOST_FRAMES:
        expected = f"one or two frames of at most {MOST_PIXELS} pixels"
        raise wrong("Rows", expected=expected, received=f"{count} of {rows}x{columns}")
    if bits not in (8, 16, 32):
        raise wrong("BitsAllocated", expected="8, 16 or 32", received=bits)
    stored, high = _stored_bits(dataset)
    if not 1 <= stored <= high + 1 <= bits:
        received = f"{stored} up to bit {high} of {bits}"
        raise wrong("BitsStored", expected="bits within the word", received=received)
    return rows, columns


_COLOURS = frozenset(("MONOCHROME1", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT"))


def _decoder(dataset: "Dataset") -> "Decoder":
    """The decoder of the file's transfer syntax.

    Raises:
        ScanError: No decoder is installed, or pydicom has none.
    """
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    implicit, little = dataset.original_encoding
    explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    plain = ImplicitVRLittleEndian if implicit else explicit
    syntax = dataset.file_meta.get("TransferSyntaxUID") or plain
    # pydicom asks the dataset itself which transfer syntax it has.
    dataset.file_meta.TransferSyntaxUID = syntax
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise wrong(
            "TransferSyntaxUID", expected="one that pydicom decodes", received="another one"
        ) from None
    if syntax in _JPEG and importlib.util.find_spec("libjpeg") is None:
        if not (syntax == _BASELINE and decoder.is_available):
            raise _no_decoder(f"{syntax.name} pixels", INSTALL_JPEG)
    elif not decoder.is_available:
        raise _no_decoder(f"{syntax.name} pixels", INSTALL)
    return decoder


def _no_decoder(what: str, install: str) -> ScanError:
    return ScanError(f"PixelData: expected a decoder of {what}, received none; say: {install}")


def _encoded_frames(dataset: "Dataset", decoder: "Decoder", count: int) -> Iterator[bytes]:
    """The compressed frames; none where pixels are plain. Raises `ScanError` for missing pixels."""
    from pydicom.encaps import generate_frames

    size = int(dataset.Rows) * int(dataset.Columns) * int(dataset.BitsAllocated) // 8
    if not decoder.is_encapsulated:
        if len(dataset.PixelData) < size * count:
            received = f"{len(dataset.PixelData)}: the file was cut off"
            raise wrong("PixelData", expected=f"{size * count} bytes", received=received)
        return
    frames = generate_frames(dataset.PixelData, number_of_frames=count)
    for _, frame in zip(range(count), frames, strict=False):
        if len(frame) > _MOST_GROWTH * size + 2**16:
            raise wrong("PixelData", expected=f"{size} bytes a frame", received=len(frame))
        yield frame


def _require_size(frame: bytes, rows: int, columns: int, syntax: str) -> None:
    """Raise `ScanError` where a compressed frame's own size isn't the header's."""
    if syntax in _JPEG_2000:
        size = _size_in_jpeg_2000(frame)
    elif syntax in _JPEG:
        size = _size_in_jpeg(frame)
    else:
        return
    if size != (rows, columns, 1):
        received = "x".join(map(str, size)) if size else "no size"
        raise wrong("PixelData", expected=f"one image of {rows}x{columns}", received=received)


def _size_in_jpeg_2000(frame: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and components, of one tile alone: ISO/IEC 15444-1, A.5.1."""
    start = frame.find(b"\xff\x4f\xff\x51")
    if not 0 <= start <= 256 or len(frame) < start + 42:
        return None
    sizes = struct.unpack_from(">8I", frame, start + 8)
    (components,) = struct.unpack_from(">H", frame, start + 40)
    columns, rows, left, top, tile_columns, tile_rows, *_ = sizes
    if tile_columns * tile_rows * 4096 < columns * rows:  # thousands of tiles
        return None
    return rows - top, columns - left, components


def _size_in_jpeg(frame: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and components: ISO/IEC 10918-1, B.2.2."""
    at = 2
    while at + 10 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        (length,) = struct.unpack_from(">H", frame, at + 2)
        if marker in _JPEG_FRAMES:
            rows, columns, components = struct.unpack_from(">HHB", frame, at + 5)
            return rows, columns, components
        at += 2 + length
    return None


def _stored_bits(dataset: "Dataset") -> tuple[int, int]:
    """The number of bits of a value, and the highest of them."""
    stored = int(dataset.get("BitsStored") or dataset.BitsAllocated)
    return stored, int(dataset.get("HighBit") or stored - 1)


def _without_unused_bits(pixels: NDArray[Any], dataset: "Dataset") -> NDArray[Any]:
    """The stored values, without other bits that share the words (such as overlays)."""
    stored, high = _stored_bits(dataset)
    if stored == dataset.BitsAllocated:
        return pixels
    values = (pixels.astype(np.int64) >> (high + 1 - stored)) & ((1 << stored) - 1)
    if int(dataset.get("PixelRepresentation") or 0):
        values -= (values >> (stored - 1)) << stored
    return values


def _scale(dataset: "Dataset") -> tuple[float, float]:
    """Slope and intercept from stored values to counts."""
    slope, intercept = (dataset.get(key) for key in ("RescaleSlope", "RescaleIntercept"))
    scale = 1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept)
    if not (0 < scale[0] < math.inf and math.isfinite(scale[1])):
        received = f"{scale[0]:g} and {scale[1]:g}"
        raise wrong("RescaleSlope", expected="a slope above 0 and an intercept", received=received)
    return scale
