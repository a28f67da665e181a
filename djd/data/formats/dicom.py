"""A scan out of the DICOM files of a study.

`dicom_headers` finds these files, `dicom_views` says what their frames show, `dicom_pixels` decodes
them, and `dicom_geometry` brings them to the matrix of the study. DICOM holds no grades of knees:
they come from a table (`data.labels`). Nothing of a header but sizes and codes gets into an error.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from djd.data.formats.dicom_file import quiet, read_whole
from djd.data.formats.dicom_geometry import Spacing, to_study
from djd.data.formats.dicom_kinds import other_kind
from djd.data.formats.dicom_pixels import read_frames
from djd.data.formats.dicom_views import (
    VIEWS,
    Turn,
    View,
    frame_views,
    lies_feet_first,
    turn_of,
    views_of,
)
from djd.data.oddities import is_upside_down
from djd.data.scan import SCAN_SHAPE, Scan, ScanError, ViewOrder, wrong
from djd.files import drive_failure

if TYPE_CHECKING:
    from pydicom import Dataset

NO_LABELS = (
    "grades: expected a table of grades, since DICOM holds none, received none; "
    "say: data.labels=grades.csv"
)

_NUMBERS = (
    *("NumberOfFrames", "Rows", "Columns", "PixelSpacing", "ImagerPixelSpacing"),
    *("RescaleSlope", "RescaleIntercept", "DetectorVector", "ImageOrientationPatient"),
)


def read_dicom(paths: tuple[Path, ...], view_order: ViewOrder | None) -> Scan:
    """Read one scan out of the files of `DicomStudy.paths`.

    `view_order` is the view of the first frame, or of the first file's, where the files don't say
    which view is which. A missing posterior view is a page of zeros.

    Raises:
        ScanError: The files are no whole-body scan.
        OSError: A drive failed.
    """
    datasets: list[Dataset] = []
    try:
        with quiet():
            datasets += [read_whole(path) for path in paths]
            for each in datasets:
                if kind := other_kind(each):
                    expected = "a whole-body image of nuclear medicine"
                    raise wrong("images", expected=expected, received=kind)
            pages = _pages(datasets, view_order)
    except ScanError:
        raise
    except Exception as error:  # pydicom raises many types on damaged files
        if drive_failure(error):
            raise
        # The text of pydicom's error may hold a value of the header.
        received = f"damaged ones ({type(error).__name__})"
        key = _damaged_element(datasets) or "file"
        raise wrong(key, expected="the DICOM files of a scan", received=received) from None
    missing: tuple[View, ...] = tuple(view for view in VIEWS if view not in pages)
    empty = np.zeros(SCAN_SHAPE[1:], dtype=np.uint16)
    counts = np.stack([pages.get(view, empty) for view in VIEWS])
    return Scan(
        name=paths[0].stem,
        counts=counts,
        grades=(None, None),
        named_grades=None,
        no_labels=NO_LABELS,
        missing_views=missing,
    )


def _damaged_element(datasets: Sequence["Dataset"]) -> str | None:
    """The first number whose text is none, such as a PixelSpacing of `2,26`."""
    for dataset in datasets:
        for key in _NUMBERS:
            try:
                np.array(dataset.get(key), dtype=np.float64)
            except Exception:  # pydicom raises many types
                return key
    return None


def _pages(
    datasets: Sequence["Dataset"], view_order: ViewOrder | None
) -> dict[View, NDArray[np.uint16]]:
    """Counts by view, uint16 (row 1024, column 256), upright."""
    found = [(each, frame) for each in datasets for frame in range(len(frame_views(each)))]
    views = _settled(views_of(datasets), view_order)
    if "anterior" not in views:
        expected = "an anterior view, which shows where the knees are"
        raise wrong("images", expected=expected, received="a posterior view alone")
    turns = [turn_of(each, frame, view) for (each, frame), view in zip(found, views, strict=True)]
    frames = [frame for each in datasets for frame in read_frames(each)]
    turned = [
        _turned(frame, _spacing(each), turn)
        for (each, _), frame, turn in zip(found, frames, turns, strict=True)
    ]
    pages = dict(zip(views, _brought_to_study(turned), strict=True))
    for (dataset, _), page, turn in zip(found, pages.values(), turns, strict=True):
        if lies_feet_first(dataset) and not turn.says_rows and is_upside_down(page[np.newaxis]):
            received = "a patient who lies feet first, and an image that seems to have the feet up"
            raise wrong("PatientOrientation", expected="where the head is", received=received)
    return pages


def _brought_to_study(
    frames: Sequence[tuple[NDArray[Any], Spacing | None]],
) -> list[NDArray[np.uint16]]:
    """Frames of one size together, so that their rows are moved alike."""
    first, spacing = frames[0]
    if all((each.shape, own) == (first.shape, spacing) for each, own in frames):
        return list(to_study(np.stack([each for each, _ in frames]), spacing))
    return [to_study(each[np.newaxis], own)[0] for each, own in frames]


def _settled(views: Sequence[View | None], view_order: ViewOrder | None) -> list[View]:
    """The view of each frame, those that the files don't name by `view_order`.

    Where one of two frames has no name, it is the other view.

    Raises:
        ScanError: A view isn't known, or is there twice.
    """
    if not 1 <= len(views) <= len(VIEWS):
        expected = "one anterior and one posterior frame"
        raise wrong("images", expected=expected, received=f"{len(views)} frames")
    if None in views and view_order is None:
        raise ScanError(
            "ViewCodeSequence: expected the view of each frame, received none; say which comes "
            "first, or is the only one: data.view_order=anterior or data.view_order=posterior"
        )
    ordered = VIEWS if view_order == "anterior" else VIEWS[::-1]
    unnamed = iter([view for view in ordered if view not in views])
    settled = [next(unnamed) if view is None else view for view in views]
    if len(set(settled)) < len(settled):
        raise wrong("ViewCodeSequence", expected="one frame a view", received="one view twice")
    return settled


def _turned(
    frame: NDArray[Any], spacing: Spacing | None, turn: Turn
) -> tuple[NDArray[Any], Spacing | None]:
    if turn.transpose:
        frame, spacing = frame.T, spacing and spacing[::-1]
    frame = frame[::-1] if turn.flip_rows else frame
    return (frame[:, ::-1] if turn.flip_columns else frame), spacing


def _spacing(dataset: "Dataset") -> Spacing | None:
    """PixelSpacing: the distance of rows, then of columns.

    Some writers have ImagerPixelSpacing in its place, the distance at the detector: with a gamma
    camera's parallel holes it is the same.
    """
    for key in ("PixelSpacing", "ImagerPixelSpacing"):
        value = dataset.get(key)
        if value is None or isinstance(value, str) or len(value) != 2:
            continue
        rows, columns = (float(each) for each in value)
        if not (0 < rows < np.inf and 0 < columns < np.inf):
            received = f"{rows:g} and {columns:g}"
            raise wrong(key, expected="two distances in mm", received=received)
        return rows, columns
    return None
