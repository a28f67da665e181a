"""Printed commands, read back as shells and programs read them."""

import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from djd import wording
from djd.runs.command_line import quote_paths, rerun_command
from djd.runs.config import read_config
from djd.wording import in_shell
from tests.conftest import compose_values


def after_cmd(line: str) -> str:
    """What cmd.exe hands on: carets outside quotes are gone; a bare `&` would end the command."""
    handed, quoted, signs = "", False, iter(line)
    for sign in signs:
        if sign == "^" and not quoted:
            handed += next(signs)
            continue
        assert quoted or sign not in "&|<>", "cmd.exe takes it for its own"
        assert sign != "%", "cmd.exe would look for a variable"
        quoted ^= sign == '"'
        handed += sign
    return handed


def arguments(line: str) -> list[str]:
    """The words of a command line by the rules of Microsoft's C runtime."""
    words, word, quoted, begun, at = [], "", False, False, 0
    while at < len(line):
        slashes = len(line[at:]) - len(line[at:].lstrip("\\"))
        at += slashes
        if line[at : at + 1] == '"':
            word += "\\" * (slashes // 2)
            if slashes % 2:
                word += '"'
            else:
                quoted = not quoted
            begun, at = True, at + 1
            continue
        word += "\\" * slashes
        begun = begun or bool(slashes)
        if line[at : at + 1] == " " and not quoted:
            words += [word] if begun else []
            word, begun = "", False
        elif at < len(line):
            word, begun = word + line[at], True
        at += 1
    return [*words, word] if begun else words


@pytest.fixture(autouse=True)
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wording, "FOR_WINDOWS", True)


TYPEABLE = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=' "%^&\\'))


@given(st.lists(TYPEABLE, min_size=1, max_size=4))
def test_any_words_arrive_through_cmd(words: list[str]) -> None:
    assert arguments(after_cmd(in_shell("python", *words))) == ["python", *words]


@pytest.mark.parametrize(
    ("word", "spelt"),
    [
        ("model.depth=2", "model.depth=2"),
        ("optim=sgd,adam", '"optim=sgd,adam"'),
        ("data.root='C:/x y'", "\"data.root='C:/x y'\""),
        ("data.root=C:\\scans\\new", "data.root=C:\\scans\\new"),
        ("data.root=C:\\my scans\\", '"data.root=C:\\my scans\\\\"'),
        ("a&b", '"a&b"'),
        ("100%PATH%", '^"100^%PATH^%^"'),
        ("", '""'),
    ],
)
def test_words_are_quoted_for_windows_only_where_they_need_it(word: str, spelt: str) -> None:
    assert in_shell(word) == spelt


@pytest.mark.parametrize("path", ["C:\\my scans\\new\\", "\\\\server\\share\\a b", "D:\\it's"])
def test_a_path_of_windows_arrives_in_the_command_to_train_again(path: str) -> None:
    (typed,) = quote_paths([f"data.root={path}"])
    config = read_config(compose_values("data=mat", typed))
    assert config.data.root == Path(path)
    lines = rerun_command(config, threads=1).split(" ^\n")
    said = arguments(after_cmd(" ".join(line.strip() for line in lines)))
    root = next(each for each in said if each.startswith("data.root="))
    read = OverridesParser.create().parse_override(root).value()
    assert read == str(Path(path).absolute())


def test_a_backslash_before_the_closing_quote_is_no_part_of_a_path() -> None:
    (typed,) = arguments(after_cmd('"data.root=C:\\my scans\\"'))
    assert typed == 'data.root=C:\\my scans"', "as every program on Windows receives it"
    assert quote_paths([typed]) == ["data.root=C:\\my scans"]


def test_other_systems_get_a_posix_shells_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wording, "FOR_WINDOWS", False)
    words = ["python", "train.py", "data.root='/a b'", "optim=sgd,adam", ""]
    assert shlex.split(in_shell(*words)) == words
