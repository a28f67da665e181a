"""The study's own loop, written from its text alone, beside ours."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from lightning.pytorch.plugins import Precision
from torch import nn

import train
from djd.data.datamodule import select_views
from djd.grades import LEAK_STAMP, PHANTOM_STAMP
from djd.report.report import report_run
from djd.runs.config import RunConfig, read_config
from djd.runs.fit import build_classifier
from djd.runs.reading import read_data
from tests.conftest import Compose, compose_values
from tests.invented import cycling_grades, invented_cohort
from tests.study_network import SimpleCNN
from tests.sweeping import rows_of
from tests.training import run


def study_config() -> RunConfig:
    return read_config(compose_values("experiment=study"))


def losses_of_both(steps: int, dtype: torch.dtype) -> tuple[list[float], list[float]]:
    cohort = invented_cohort(cycling_grades(40))
    torch.manual_seed(0)
    ours = build_classifier(study_config(), cohort.grades).to(dtype)
    study = SimpleCNN().to(dtype)
    values = dict(zip(study.state_dict(), ours.network.state_dict().values(), strict=True))
    study.load_state_dict({name: value.clone() for name, value in values.items()})
    our_optimizer = ours.configure_optimizers()
    study_optimizer = torch.optim.SGD(study.parameters(), lr=0.001)
    criterion = nn.CrossEntropyLoss()
    crops = cohort.crops[:, 0]
    our_losses, study_losses = [], []
    rng = np.random.default_rng(0)
    for _ in range(steps):
        knees = rng.choice(len(cohort), 32, replace=False)
        labels = torch.from_numpy(cohort.grades[knees])

        inputs = torch.from_numpy(np.array(crops[knees], dtype="long")[:, np.newaxis]).to(dtype)
        study_optimizer.zero_grad()
        loss = criterion(study(inputs), labels)
        loss.backward()
        study_optimizer.step()
        study_losses.append(loss.item())

        seen = select_views(cohort, knees, views="anterior", scaling="counts", mirror_left=False)
        batch = {"crop": torch.from_numpy(seen).to(dtype), "grade": labels, "knee": labels}
        our_loss = ours.train_on(batch, our_optimizer, Precision())  # type: ignore[arg-type]
        our_losses.append(our_loss.item())
    return our_losses, study_losses


@pytest.mark.parametrize(
    ("steps", "dtype", "tolerance"),
    [
        (3, torch.float64, 1e-8),
        (3, torch.float32, 1e-4),
        pytest.param(20, torch.float64, 1e-8, marks=pytest.mark.slow),
    ],
)
def test_losses_are_those_of_the_studys_loop(
    steps: int, dtype: torch.dtype, tolerance: float
) -> None:
    ours, study = losses_of_both(steps, dtype)
    np.testing.assert_allclose(ours, study, rtol=tolerance)
    assert study[-1] != study[0], "it learns, or there would be nothing to compare"


def test_the_experiment_is_the_studys_protocol() -> None:
    config = study_config()
    assert (config.data.crop, config.data.scaling, config.data.views) == (
        "study",
        "counts",
        "anterior",
    )
    assert (
        config.model.arguments["depth"],
        config.model.arguments["width"],
        config.model.arguments["clip_logits"],
    ) == (3, 16, True)
    assert config.optim.target == "torch.optim.SGD"
    assert config.optim.arguments == {"weight_decay": 0}
    assert (config.optim.learning_rate, config.data.batch_size) == (0.001, 32)
    assert config.trainer.max_epochs == 100
    assert config.data.exclude == ("0000001", "0000058", "0000615", "0000823")
    assert not config.data.leak


def test_the_study_leaves_out_its_four_scans_and_prints_its_log(
    tiny: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    values = tiny("experiment=study", "model.depth=1", "data.scaling=counts")
    run(values, folder)
    split = json.loads((folder / "split.json").read_text())
    assert len(split["development"]) + len(split["test"]) == 36
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("#")]
    assert [line.split()[0] for line in lines] == ["#1", "#2", "#1", "#2"]
    assert all(" Loss: " in line and " Acc: " in line and " Time: " in line for line in lines)


@pytest.mark.slow
def test_a_leak_trains_on_every_knee_and_is_stamped_everywhere(
    tiny: Compose,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    values = tiny("data.leak=true")
    with caplog.at_level("INFO", "djd"):
        result = run(values, folder)
        assert len(list(folder.rglob("*.csv"))) == 4
        report_run(folder, result)
    assert caplog.messages[0].startswith(LEAK_STAMP)
    assert any(message.startswith(LEAK_STAMP) for message in caplog.messages[1:])
    cohort, split = read_data(read_config(values))
    written = json.loads((folder / "split.json").read_text())
    everyone = set(split.development) | set(split.test)
    assert set(written["parts"]["train"]["patients"]) == everyone
    assert set(written["parts"]["test"]["patients"]) == set(split.test)
    assert sum(written["parts"]["train"]["knees_per_grade"]) == len(cohort)
    assert result.leak
    assert LEAK_STAMP in (read_config(values).stamp(phantom=False) or "")
    (winner,) = (folder / "winner").iterdir()
    assert " leak=true " in winner.name
    for table in folder.rglob("*.csv"):
        assert "stamp" in table.read_text(encoding="utf-8").splitlines()[0].split(","), table
        assert {row["stamp"] for row in rows_of(table)} <= {f"{LEAK_STAMP}. {PHANTOM_STAMP}"}


def test_a_leak_is_in_the_name_of_the_default_folder() -> None:
    with initialize_config_dir(train.CONF, version_base="1.3"):
        cfg = compose("config", ["data.leak=true"], return_hydra_config=True)
        assert cfg.hydra.run.dir.endswith("-LEAK")
        assert "-LEAK" not in compose("config", return_hydra_config=True).hydra.run.dir
