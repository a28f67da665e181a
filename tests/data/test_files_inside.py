"""Files that a scan's file refers to are not opened, whatever kind of reference it is."""

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from djd.data.scan import ScanError, read_scan
from tests.data.mat_files import counts_image

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")

IN_OPEN = 0x20


class Watch:
    """Whether a file was opened since the last question."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None)
        self.descriptor = libc.inotify_init1(os.O_NONBLOCK)
        assert libc.inotify_add_watch(self.descriptor, str(path).encode(), IN_OPEN) >= 0

    def saw_opening(self) -> bool:
        try:
            return bool(os.read(self.descriptor, 4096))
        except BlockingIOError:
            return False


def image() -> np.ndarray[tuple[int, ...], np.dtype[np.uint16]]:
    return counts_image().T


def with_labels(file: h5py.File) -> h5py.Group:
    labels = file.create_group("diaginfo")
    labels["kneejointid"] = np.array([[2.0], [6.0]])
    return labels


def linked_image(file: h5py.File, other: Path) -> None:
    with_labels(file)
    file["Y"] = h5py.ExternalLink(str(other), "/Y")


def linked_labels(file: h5py.File, other: Path) -> None:
    file["Y"] = image()
    file["diaginfo"] = h5py.ExternalLink(str(other), "/diaginfo")


def linked_ids(file: h5py.File, other: Path) -> None:
    file["Y"] = image()
    file.create_group("diaginfo")["kneejointid"] = h5py.ExternalLink(str(other), "/Y")


def linked_names(file: h5py.File, other: Path) -> None:
    file["Y"] = image()
    with_labels(file)["kneejointname"] = h5py.ExternalLink(str(other), "/Y")


def external_image(file: h5py.File, other: Path) -> None:
    with_labels(file)
    size = 2 * image().size
    file.create_dataset("Y", shape=image().shape, dtype="u2", external=[(str(other), 0, size)])


def virtual_image(file: h5py.File, other: Path) -> None:
    with_labels(file)
    layout = h5py.VirtualLayout(shape=image().shape, dtype="u2")
    layout[:] = h5py.VirtualSource(str(other), "Y", shape=image().shape)
    file.create_virtual_dataset("Y", layout)


def growing_virtual_image(file: h5py.File, other: Path) -> None:
    with_labels(file)
    shape, grows = image().shape, (None, *image().shape[1:])
    layout = h5py.VirtualLayout(shape=shape, dtype="u2", maxshape=grows)
    source = h5py.VirtualSource(str(other), "Y", shape=shape, maxshape=grows)
    layout[0 : h5py.h5s.UNLIMITED, :, :] = source[0 : h5py.h5s.UNLIMITED, :, :]
    file.create_virtual_dataset("Y", layout)


@pytest.mark.parametrize(
    ("build", "is_scan"),
    [
        (linked_image, False),
        (linked_labels, True),
        (linked_ids, True),
        (linked_names, True),
        (external_image, False),
        (virtual_image, False),
        (growing_virtual_image, False),
    ],
)
def test_other_files_stay_closed(
    tmp_path: Path, build: Callable[[h5py.File, Path], None], is_scan: bool
) -> None:
    other, path = tmp_path / "other.h5", tmp_path / "0000001.mat"
    with h5py.File(other, "w") as file:
        file["Y"] = image()
        with_labels(file)
    with h5py.File(path, "w") as file:
        build(file, other)
    watch = Watch(other)
    if is_scan:
        read_scan(path, needs_labels=False)
    else:
        with pytest.raises(ScanError, match="expected a value in the file"):
            read_scan(path, needs_labels=False)
    assert not watch.saw_opening()
    other.read_bytes()
    assert watch.saw_opening()
