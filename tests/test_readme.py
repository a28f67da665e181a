import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
READMES = ("README.md", "README.ko.md")


def blocks(name: str) -> list[str]:
    return re.findall(r"^```\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.M | re.S)


def test_the_korean_readme_has_the_commands_and_figures_of_the_english_one() -> None:
    english, korean = (blocks(name) for name in READMES)
    only_english = [block for block in english if block not in korean]
    assert [block for block in korean if block not in english] == []
    assert len(only_english) == 1, "what those who work on the code type"
    assert "pre-commit install" in only_english[0]


@pytest.mark.parametrize("name", READMES)
def test_links_of_the_readme_lead_to_files(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
    assert len(text.splitlines()) < 250


def test_every_key_of_the_readme_is_a_key_of_the_configuration() -> None:
    from tests.conftest import compose_values

    values = compose_values()
    values["recipe"] = values["choices"]["recipe"]
    for key in re.findall(r"^\| `([a-z_.]+)` \|", (ROOT / "README.md").read_text(), re.M):
        group, _, name = key.partition(".")
        assert group in values, key
        assert not name or name in values[group], key
