"""Warm-up, the cycle of the rate, and the average of the weights, in trainings."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from djd.errors import InputError
from djd.models.classifier import GradeClassifier
from djd.runs.folder import epoch_checkpoint
from tests.conftest import Compose
from tests.runs.test_resume import send_at, stopped_run, texts
from tests.sweeping import rows_of
from tests.training import run_cell

ALL = ("optim=adamw", "optim.warmup=1", "optim.schedule=one_cycle", "loss=ordinal", "model=pooled",
       "data.views=each", "trainer.weight_average=exponential", "test=never")  # fmt: skip


def trained(values: dict[str, Any], folder: Path) -> Path:
    folder.mkdir(parents=True)
    assert run_cell(values, folder)
    return folder


def state(folder: Path, epoch: int) -> dict[str, Any]:
    path = epoch_checkpoint(folder, epoch)
    return dict(torch.load(path, weights_only=True)["state_dict"])


@pytest.mark.slow
def test_two_epochs_and_two_more_are_four_to_the_bit(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {
        **tiny(*ALL, "trainer.max_epochs=4", "score_epochs=[4]", "plots=true"),
        "kind": "cell",
    }
    whole = trained(values, tmp_path / "a" / "cell")
    (tmp_path / "b").mkdir()
    send_at(monkeypatch, 6)  # in the third epoch
    folder = tmp_path / "b" / "cell"
    stopped_run(values, folder)
    assert run_cell(values, folder)
    assert texts(folder) == texts(whole)
    one, two = state(folder, 4), state(whole, 4)
    assert all(torch.equal(one[name], two[name]) for name in two)


def test_the_rate_rises_then_falls_and_its_column_is_that_of_the_epochs_start(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[float] = []
    step = torch.optim.Adagrad.step

    def noted(self: torch.optim.Adagrad, closure: Any = None) -> Any:
        used.append(self.param_groups[0]["lr"])
        return step(self, closure)

    monkeypatch.setattr(torch.optim.Adagrad, "step", noted)
    values = tiny(
        "optim=adagrad", "optim.warmup=2", "optim.schedule=cosine", "trainer.max_epochs=4"
    )
    folder = trained(values, tmp_path / "cosine" / "cell")
    rate, each = values["optim"]["lr"], len(used) // 4
    cosine = [rate * (1 + math.cos(math.pi * (step // each) / 4)) / 2 for step in range(4 * each)]
    expected = [at * min(1, (step + 1) / (2 * each)) for step, at in enumerate(cosine)]
    assert used == pytest.approx(expected)
    rates = [float(row["learning_rate"]) for row in rows_of(folder / "metrics.csv")]
    assert rates == pytest.approx(used[::each], rel=1e-6)
    used.clear()
    values = tiny("optim=adagrad", "optim.schedule=one_cycle", "trainer.max_epochs=4")
    trained(values, tmp_path / "cycle" / "cell")
    peak = int(np.argmax(used))
    assert len(used) == 4 * each
    assert used[0] == pytest.approx(rate / 25)
    assert used[-1] < used[0] / 1000
    assert max(used) <= rate
    assert used[: peak + 1] == sorted(used[: peak + 1])
    assert used[peak:] == sorted(used[peak:], reverse=True)


def test_the_average_of_all_steps_is_what_is_validated_and_kept(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Tensor] = []
    validated: list[torch.Tensor] = []
    start, step = GradeClassifier.train_on, GradeClassifier.validation_step

    def weights(self: GradeClassifier) -> torch.Tensor:
        return torch.cat([each.detach().double().ravel() for each in self.parameters()])

    def noted(self: GradeClassifier, *batch: Any) -> Any:
        if self._trainer:
            seen.append(weights(self))
        return start(self, *batch)

    def noted_too(self: GradeClassifier, *batch: Any) -> None:
        validated.append(weights(self))
        step(self, *batch)

    monkeypatch.setattr(GradeClassifier, "train_on", noted)
    monkeypatch.setattr(GradeClassifier, "validation_step", noted_too)
    values = tiny("trainer.weight_average=exponential", "optim=sgd")
    folder = trained(values, tmp_path / "sweep" / "cell")
    # The weights before a step are those after the step before; the last step's are not seen.
    average, averages = seen[0], []
    for number, after in enumerate(seen[1:], start=1):
        decay = min(0.99, (1 + number) / (10 + number))
        average = decay * average + (1 - decay) * after
        averages.append(average)
    each = len(seen) // 2
    torch.testing.assert_close(validated[0], averages[each - 1], rtol=1e-6, atol=1e-7)
    kept = [value for name, value in state(folder, 1).items() if "running" not in name
            and value.is_floating_point()]  # fmt: skip
    torch.testing.assert_close(
        torch.cat([value.double().ravel() for value in kept]), validated[0], rtol=0, atol=0
    )


def test_a_loss_keeps_its_parameters_whatever_the_weight_decay() -> None:
    spec = {"_target_": "djd.models.pooled.PooledCNN", "depth": 1, "width": 2}
    decaying = {"_target_": "torch.optim.AdamW", "weight_decay": 0.5}
    for loss, decays in (("Ordinal", [0.5, 0.0]), ("Corn", [0.5])):
        classifier = GradeClassifier(
            spec, {"_target_": f"djd.models.ordered.{loss}"}, decaying,
            learning_rate=0.1, schedule="constant", epochs=1, views=1,
        )  # fmt: skip
        optimizer = classifier.configure_optimizers()
        assert [group["weight_decay"] for group in optimizer.param_groups] == decays
        counted = sum(len(group["params"]) for group in optimizer.param_groups)
        assert counted == len(list(classifier.parameters()))


def test_a_warm_up_as_long_as_the_training_is_one_sentence(tiny: Compose, tmp_path: Path) -> None:
    sentence = "^optim.warmup: expected fewer epochs than the 2 of trainer.max_epochs, received 2$"
    with pytest.raises(InputError, match=sentence):
        run_cell(tiny("optim.warmup=2"), tmp_path)


def test_outputs_that_a_loss_does_not_take_are_one_sentence(tiny: Compose) -> None:
    from djd.runs.config import read_config
    from djd.runs.duration import count_values

    values = tiny("loss=ordinal")
    values["model"] = {"_target_": "tests.foreign.Perceptron", "hidden": 2, "outputs": 5}
    sentence = r"^model: expected .* \(2, 1\) .*Ordinal takes, received \(2, 5\) from .*Perceptron$"
    with pytest.raises(InputError, match=sentence):
        count_values(read_config(values))
    values["model"]["outputs"] = 1
    assert count_values(read_config(values)) > 0


@pytest.mark.slow
@pytest.mark.parametrize("optim", ["sgd", "adam", "adagrad"])
@pytest.mark.parametrize(
    ("model", "loss"),
    [("pooled", "ordinal"), ("pooled", "soft"), ("residual", "corn"), ("residual", "expected")],
)
def test_networks_losses_and_optimizers_go_together(
    tiny: Compose, tmp_path: Path, model: str, loss: str, optim: str
) -> None:
    values = tiny(
        f"model={model}", f"loss={loss}", f"optim={optim}", "loss.class_weights=balanced",
        "trainer.max_epochs=1", "plots=true", "model.uptake=true", "model.both_knees=true",
        "data.views=each",
    )  # fmt: skip
    folder = trained(values, tmp_path / "sweep" / "cell")
    rows = rows_of(folder / "predictions.csv")
    chances = np.array([[float(row[f"p{grade}"]) for grade in range(5)] for row in rows])
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-5)
    assert chances.min() >= 0


def test_an_optimizer_that_needs_several_losses_a_step_trains(
    tiny: Compose, tmp_path: Path
) -> None:
    lbfgs = {"_target_": "torch.optim.LBFGS", "lr": 0.1, "lr_times": 1, "warmup": 0}
    values = {**tiny("trainer.max_epochs=3"), "optim": {**lbfgs, "schedule": "constant"}}
    first, *_, last = rows_of(trained(values, tmp_path / "cell") / "metrics.csv")
    assert float(last["train_loss"]) < float(first["train_loss"])
