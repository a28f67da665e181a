"""Which view each frame of a DICOM image shows, and how the patient lies in the frame.

View codes: DICOM PS3.16, context group 26, in SNOMED CT's and in SNOMED RT's coding. Frames point
to detectors, and detectors hold the codes: PS3.3 C.8.4.8 (frame vectors) and C.8.4.11 (detectors).
Directions: PS3.3 C.7.6.1.1.1 (letters) and C.7.6.2.1.1 (cosines; x to the patient's left, y to the
back, z to the head).
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from djd.data.scan import ViewOrder, wrong

if TYPE_CHECKING:
    from pydicom import Dataset

View = ViewOrder
VIEWS: tuple[View, ...] = get_args(View)

_VIEW_OF_CODE: dict[str, View] = {
    "399321004": "anterior",  # SNOMED CT
    "399001007": "posterior",
    "G-5215": "anterior",  # SNOMED RT
    "G-5216": "posterior",
}
_FEET_FIRST_CODES = frozenset(("102541007", "F-10480"))
"""PS3.16, context group 21, in both codings."""

_GENIE = (0x0011, "GEMS_GENIE_1")
"""GE's private block with the names of data set (12) and picture (30), such as `ANT_E`."""
_GENIE_NAMES = (0x12, 0x30)

VIEW_TAGS: tuple[str | int, ...] = (
    *("NumberOfFrames", "DetectorVector", "DetectorInformationSequence", "ViewCodeSequence"),
    *("ViewPosition", "ImageID", "SeriesDescription", 0x00110010, 0x00111012, 0x00111030),
)
"""What `frame_views` looks at."""

_ANTERIOR = frozenset(("ant", "anterior"))
_POSTERIOR = frozenset(("post", "pos", "posterior"))
"""Words of descriptions."""

_LEAST_COSINE = 0.9
"""Of an image axis and one of the patient's: 26 degrees apart."""


class Turn(NamedTuple):
    """What brings a frame upright, head at the top, as its detector sees the patient.

    Attributes:
        transpose: Rows and columns are exchanged, before anything else.
        flip_rows: The feet are at the top.
        flip_columns: Left and right are exchanged.
        says_rows: Whether the file says in which direction the rows run.
    """

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False
    says_rows: bool = False


def frame_count(header: "Dataset") -> int:
    """Declared number of frames, 1 where a file doesn't say."""
    return int(header.get("NumberOfFrames") or 1)


def frame_views(header: "Dataset") -> tuple[View | None, ...]:
    """View of each frame; None where the file doesn't say: the order of frames says nothing.

    Raises:
        ScanError: A frame has another view than these two.
    """
    count = frame_count(header)
    detectors = [_detector(header, frame) for frame in range(min(count, 16))]
    views = [_coded_view(each) if each is not None else None for each in detectors]
    if count == 1 and views == [None]:
        return (_coded_view(header) or _named_view(header),)
    return tuple(views)


def views_of(headers: Sequence["Dataset"]) -> list[View | None]:
    """View of each frame of a study's files, as `frame_views`.

    Of two files with a frame each, whose descriptions differ in ANT and POST alone, the second is
    the posterior one. By itself POST may mean after an injection.

    Raises:
        ScanError: A frame has another view than these two.
    """
    views = [view for each in headers for view in frame_views(each)]
    if len(headers) == len(views) == 2 and set(views) == {"anterior", None}:
        anterior, other = (_words([str(each.get("SeriesDescription") or "")]) for each in headers)
        if views[1] == "anterior":
            anterior, other = other, anterior
        if other & _POSTERIOR and anterior - _ANTERIOR == other - _POSTERIOR:
            return [view or "posterior" for view in views]
    return views


def turn_of(header: "Dataset", frame: int, view: View) -> Turn:
    """How a frame has to be turned, by PatientOrientation or ImageOrientationPatient.

    A file with several frames has one PatientOrientation, which can't say left and right for an
    anterior and a posterior frame alike: only its direction of head and feet counts.

    Raises:
        ScanError: The directions are no anterior or posterior view's, or contradict each other.
    """
    detector = _detector(header, frame)
    own = _directions(detector) if detector is not None else []
    common = _directions(header)
    several = frame_count(header) > 1
    if several:
        common = [_without_sides(each) for each in common]
    turns = [_turn(each, view) for each in own + common]
    lengths = {(each.transpose, each.flip_rows) for each in turns}
    sides = {each.flip_columns for each in (turns[: len(own)] if several else turns)}
    if len(lengths) > 1 or len(sides) > 1:
        received = "two that contradict each other"
        raise wrong("PatientOrientation", expected="one orientation", received=received)
    return turns[0] if turns else Turn()


