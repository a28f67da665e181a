"""Building the passes: once, for this machine, and never in anybody's way."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from djd.training.blocks import compiled
from djd.training.blocks.compiled import library

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Each test looks anew."""
    library.cache_clear()
    yield
    library.cache_clear()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, with a space and Korean letters in its path."""
    folder = tmp_path / "내 자료" / "compiled"
    monkeypatch.setattr(compiled, "kept_folder", lambda: folder)
    return folder


def refuse(*command: Any, **options: Any) -> None:
    raise AssertionError("compiled again")


def test_what_was_built_is_kept_and_taken_again(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert library(in_double=False) is not None
    assert len(list(kept.glob("*.so"))) == 1
    library.cache_clear()
    monkeypatch.setattr(subprocess, "run", refuse)
    assert library(in_double=False) is not None


def test_a_damaged_file_is_built_again(kept: Path) -> None:
    library(in_double=False)
    (built,) = kept.glob("*.so")
    damaged = built.read_bytes()[:100]
    built.unlink()  # this process has it in use
    built.write_bytes(damaged)
    library.cache_clear()
    assert library(in_double=False) is not None
    assert len(built.read_bytes()) > 1000


def test_a_folder_that_cannot_be_written_costs_only_time(kept: Path) -> None:
    kept.parent.mkdir(parents=True)
    kept.write_text("a file, where the folder should be")
    assert library(in_double=False) is not None


@pytest.mark.parametrize("changed", ["another processor", "another compiler", "another source"])
def test_what_was_built_elsewhere_is_not_taken(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    library(in_double=False)
    library.cache_clear()
    if changed == "another processor":
        monkeypatch.setattr(compiled, "_processor", lambda: "flags: fewer")
    elif changed == "another compiler":
        wrapper = tmp_path / "cc"
        wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("cc")} "$@"\n')
        wrapper.chmod(0o755)
        monkeypatch.setenv("CC", str(wrapper))
    else:
        source = tmp_path / "passes.c"
        source.write_text(compiled.SOURCE.read_text() + "\n/* changed */\n")
        monkeypatch.setattr(compiled, "SOURCE", source)
    assert library(in_double=False) is not None
    assert len(list(kept.glob("*.so"))) == 2


def test_without_a_compiler_there_is_no_library(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.delenv("CC", raising=False)
    assert library(in_double=False) is None


def test_a_compiler_that_fails_is_none(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "false")
    assert library(in_double=False) is None
    assert not kept.exists()


def test_a_compiler_that_does_not_know_the_processor_is_asked_without(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picky = tmp_path / "picky"
    picky.write_text(
        f'#!/bin/sh\ncase "$*" in *native*) exit 1;; esac\nexec {shutil.which("cc")} "$@"\n'
    )
    picky.chmod(0o755)
    monkeypatch.setenv("CC", str(picky))
    assert library(in_double=False) is not None
