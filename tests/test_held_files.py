"""Files that another program holds open: Windows refuses to replace or remove them."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from djd import files
from djd.files import append_bytes, move, remove, write_whole
from tests.ordinary_user import as_ordinary_user, posix

ACTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "replace": ("replace", lambda path: write_whole(path, "new")),
    "append": ("open", lambda path: append_bytes(path, b"new")),
    "remove": ("unlink", remove),
    "move": ("rename", lambda path: move(path, path.with_name("elsewhere"))),
}


def held(monkeypatch: pytest.MonkeyPatch, method: str, place: Path, *, times: int) -> None:
    """Let Windows' error come so many times from a method of `Path` on one file."""
    real, left = getattr(Path, method), [times]

    def act(path: Path, *arguments: object, **keywords: object) -> object:
        if place in (path, *arguments) and left[0]:
            left[0] -= 1
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **keywords)

    monkeypatch.setattr(Path, method, act)


@pytest.mark.parametrize("name", ACTS)
def test_what_another_program_holds_for_a_moment_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "settings.csv"
    path.write_text("old")
    method, act = ACTS[name]
    held(monkeypatch, method, path, times=2)
    act(path)
    monkeypatch.undo()
    found = {each.name: each.read_text() for each in tmp_path.iterdir()}
    assert (
        found
        == {
            "replace": {"settings.csv": "new"},
            "append": {"settings.csv": "oldnew"},
            "remove": {},
            "move": {"elsewhere": "old"},
        }[name]
    )


@pytest.mark.parametrize("name", ACTS)
def test_what_stays_held_is_named_and_stays_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "settings.csv"
    path.write_text("old")
    method, act = ACTS[name]
    monkeypatch.setattr(files, "SECONDS_TO_TRY", 0.2)
    held(monkeypatch, method, path, times=-1)
    with pytest.raises(PermissionError, match="open in another program") as caught:
        act(path)
    assert caught.value.filename == str(path)
    monkeypatch.undo()
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"settings.csv": "old"}


@posix
def test_a_folder_without_permission_is_no_reason_to_wait(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    path = tmp_path / "settings.csv"
    path.write_text("old")
    tmp_path.chmod(0o555)

    def refused() -> str:
        began = time.monotonic()
        try:
            remove(path)
        except PermissionError as error:
            return f"{error.strerror} {time.monotonic() - began < files.SECONDS_TO_TRY}"
        return "removed"

    try:
        assert as_ordinary_user(refused) == "Permission denied True"
    finally:
        tmp_path.chmod(0o755)
