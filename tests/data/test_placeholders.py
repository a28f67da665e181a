import os
from pathlib import Path

import pytest

from djd.data.cohort import read_cohort
from djd.data.cohort_cache import cached_cohort
from djd.data.placeholders import awaited_scan
from djd.data.problems import obstacles
from djd.data.scan_files import find_scans
from tests.data.test_cohort import write_scan

PLACEHOLDERS = [
    *(".0000002.mat.icloud", "0000002.mat.cloud", "0000002.mat.nextcloud", "0000002.mat.owncloud"),
    *("0000002.mat.crdownload", "0000002.mat.part", "0000002.mat.PARTIAL", "0000002.mat.download"),
    *("0000002.mat.opdownload", "0000002.aB3dE9xY.mat.part", "0000002.mat.a1b2c3d4.partial"),
    *(".0000002.mat.A1b2C3", "0000002.mat.filepart", "0000002.mat.aria2", "0000002.mat.tmp"),
    *(".syncthing.0000002.mat.tmp", "~syncthing~0000002.mat.tmp", ".0000002.mat.~1f2e"),
    *("0000002.mat.!sync", "0000002.mat.gdownload", "0000002.mat.!qB", "0000002.mat_.gstmp"),
    *("0000002.mat.ocTransferId1234567890.part", ".unison.0000002.mat.1f2e3d4c5b6a.unison.tmp"),
]


@pytest.mark.parametrize("name", PLACEHOLDERS)
def test_a_placeholder_keeps_the_place_of_its_scan_and_says_to_download_it(
    tmp_path: Path, name: str
) -> None:
    write_scan(tmp_path, "0000001")
    write_scan(tmp_path, "0000003")
    (tmp_path / name).write_bytes(b"bplist00")
    cohort = read_cohort(find_scans(tmp_path))
    assert cohort.scans == ("0000001", "0000002", "0000003")
    (sentence,) = obstacles(cohort, labels_from="auto", on_error="stop")
    assert f"0000002.mat: file: expected a scan, received the placeholder {name}" in sentence
    assert "download it" in sentence
    assert len(find_scans(tmp_path, ["0000002"])) == 2


def test_a_placeholder_beside_its_scan_is_ignored(tmp_path: Path) -> None:
    for name in (*PLACEHOLDERS, "0000002.MAT"):
        (tmp_path / name).write_bytes(b"x")
    assert [scan.path.name for scan in find_scans(tmp_path)] == ["0000002.MAT"]


@pytest.mark.parametrize(
    "name",
    [
        *("._0000002.mat", ".0000002.mat", "~$0000002.mat", ".~lock.0000002.mat#", ".DS_Store"),
        *("Unconfirmed 123.crdownload", "notes.txt.part", "0000002.mat.txt", "0000002.mat.backup"),
        *("manifest.csv", "part", ".part", ".mat.part", ".icloud", "._0000002.mat.icloud"),
    ],
)
def test_other_files_stand_for_no_scan(name: str) -> None:
    assert awaited_scan(Path("folder") / name) is None


def test_a_scan_that_comes_is_read_though_its_cohort_was_read_without_it(tmp_path: Path) -> None:
    scans, cache = tmp_path / "scans", tmp_path / "cache"
    scans.mkdir()
    write_scan(scans, "0000001")
    (scans / ".0000002.mat.icloud").write_bytes(b"x")

    def unreadable() -> list[str]:
        found = find_scans(scans)
        cohort = cached_cohort(cache, found, placement="study", labels_from="auto")
        return list(cohort.unreadable)

    assert unreadable() == ["0000002"]
    write_scan(scans, "0000002")
    assert unreadable() == []


@pytest.mark.parametrize(
    ("content", "received"),
    [
        (b"", "0 bytes"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a Git LFS pointer"),
        (bytes(5000), "a file that starts with zeros"),
        ("sparse", "a file without its content"),
        ("link", "a link to a file that isn't there"),
    ],
)
def test_a_scan_without_its_content_says_to_download_it(
    tmp_path: Path, content: bytes | str, received: str
) -> None:
    path = tmp_path / "0000001.mat"
    if content == "link":
        path.symlink_to(tmp_path / "annex" / "content")
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.touch()
        os.truncate(path, 100_000)
    sentence = read_cohort(find_scans(tmp_path)).unreadable["0000001"]
    assert f"received {received}: the scan isn't downloaded yet, download it" in sentence
