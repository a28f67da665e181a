"""Formats that scans are read from, and the short way to read one scan."""

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import djd
from djd import ScanError, read_scan
from djd.data import formats
from djd.data.scan_files import find_scans
from djd.errors import InputError
from djd.runs.config import RunConfig, read_config
from djd.runs.reading import read_data
from tests.conftest import TINY, compose_values
from tests.data.mat_files import write_v5
from tests.ordinary_user import link

ROOT = Path(__file__).parent.parent.parent


def test_a_scan_is_read_with_two_names_from_the_package(tmp_path: Path) -> None:
    assert read_scan(write_v5(tmp_path / "0000058.mat")).grades == (4, 0)
    with pytest.raises(ScanError, match="nothing there"):
        read_scan(tmp_path / "0000059.mat")
    with pytest.raises(AttributeError, match="no attribute 'read_scans'"):
        _ = djd.read_scans


def test_importing_the_package_loads_no_numbers_library() -> None:
    code = "import djd, sys; print(sorted({'numpy', 'scipy', 'torch', 'h5py'} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


ANY = np.arange(2 * 1024 * 256).reshape(2, 1024, 256).astype(np.uint16)


def documented_module() -> str:
    """The module of the page on formats, as a person copies the module."""
    page = (ROOT / "docs" / "data-format.md").read_text(encoding="utf-8")
    section = page.partition("## A format of your own")[2]
    return section.partition("```python\n")[2].partition("```")[0]


@pytest.fixture
def npz(
    phantom_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, Path]]:
    """A folder with a person's module, and a folder of scans for the module to read."""
    code, scans = tmp_path / "my code", tmp_path / "scans"
    code.mkdir()
    scans.mkdir()
    (code / "npz_scans.py").write_text(documented_module(), encoding="utf-8")
    for path in sorted(phantom_folder.glob("*.mat"))[:12]:
        scan = read_scan(path)
        grades = [-1 if grade is None else grade for grade in scan.grades]
        np.savez(scans / f"{path.stem}.npz", counts=scan.counts, grades=grades)
    monkeypatch.syspath_prepend(code)
    yield code, scans
    formats.READERS.pop(".npz", None)
    sys.modules.pop("npz_scans", None)


def config_of(folder: Path, cache: Path, *overrides: str) -> RunConfig:
    where = (f"data.root='{folder}'", f"paths.cache='{cache}'", "data.test_count=3")
    return read_config(compose_values(*TINY, "data=mat", *where, *overrides))


def mat_folder(phantom_folder: Path, scans: Path, folder: Path) -> Path:
    folder.mkdir()
    for path in scans.iterdir():
        link(folder / f"{path.stem}.mat", phantom_folder / f"{path.stem}.mat")
    return folder


def test_a_format_of_ones_own_gives_the_same_cohort(
    npz: tuple[Path, Path], phantom_folder: Path, tmp_path: Path
) -> None:
    _, scans = npz
    cache = tmp_path / "cache"
    with pytest.raises(InputError, match=r"expected \.mat scans in .*, received none"):
        read_data(config_of(scans, cache))
    own = config_of(scans, cache, "data.format_module=npz_scans")
    of_mat = config_of(mat_folder(phantom_folder, scans, tmp_path / "mat"), cache)
    (expected, split), (cohort, own_split) = read_data(of_mat), read_data(own)
    assert (cohort.scans, own_split) == (expected.scans, split)
    np.testing.assert_array_equal(cohort.crops, expected.crops)
    assert cohort.grades.tolist() == expected.grades.tolist()
    assert cohort.fingerprint() == expected.fingerprint()
    np.testing.assert_array_equal(read_data(own)[0].crops, cohort.crops)


def test_a_reader_that_changed_reads_the_scans_again(
    npz: tuple[Path, Path], tmp_path: Path
) -> None:
    code, scans = npz
    config = config_of(scans, tmp_path / "cache", "data.format_module=npz_scans")
    before, _ = read_data(config)
    module = code / "npz_scans.py"
    module.write_text(module.read_text().replace("int(grade)", "4 - int(grade)"))
    del sys.modules["npz_scans"]
    importlib.invalidate_caches()
    assert read_data(config)[0].grades.tolist() == (4 - before.grades).tolist()


def check(*arguments: str | Path, code: Path) -> subprocess.CompletedProcess[str]:
    """`djd check` in a process of its own, as a person starts it."""
    return subprocess.run(
        [sys.executable, "-c", "from djd.cli import main; main()", "check", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(code), str(ROOT)))},
        cwd=code,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_check_command_takes_a_format_of_ones_own(
    npz: tuple[Path, Path], phantom_folder: Path, tmp_path: Path
) -> None:
    code, scans = npz
    own = check(scans, "--test-count", "2", "--format-module", "npz_scans", code=code)
    mat = mat_folder(phantom_folder, scans, tmp_path / "mat")
    of_mat = check(mat, "--test-count", "2", code=code)
    lines = [line for line in of_mat.stdout.splitlines() if not line.startswith("PHANTOM")]
    assert own.stdout.splitlines()[:8] == lines[:8]
    assert own.returncode == of_mat.returncode == 0
    missing = check(scans, "--format-module", "nowhere", code=code)
    assert missing.returncode == 2
    assert missing.stderr.startswith("data.format_module: expected a module that can be imported")
    assert "PYTHONPATH" in missing.stderr


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "file: expected a scan, received 0 bytes"),
        (b"hello", r"file: expected a .npz scan, received a damaged one or another kind \(.+\)"),
        (
            {"counts": ANY},
            "grades: expected the grades of the right and left knee, received none",
        ),
        ({"grades": [0, 1], "counts": np.zeros((2, 8, 8))}, r"counts: .* received float64 of "),
    ],
)
def test_what_a_reader_refuses_is_one_sentence_with_the_file(
    npz: tuple[Path, Path], content: bytes | dict[str, Any], sentence: str
) -> None:
    _, scans = npz
    formats.import_formats("npz_scans")
    path = scans / "9999999.npz"
    if isinstance(content, dict):
        np.savez(path, **content)
    else:
        path.write_bytes(content)
    with pytest.raises(ScanError, match=rf"^{re.escape(str(path))}: {sentence}"):
        read_scan(path)


def test_one_scan_in_two_formats_is_one_sentence(
    npz: tuple[Path, Path], phantom_folder: Path
) -> None:
    _, scans = npz
    formats.import_formats("npz_scans")
    (stem,) = [path.stem for path in scans.iterdir()][:1]
    link(scans / f"{stem}.mat", phantom_folder / f"{stem}.mat")
    with pytest.raises(InputError, match=rf"one file a scan, received {stem}\.\w+, {stem}\."):
        find_scans(scans)
    with pytest.raises(
        ScanError, match=r"expected a \.mat or \.npz file, or DICOM, received \.txt"
    ):
        read_scan(scans / "notes.txt")
