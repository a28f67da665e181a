"""What a DICOM file shows: a whole-body image of nuclear medicine, or something else."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset

KIND_TAGS = ("SOPClassUID", "Modality", "ImageType", "Rows", "Columns", "BodyPartExamined")
"""What `other_kind` looks at."""

_NM_CLASSES = frozenset(("1.2.840.10008.5.1.4.1.1.20", "1.2.840.10008.5.1.4.1.1.5"))
"""Nuclear Medicine Image Storage, and what was used before 1998."""
CAPTURES = "1.2.840.10008.5.1.4.1.1.7"
"""Secondary Capture Image Storage; the classes with several frames have a number more."""
_DICOMDIR = "1.2.840.10008.1.3.10"

_WHOLE_BODY = frozenset(("WHOLE BODY", "WHOLEBODY"))
_OTHER_KINDS = frozenset(
    ("STATIC", "DYNAMIC", "GATED", "TOMO", "GATED TOMO", "RECON TOMO", "RECON GATED TOMO")
)
"""ImageType's third value: PS3.3 C.8.4.9.1.1."""
_LEAST_LONG = 2
"""Rows a column of an image that doesn't say what it shows, to be taken for a whole body."""


def other_kind(header: "Dataset") -> str | None:
    """What a file shows, if it isn't a whole-body image of nuclear medicine; None if it is one.

    Raises:
        ValueError: The header doesn't say.
    """
    sop_class = str(
        header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID", "")
    )
    if sop_class == _DICOMDIR:
        return "DICOMDIR"
    modality = str(header.get("Modality") or ("NM" if sop_class in _NM_CLASSES else "")).strip()
    if not sop_class and not modality:
        raise ValueError("no class of object and no modality")
    is_capture = f"{sop_class}.".startswith(f"{CAPTURES}.")
    if modality != "NM" or not (sop_class in _NM_CLASSES or is_capture or not sop_class):
        return _printed(modality) or "no modality"
    image_type = [_in_words(each) for each in values_of(header.get("ImageType"))]
    if set(image_type) & _WHOLE_BODY:
        return None
    other = _OTHER_KINDS.intersection(image_type)
    if other:
        return f"NM {min(other)}"
    body_part = _in_words(header.get("BodyPartExamined") or "")
    rows, columns = int(header.get("Rows") or 0), int(header.get("Columns") or 0)
    if rows >= _LEAST_LONG * columns > 0 or body_part in _WHOLE_BODY:
        return None
    if not rows or not columns:
        raise ValueError("no size: the header is cut off")
    return "NM capture" if is_capture else "NM of no kind"


def _printed(modality: str) -> str:
    """A modality as the standard writes them; text that isn't one could be anything."""
    return modality if len(modality) <= 16 and modality.isalpha() and modality.isupper() else ""


def _in_words(value: object) -> str:
    return str(value).upper().replace("_", " ").strip()


def values_of(value: object) -> list[object]:
    """The values of an element, none or more."""
    if value is None or isinstance(value, str):
        return [value] if value else []
    return list(value)  # type: ignore[call-overload, no-any-return]
