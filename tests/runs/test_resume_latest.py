import json
import os
import sys
from pathlib import Path

import pytest
import yaml

from djd.errors import InputError
from djd.runs.command_line import latest_arguments


def stopped_run(name: str, overrides: list[str], *, finished: bool = False) -> None:
    folder = Path("outputs") / name
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(overrides))
    (folder / "config.yaml").write_text("x")
    if finished:
        (folder / "result.json").write_text("{}")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_last_stopped_runs_command_is_said_again() -> None:
    stopped_run("2026-01-01_10-00-00", ["model.depth=1"])
    stopped_run("2026-01-02_10-00-00", ["model.depth=2", "data.root='/a, b'"])
    stopped_run("2026-01-03_10-00-00", ["model.depth=3"], finished=True)
    assert latest_arguments(["resume=latest"]) == [
        "model.depth=2",
        "data.root='/a, b'",
        "hydra.run.dir=outputs/2026-01-02_10-00-00",
    ]


def test_other_commands_are_left_alone() -> None:
    assert latest_arguments(["-m", "model.depth=1,2"]) == ["-m", "model.depth=1,2"]


def test_nothing_to_go_on_with_is_one_sentence() -> None:
    stopped_run("2026-01-03_10-00-00", [], finished=True)
    with pytest.raises(InputError, match=r"expected a stopped run in .*outputs, .* received none"):
        latest_arguments(["resume=latest"])


@pytest.mark.parametrize("arguments", [["resume=last"], ["resume=latest", "seed=1"]])
def test_anything_beside_it_is_one_sentence(arguments: list[str]) -> None:
    with pytest.raises(InputError, match="expected resume=latest by itself"):
        latest_arguments(arguments)


@pytest.mark.parametrize("content", ["{", "{}", "[1]"])
def test_a_damaged_comparison_is_one_sentence(content: str) -> None:
    folder = Path("multirun") / "sweep-2026-01-01_10-00-00"
    folder.mkdir(parents=True)
    (folder / "comparison.json").write_text(content)
    with pytest.raises(InputError, match=r"comparison\.json: expected the saved command"):
        latest_arguments(["resume=latest"])


def test_the_later_of_a_run_and_a_comparison_is_gone_on_with() -> None:
    stopped_run("2026-01-02_10-00-00", ["model.depth=1"])
    folder = Path("multirun") / "matrix-2026-01-03_10-00-00-LEAK"
    folder.mkdir(parents=True)
    saved = {"arguments": ["experiment=matrix", "hydra.sweep.dir=elsewhere"]}
    (folder / "comparison.json").write_text(json.dumps(saved))
    assert latest_arguments(["resume=latest"]) == ["experiment=matrix", f"hydra.sweep.dir={folder}"]
    (folder / "result.json").write_text("{}")
    assert latest_arguments(["resume=latest"])[0] == "model.depth=1"


def searched_folders(monkeypatch: pytest.MonkeyPatch, *before: str) -> None:
    """The search path is this test's own."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(before))


def config_sources(*typed: str, name: str = "config", own: tuple[str, ...] = ()) -> str:
    """As Hydra notes its own overrides, and where it looked for configurations."""
    sources = [{"path": "/djd/conf", "provider": "main", "schema": "file"}]
    sources += [{"path": path, "provider": "command-line", "schema": "file"} for path in typed]
    hydra = {
        "runtime": {"config_sources": sources},
        "job": {"config_name": name},
        "overrides": {"hydra": ["hydra.mode=RUN", *own], "task": []},
    }
    return yaml.safe_dump({"hydra": hydra})


def test_files_and_modules_of_ones_own_are_searched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    searched_folders(monkeypatch, "/already")
    stopped_run("2026-01-01_10-00-00", ["model=mine"])
    folder = Path("outputs") / "2026-01-01_10-00-00"
    (folder / ".hydra" / "hydra.yaml").write_text(config_sources("/my conf"))
    places = os.pathsep.join(["/my modules", "/already"])
    (folder / "config.yaml").write_text(yaml.safe_dump({"paths": {"python": places}}))
    assert latest_arguments(["resume=latest"]) == [
        "--config-dir",
        "/my conf",
        "model=mine",
        f"hydra.run.dir={folder}",
    ]
    assert sys.path[-1] == "/my modules"
    assert sys.path.count("/already") == 0, "PYTHONPATH has it, so Python has searched it"
    assert os.environ["PYTHONPATH"] == os.pathsep.join(["/already", "/my modules"])


def test_hydras_own_options_are_said_again() -> None:
    folder = stopped = Path("outputs") / "2026-01-01_10-00-00"
    stopped_run(folder.name, ["seed=1"])
    own = ("hydra.job.chdir=true", "hydra.run.dir=elsewhere", "hydra/job_logging=stdout")
    (stopped / ".hydra" / "hydra.yaml").write_text(config_sources(name="mine", own=own))
    assert latest_arguments(["resume=latest"]) == [
        *("--config-name", "mine", "hydra.job.chdir=true", "hydra/job_logging=stdout", "seed=1"),
        f"hydra.run.dir={folder}",
    ]


def test_modules_of_ones_own_are_searched_again_for_a_sweep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searched_folders(monkeypatch)
    folder = Path("multirun") / "sweep-2026-01-03_10-00-00"
    cell = folder / "model=mine fold=0"
    cell.mkdir(parents=True)
    saved = {"arguments": ["--config-dir", "/my conf", "-m", "model=cnn,mine"]}
    (folder / "comparison.json").write_text(json.dumps(saved))
    (cell / "config.yaml").write_text(yaml.safe_dump({"paths": {"python": "/my modules"}}))
    assert latest_arguments(["resume=latest"]) == [*saved["arguments"], f"hydra.sweep.dir={folder}"]
    assert os.environ["PYTHONPATH"] == "/my modules"


@pytest.mark.parametrize("content", ["{", "[1]", "paths: null", "paths: {python: 3}", "\\0"])
def test_a_damaged_configuration_is_left_to_the_training(content: str) -> None:
    stopped_run("2026-01-01_10-00-00", ["seed=1"])
    folder = Path("outputs") / "2026-01-01_10-00-00"
    (folder / "config.yaml").write_text(content)
    assert latest_arguments(["resume=latest"]) == ["seed=1", f"hydra.run.dir={folder}"]


@pytest.mark.parametrize("content", ["{", "[1]", "hydra: 3"])
def test_damaged_notes_of_hydra_are_one_sentence(content: str) -> None:
    stopped_run("2026-01-01_10-00-00", [])
    path = Path("outputs") / "2026-01-01_10-00-00" / ".hydra" / "hydra.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=r"hydra\.yaml: expected the saved command"):
        latest_arguments(["resume=latest"])
