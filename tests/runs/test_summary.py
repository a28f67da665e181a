"""Sentences of a run on the terminal."""

import sys

import pytest

from djd.runs.summary import SPARE_FILES, open_files_sentence

resource = pytest.importorskip("resource", reason="Windows has no such limit")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_more_runs_than_open_files_are_announced_with_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    assert open_files_sentence(1024 - SPARE_FILES) is None
    said = open_files_sentence(1620)
    assert said
    assert "each of 1,620 runs" in said
    assert "allows 1,024" in said
    assert said.endswith("type ulimit -n 65536 there first")
    assert "ulimit -n 200000 " in (open_files_sentence(100_000) or "")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, -1))
    assert open_files_sentence(10**6) is None
