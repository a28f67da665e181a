from pathlib import Path

import pytest

from bench.fuzz import FORMATS, mutated, outcome, seed_file

FILES = 60


@pytest.mark.parametrize("kind", FORMATS)
def test_a_damaged_file_is_a_sentence_or_a_scan(kind: str, tmp_path: Path) -> None:
    if kind.startswith("dicom"):
        pytest.importorskip("pydicom", reason="pydicom isn't installed: pip install 'djd[dicom]'")
    if decoder := {"dicom-jpeg2000": "openjpeg", "dicom-jpeg": "libjpeg"}.get(kind):
        pytest.importorskip(decoder, reason=f"{decoder}, a decoder, isn't installed")
    whole = seed_file(kind)
    assert outcome(whole, kind, tmp_path) == "scan"
    found = {seed: outcome(mutated(whole, seed), kind, tmp_path) for seed in range(FILES)}
    assert set(found.values()) <= {"scan", "left out", "sentence"}, found
    assert "sentence" in found.values()
