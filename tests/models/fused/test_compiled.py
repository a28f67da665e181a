"""Building the passes: once, for this machine, and never in anybody's way."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from djd.models.fused import compiled
from djd.models.fused.compiled import library
from tests.ordinary_user import posix

pytestmark = [
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here"),
    posix,
]


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


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "compiled"
    library.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "kept_folder", lambda: folder)
        assert library(in_double=False) is not None
    return folder


@pytest.fixture
def built(built_once: Path, kept: Path) -> Path:
    """The library in the folder, as this machine has built it."""
    shutil.copytree(built_once, kept)
    (path,) = kept.glob("*.so")
    return path


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


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9])
def test_a_damaged_file_is_not_loaded_but_built_again(built: Path, share: float) -> None:
    """Loading half a library kills the process."""
    whole = built.read_bytes()
    built.write_bytes(whole[: int(share * len(whole))])
    assert library(in_double=False) is not None
    assert built.read_bytes() == whole


@pytest.mark.usefixtures("built")
def test_a_file_of_another_user_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    monkeypatch.setattr(subprocess, "run", refuse)
    with pytest.raises(AssertionError, match="compiled again"):
        library(in_double=False)


def test_a_folder_that_cannot_be_written_costs_only_time(kept: Path) -> None:
    kept.parent.mkdir(parents=True)
    kept.write_text("a file, where the folder should be")
    assert library(in_double=False) is not None


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    "changed", ["another processor", "another compiler", "passes.c", "first.h"]
)
def test_what_was_built_elsewhere_is_not_taken(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    if changed == "another processor":
        monkeypatch.setattr(compiled, "_processor", lambda: "flags: fewer")
    elif changed == "another compiler":
        wrapper = tmp_path / "cc"
        wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("cc")} "$@"\n')
        wrapper.chmod(0o755)
        monkeypatch.setenv("CC", str(wrapper))
    else:
        sources = shutil.copytree(compiled.SOURCE.parent, tmp_path / "sources")
        with (sources / changed).open("a") as source:
            source.write("/* changed */\n")
        monkeypatch.setattr(compiled, "SOURCE", sources / "passes.c")
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
    assert not list(kept.iterdir())


def test_a_compiler_that_hangs_is_waited_for_once_a_folder(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\necho asked >> $0.asked\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("CC", str(slow))
    monkeypatch.setattr(compiled, "SECONDS_TO_COMPILE", 0.2)
    assert library(in_double=False) is None
    assert len((tmp_path / "slow.asked").read_text().splitlines()) == 2


@pytest.mark.parametrize("named", ["cc -O1", "no-such-compiler", "", "'"])
def test_the_compiler_may_be_named_with_flags_or_wrongly(
    kept: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setenv("CC", named)
    assert library(in_double=False) is not None


def test_where_nothing_may_be_run_from_the_systems_temporary_folder_it_is_built_elsewhere(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", os.devnull)
    assert library(in_double=False) is not None


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