def lies_feet_first(header: "Dataset") -> bool:
    """Whether the patient went into the camera feet first; an image's rows may still run down."""
    relations = _items(header, "PatientGantryRelationshipCodeSequence")
    codes = {str(each.get("CodeValue", "")) for each in relations}
    position = str(header.get("PatientPosition") or "")
    return position.upper().startswith("FF") or bool(codes & _FEET_FIRST_CODES)


def _detector(header: "Dataset", frame: int) -> "Dataset | None":
    """The detector of a frame, by the file's vector; the only one where there is one for all."""
    detectors = _items(header, "DetectorInformationSequence")
    vector = _numbers(header.get("DetectorVector"))
    if len(vector) == frame_count(header) and 1 <= vector[frame] <= len(detectors):
        return detectors[int(vector[frame]) - 1]
    if not vector and len(detectors) == 1 and frame_count(header) == 1:
        return detectors[0]
    return None


def _coded_view(item: "Dataset") -> View | None:
    codes = _items(item, "ViewCodeSequence")
    views = {_VIEW_OF_CODE.get(_code(each)) or _view_of_meaning(each) for each in codes}
    if not codes or not any(_code(each) or each.get("CodeMeaning") for each in codes):
        return None
    if len(views) == 1 and None not in views:
        return views.pop()
    expected = "the code of an anterior or a posterior view"
    raise wrong("ViewCodeSequence", expected=expected, received="another view's")


def _code(item: "Dataset") -> str:
    return str(item.get("CodeValue") or item.get("LongCodeValue") or "").strip()


def _view_of_meaning(item: "Dataset") -> View | None:
    meaning = str(item.get("CodeMeaning") or "").strip().casefold()
    return next((view for view in VIEWS if view == meaning), None)


def _named_view(header: "Dataset") -> View | None:
    """View of an image of one frame by its names, where they name one view and not the other.

    POST in a description may mean after an injection or a therapy.
    """
    names = [str(header.get(key) or "") for key in ("ViewPosition", "ImageID")]
    if _GENIE[1] in header.private_creators(_GENIE[0]):
        block = header.private_block(*_GENIE)
        names += [str(block[each].value) for each in _GENIE_NAMES if each in block]
    own = _words(names)
    words = own | _words([str(header.get("SeriesDescription") or "")])
    found: set[View] = set()
    if words & _ANTERIOR:
        found.add("anterior")
    if "posterior" in words or "post" in own:
        found.add("posterior")
    return found.pop() if len(found) == 1 and "post" not in words - own else None


def _words(texts: Iterable[str]) -> set[str]:
    return set(re.findall(r"[a-z]+", " ".join(texts).casefold()))


def _directions(item: "Dataset") -> list[tuple[str, str]]:
    """Where columns and rows run to, as the letters L, R, H, F, A, P, by each element that says."""
    found = []
    letters = item.get("PatientOrientation")
    if letters and not isinstance(letters, str) and len(letters) == 2 and all(letters):
        found.append((str(letters[0])[0].upper(), str(letters[1])[0].upper()))
    cosines = _numbers(item.get("ImageOrientationPatient"))
    if len(cosines) == 6:
        across, down = _letter(cosines[:3]), _letter(cosines[3:])
        # A planar image can't be axial: some programs write these cosines into every file.
        if not {across, down} <= set("LRAP"):
            found.append((across, down))
    return found


def _letter(cosines: Sequence[float]) -> str:
    axis = max(range(3), key=lambda each: abs(cosines[each]))
    if not abs(cosines[axis]) >= _LEAST_COSINE:
        return "?"
    return ("RL", "AP", "FH")[axis][cosines[axis] > 0]


def _without_sides(directions: tuple[str, str]) -> tuple[str, str]:
    """The same with a `*` for right or left."""
    across, down = ("*" if each in "LR" else each for each in directions)
    return across, down


def _turn(directions: tuple[str, str], view: View) -> Turn:
    transpose = directions[0] in "HF"
    across, down = directions[::-1] if transpose else directions
    if across not in "LR*" or down not in "HF":
        expected = "rows and columns along the body's length and width"
        received = " and ".join(directions)
        raise wrong("PatientOrientation", expected=expected, received=received)
    to_right = "L" if view == "anterior" else "R"
    return Turn(transpose, down == "H", across not in (to_right, "*"), says_rows=True)


def _items(item: "Dataset", keyword: str) -> "list[Dataset]":
    found = item.get(keyword)
    is_sequence = found is not None and not isinstance(found, str | bytes)
    return [each for each in found if hasattr(each, "private_block")] if is_sequence else []


def _numbers(value: Any) -> list[float]:
    """One number or several as a list; empty where they are none."""
    if value is None or isinstance(value, str | bytes):
        return []
    try:
        return [float(each) for each in (value if isinstance(value, Iterable) else [value])]
    except (TypeError, ValueError):
        return []
