"""Formats that scans are read from, and the short way to read one scan."""

import subprocess
import sys
from pathlib import Path

import pytest

import djd
from tests.data.mat_files import write_v5


def test_a_scan_is_read_with_two_names_from_the_package(tmp_path: Path) -> None:
    from djd import ScanError, read_scan

    assert read_scan(write_v5(tmp_path / "0000058.mat")).grades == (4, 0)
    with pytest.raises(ScanError, match="nothing there"):
        read_scan(tmp_path / "0000059.mat")
    with pytest.raises(AttributeError, match="no attribute 'read_scans'"):
        _ = djd.read_scans  # type: ignore[attr-defined]


def test_importing_the_package_loads_no_numbers_library() -> None:
    code = "import djd, sys; print(sorted({'numpy', 'scipy', 'torch', 'h5py'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
