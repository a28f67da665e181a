import contextlib
import copy
import functools
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

import train
from djd import wording
from djd.machine import usable_cores
from djd.runs.duration import Pace
from hydra_plugins.djd import _composing
from tests.made_once import MakeOnce
from tests.ordinary_user import link
from tests.slurm_cluster import NoSlurmError, SlurmCluster, slurm_cluster

if TYPE_CHECKING:
    from tests.browser import Browser
    from tests.sweeping import Sweep

# Shared machines stall: slow examples are no failure. The examples are the same in every run.
hypothesis.settings.register_profile(
    "project",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("project")

MOST_WORKERS = 8
"""Processes that share the tests; each takes up to a gigabyte of memory."""


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """A process a core for all tests; for named ones, or on one core, pytest's own process.

    Each process spends seconds on imports.
    """
    workers = min(usable_cores(), MOST_WORKERS)
    return 0 if workers == 1 or config.args_source is config.ArgsSource.ARGS else workers


def pytest_configure(config: pytest.Config) -> None:
    """Processes beside each other have one thread each, as has what they start."""
    if config.getoption("tx", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


# Commands that tests read back are spelt for POSIX shells, on every system.
wording.FOR_WINDOWS = False

Compose = Callable[..., dict[str, Any]]

TINY = (
    "data.phantom_patients=40",
    "data.test_count=8",
    "data.folds=3",
    "model.depth=1",
    "model.width=2",
    "trainer.max_epochs=2",
    "trainer.threads=1",
    "trainer.accelerator=cpu",
    "score_epochs=[1]",
    "report=false",
    "plots=false",
    "recipe=none",
)


def compose_values(*overrides: str) -> dict[str, Any]:
    """The resolved configuration as plain values, as `train.py` hands it on.

    Where the overrides name no recipe, the plain network that most tests are about.
    """
    if not any(each.startswith(("recipe=", "experiment=")) for each in overrides):
        overrides = ("recipe=none", *overrides)
    if any("hydra.searchpath" in each for each in overrides):  # folders whose files may change
        return _composing.compose_values(train.CONF, overrides)
    places = Path.cwd(), train._cache(), os.environ.get("PYTHONPATH")
    return copy.deepcopy(_composed(overrides, *places))


@functools.cache  # a composition takes 0.1 s, and many tests have the same
def _composed(overrides: tuple[str, ...], *places: object) -> dict[str, Any]:
    """See `compose_values`; the values have these places in them."""
    return _composing.compose_values(train.CONF, overrides)


@pytest.fixture(scope="session")
def make_once(tmp_path_factory: pytest.TempPathFactory) -> MakeOnce:
    """Gives what the first of pytest's processes makes to all of them."""
    return MakeOnce(tmp_path_factory)


@pytest.fixture(scope="module")
def slurm() -> Iterator[SlurmCluster]:
    """A Slurm cluster of one node; without Slurm the test is skipped and says what is missing."""
    with contextlib.ExitStack() as stack:
        try:
            cluster = stack.enter_context(slurm_cluster())
        except NoSlurmError as error:
            pytest.skip(str(error))
        yield cluster


@pytest.fixture(scope="session")
def phantom_folder(make_once: MakeOnce) -> Path:
    """The invented cohort of 40 patients that all tests share; not to be changed.

    As read by default it lies beside, in `cohorts`.
    """
    from djd.data.cohort_cache import cached_cohort
    from djd.data.phantom.cohort import cached_phantom
    from djd.data.scan_files import find_scans

    def make(cache: Path) -> Path:
        folder = cached_phantom(cache, patients=40, seed=0)
        cached_cohort(cache, find_scans(folder), placement="study", labels_from="auto")
        return folder

    return make_once("cache", make)


@pytest.fixture(scope="session")
def null_folder(make_once: MakeOnce) -> Path:
    """An invented cohort of 120 patients whose grades say nothing; not to be changed."""
    from djd.data.phantom.cohort import make_cohort

    def make(root: Path) -> Path:
        make_cohort(root / "scans", patients=120, seed=11, null=True)
        return root / "scans"

    return make_once("null", make)


def tiny_values(phantom_folder: Path, root: Path, *overrides: str) -> dict[str, Any]:
    """A configuration that trains in a second, on 40 invented patients, with a ledger of its own.

    The cohort and what was read of it are shared between tests by links; all else in the cache is
    the test's own.
    """
    cache = root / "cache"
    (cache / "cohorts").mkdir(parents=True, exist_ok=True)
    for shared in (phantom_folder, *phantom_folder.parent.glob("cohorts/*.np?")):
        place = cache / shared.relative_to(phantom_folder.parent)
        if not place.exists():
            link(place, shared)
    values = compose_values(*tiny_beside(overrides), *overrides)
    if not any(each.startswith("paths.cache=") for each in overrides):
        values["paths"]["cache"] = str(cache)
    return values


def tiny_beside(overrides: Iterable[str]) -> list[str]:
    """`TINY` without the keys that overrides have; an experiment chooses its own recipe."""
    said = {each.partition("=")[0] for each in overrides}
    said |= {"recipe"} if "experiment" in said else set()
    return [each for each in TINY if each.partition("=")[0] not in said]


@pytest.fixture
def tiny(phantom_folder: Path, tmp_path: Path) -> Compose:
    """Makes configurations like `tiny_values` in the test's own folder."""
    return partial(tiny_values, phantom_folder, tmp_path)


@pytest.fixture(scope="session")
def sweep(phantom_folder: Path, make_once: MakeOnce) -> "Sweep":
    """A comparison of two depths on three folds, carried out once; not to be changed."""
    from tests.sweeping import AXES, Sweep, run_train, sweep_arguments

    def make(root: Path) -> Sweep:
        cache = Path(tiny_values(phantom_folder, root)["paths"]["cache"])
        folder = root / "sweep, (한글)"
        with pytest.MonkeyPatch.context() as patch:
            drawn = ("report=true", "plots=true")
            assert run_train(patch, *sweep_arguments(cache, folder, *AXES, *drawn)) == 0
        return Sweep(folder, cache)

    return make_once("comparison", make)


@pytest.fixture(scope="session")
def running_browser() -> Iterator["Browser"]:
    """A browser without a window; tests that ask for it are skipped where there is none."""
    from tests.browser import started_browser

    with started_browser() as browser:
        yield browser


@pytest.fixture
def browser(running_browser: "Browser") -> Iterator["Browser"]:
    """The same; a page that writes to the console or fetches anything fails the test."""
    running_browser.forget()
    yield running_browser
    running_browser.require_quiet()


@pytest.fixture
def no_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparisons don't rehearse trainings, which takes seconds."""

    def measure(shapes: Iterable[str], at_once: int) -> dict[str, tuple[Pace, int]]:
        return dict.fromkeys(shapes, (Pace(0.1, 0.0, 0.0), 10_000))

    monkeypatch.setattr("djd.sweeps.forecast._measure_shapes", measure)


pytest_plugins = ("tests.answers", "tests.finished_run", "tests.without_locks")
