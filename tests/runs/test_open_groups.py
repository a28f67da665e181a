"""A network, a loss, an augmentation and a schedule of one's own, in trainings like any other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from djd.errors import InputError
from djd.models.model import read_model
from tests.conftest import Compose
from tests.foreign import received
from tests.sweeping import rows_of
from tests.training import run

LINEAR = {"_target_": "torch.optim.lr_scheduler.LinearLR", "start_factor": 1, "end_factor": 0}


def of_ones_own(values: dict[str, Any], **groups: dict[str, Any]) -> dict[str, Any]:
    """The values with other groups: what files of one's own would say."""
    for group, group_values in groups.items():
        values[group] = group_values
        values["choices"][group] = "mine"
    return values


def test_everything_of_ones_own_is_trained_pictured_and_kept(tiny: Compose, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    values = of_ones_own(
        tiny("plots=true"),
        model={"_target_": "tests.foreign.WithBothKnees"},
        loss={"_target_": "tests.foreign.Thresholds"},
        augment={"_target_": "tests.foreign.add_noise", "most": 5.0},
    )
    values["optim"]["schedule"] = LINEAR
    received.clear()
    result = run(values, folder)
    assert result.setting.startswith("model=mine loss=mine augment=mine optim=adam ")
    assert received, "training knees were augmented"
    assert all(float(counts.min()) >= 0 for counts, _ in received), "raw counts, never scaled ones"
    received.clear()
    rates = [float(row["learning_rate"]) for row in rows_of(folder / "metrics.csv")]
    assert rates == pytest.approx([0.01, 0.005])
    assert [scores.epoch for scores in result.validation] == [2], "a schedule scores the last alone"
    rows = rows_of(folder / "predictions.csv")
    chances = np.array([[float(row[f"p{grade}"]) for grade in range(5)] for row in rows])
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-6)
    assert (folder / "figures" / "confusion-validation.png").exists()
    (winner,) = (folder / "winner").iterdir()
    model = read_model(winner / "model.ckpt", trust=["tests"])
    thresholds = model.networks[0].state_dict()["loss.thresholds"]
    assert not torch.equal(thresholds, torch.arange(4.0) - 1.5), "parameters of the loss are fitted"
    assert model.networks[0].inputs == ("uptake", "other_knee", "has_other_knee")


@pytest.mark.parametrize(
    ("group", "values", "sentence"),
    [
        ("model", {"_target_": "mine.Net"}, r"^model\._target_: .*received mine\.Net .*PYTHONPATH"),
        ("model", {"_target_": "djd.models.networks.KneeCNN", "depth": 9},
         r"^model\.depth: expected a whole number from 1 to 5, received 9"),
        ("loss", {"_target_": "tests.foreign.WithoutProbabilities"}, "lacks probabilities"),
        ("augment", {"_target_": "mine.flip"}, r"^augment\._target_: .*mine\.flip"),
        ("logger", {"mine": {"_target_": "mine.Logger"}}, r"^logger\.mine\._target_: .*mine\.Log"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_one_sentence_and_nothing_is_left_behind(
    tiny: Compose, tmp_path: Path, group: str, values: dict[str, Any], sentence: str
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(InputError, match=sentence) as caught:
        run(of_ones_own(tiny("test=never"), **{group: values}), folder)
    assert "\n" not in str(caught.value)
    assert [path.name for path in folder.iterdir()] == []
