"""Pinned versions: of what users need in one file, of the rest in another."""

import tomllib
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
USERS: list[str] = [*PROJECT["dependencies"], *EXTRAS["dicom"]]
DEVELOPERS: list[str] = [*EXTRAS["dev"], *(set(EXTRAS["dicom-jpeg"]) - {"djd[dicom]"})]


def pinned(name: str) -> set[str]:
    """Packages that a file gives a version on this Python."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return named(line for line in lines if "==" in line)


def wanted(requirements: Iterable[str]) -> list[Requirement]:
    """The requirements that hold for this Python."""
    every = map(Requirement, requirements)
    return [each for each in every if not each.marker or each.marker.evaluate()]


def named(requirements: Iterable[str]) -> set[str]:
    return {canonicalize_name(each.name) for each in wanted(requirements)}


def brought(requirements: Iterable[str]) -> set[str]:
    """Packages that come with requirements here, and what these bring in turn."""
    names: set[str] = set()
    waiting = wanted(requirements)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in names and not requirement.extras:
            continue
        names.add(name)
        for each in map(Requirement, distribution(requirement.name).requires or []):
            extras = {"", *requirement.extras}
            if not each.marker or any(each.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(each)
    return names


def test_users_install_what_the_software_needs_and_nothing_else() -> None:
    """Wheels of PyTorch for GPUs bring more, in the versions that they say themselves."""
    users = pinned("requirements.txt")
    assert named(USERS) <= users
    assert users <= brought(USERS)


def test_the_rest_is_what_tests_and_tools_need() -> None:
    text = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    rest = pinned("requirements-dev.txt")
    assert text.splitlines()[0] == "-r requirements.txt"
    assert named(DEVELOPERS) <= rest
    assert rest <= brought(DEVELOPERS) - brought(USERS)
