import ctypes

import pytest

from djd.machine import keep_freed_memory
from tests.ordinary_user import posix


@posix
def test_memory_is_kept_where_glibc_is() -> None:
    has_mallopt = hasattr(ctypes.CDLL(None), "mallopt")
    assert keep_freed_memory() == has_mallopt


@pytest.mark.parametrize("missing", [AttributeError, OSError, TypeError])
def test_other_systems_go_on_without(
    monkeypatch: pytest.MonkeyPatch, missing: type[Exception]
) -> None:
    """No such function on musl and macOS; no library of that name on Windows."""

    def load(name: str | None) -> object:
        raise missing

    monkeypatch.setattr(ctypes, "CDLL", load)
    assert keep_freed_memory() is False
