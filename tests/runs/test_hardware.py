"""What a training calculates in, and that nothing is said to be what it isn't."""

import csv
import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from lightning.pytorch.plugins import Precision as PrecisionPlugin
from torch import Tensor

from djd.errors import InputError
from djd.models.networks import KneeCNN
from djd.runs.config import Precision, read_config
from djd.runs.folder import CONFIG_NAME, require_same_config
from djd.runs.hardware import (
    Bfloat16Training,
    precision_plugin,
    require_precision,
    step_operations,
    use_precision,
    use_threads,
)
from djd.runs.prepare import prepare
from djd.sweeps.cells import identity_of
from tests.conftest import Compose, compose_values
from tests.training import run


@pytest.fixture(autouse=True)
def _flags_as_they_were() -> Iterator[None]:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    yield
    matmul.allow_tf32, cudnn.allow_tf32 = before


def products_in_tf32() -> tuple[bool, bool]:
    """Of matrices and of convolutions."""
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


def metrics_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_folders_older_than_the_key_are_of_full_float32() -> None:
    values = read_config(compose_values()).plain()
    assert values["trainer"].pop("precision") == "float32"
    assert read_config(values) == read_config(compose_values())


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_tf32_without_a_gpu_is_one_sentence(device: str) -> None:
    sentence = rf"trainer\.precision: expected float32 or bf16 .* on {device}\), received tf32"
    with pytest.raises(InputError, match=sentence) as caught:
        require_precision("tf32", torch.device(device))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cuda", "capability", "has_it"),
    [
        ("13.0", (7, 5), False),
        ("13.0", (8, 0), True),
        ("13.0", (9, 0), True),
        (None, (9, 0), False),
    ],
)
def test_tf32_is_for_gpus_that_have_it(
    monkeypatch: pytest.MonkeyPatch, cuda: str | None, capability: tuple[int, int], has_it: bool
) -> None:
    """AMD's call themselves cuda, too, but torch was not built with CUDA for them."""
    monkeypatch.setattr("torch.version.cuda", cuda)
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: capability)
    require_precision("float32", torch.device("cuda"))
    if has_it:
        require_precision("tf32", torch.device("cuda"))
        return
    with pytest.raises(InputError, match="received tf32"):
        require_precision("tf32", torch.device("cuda"))


def test_a_run_that_cannot_have_tf32_writes_nothing(tiny: Compose, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with pytest.raises(InputError, match=r"trainer\.precision: .* received tf32"):
        run(tiny("trainer.precision=tf32"), folder)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_each_training_sets_anew_what_an_earlier_one_left(
    tiny: Compose, tmp_path: Path, precision: Precision
) -> None:
    """PyTorch's own default is no better: it has convolutions in TensorFloat-32."""
    use_precision("tf32")
    assert products_in_tf32() == (True, True)
    prepare(read_config(tiny(f"trainer.precision={precision}")), tmp_path)
    assert products_in_tf32() == (False, False)


@pytest.mark.parametrize("precision", ["tf32", "float32", "bf16"])
def test_lightning_can_ask_what_matrix_products_are_in(precision: Precision) -> None:
    """It does so at each start on a GPU; with one of PyTorch's two interfaces the question fails.

    Where there is another, both have to agree.
    """
    use_precision(precision)
    tf32 = precision == "tf32"
    assert torch.get_float32_matmul_precision() == ("high" if tf32 else "highest")
    for product in (torch.backends.cuda.matmul, getattr(torch.backends.cudnn, "conv", None)):
        newer = getattr(product, "fp32_precision", None)
        assert newer is None or (newer == "tf32") == tf32


def test_bf16_trains_in_bfloat16_and_grades_in_float32(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it: the timed steps, the fit, its validation, the refit and the test patients."""
    seen: set[tuple[bool, torch.dtype]] = set()
    forward = KneeCNN.forward

    def noted(network: KneeCNN, crops: Tensor) -> Tensor:
        logits = forward(network, crops)
        seen.add((network.training, logits.dtype))
        return logits

    monkeypatch.setattr(KneeCNN, "forward", noted)
    for name in ("bf16", "float32"):
        (tmp_path / name).mkdir()
    slow, balanced = "optim.lr=0.001", "loss.class_weights=balanced"
    result = run(tiny("trainer.precision=bf16", slow, balanced), tmp_path / "bf16")
    assert seen == {(True, torch.bfloat16), (False, torch.float32)}
    assert " precision=bf16 " in result.setting
    assert result.test
    run(tiny(slow, balanced, "test=never"), tmp_path / "float32")
    rough, full = (metrics_of(tmp_path / name)[-1] for name in ("bf16", "float32"))
    for part in ("train", "validation"):
        assert rough[f"{part}_loss"] != full[f"{part}_loss"]
        assert math.isclose(float(rough[f"{part}_loss"]), float(full[f"{part}_loss"]), rel_tol=0.1)


PRECISIONS: tuple[Precision, ...] = ("float32", "tf32", "bf16")


def test_each_precision_is_a_setting_of_its_own() -> None:
    """By name, by the identity that a widened sweep knows it by, and by the time of a step."""
    configs = [read_config(compose_values(f"trainer.precision={each}")) for each in PRECISIONS]
    assert len({config.setting_name for config in configs}) == 3
    assert len({identity_of(config, "cohort") for config in configs}) == 3
    for config, precision in zip(configs, PRECISIONS, strict=True):
        assert (f"precision={precision}" in config.setting_name) == (precision != "float32")


@pytest.mark.parametrize(("before", "now"), [*itertools.permutations(PRECISIONS, 2)])
def test_a_stopped_run_goes_on_in_its_own_precision(
    tmp_path: Path, before: Precision, now: Precision
) -> None:
    one, other = (
        read_config(compose_values(f"trainer.precision={each}")) for each in (before, now)
    )
    (tmp_path / CONFIG_NAME).write_text(one.as_yaml(), encoding="utf-8")
    require_same_config(one, tmp_path)
    with pytest.raises(InputError, match=rf"trainer\.precision={before} \(now {now}\)"):
        require_same_config(other, tmp_path)


def test_bf16_autocast_is_of_the_device_that_trains() -> None:
    """Autocast of the CPU would leave a GPU's steps in float32, without a word."""
    for device in ("cpu", "cuda", "mps"):
        plugin = precision_plugin("bf16", torch.device(device))
        assert isinstance(plugin, Bfloat16Training)
        assert (plugin.device, plugin.precision, plugin.scaler) == (device, "bf16-mixed", None)
        for precision in ("float32", "tf32"):
            assert type(precision_plugin(precision, torch.device(device))) is PrecisionPlugin


@pytest.mark.parametrize("optimizer", ["SGD", "Adagrad", "Adam", "AdamW"])
def test_bf16_keeps_weights_gradients_and_moments_in_float32(optimizer: str) -> None:
    network = KneeCNN(depth=1, width=2, pixels=64)
    steps = getattr(torch.optim, optimizer)(network.parameters(), lr=1e-3)
    crops, grades = torch.rand(4, 1, 64, 64), torch.arange(4)
    with precision_plugin("bf16", torch.device("cpu")).forward_context():
        logits = network(crops)
        loss = torch.nn.functional.cross_entropy(logits, grades)
    loss.backward()  # type: ignore[no-untyped-call]
    steps.step()
    assert (logits.dtype, loss.dtype) == (torch.bfloat16, torch.float32)
    moments = [each for state in steps.state.values() for each in state.values()]
    gradients = [each.grad for each in network.parameters()]
    kept = [*network.state_dict().values(), *gradients, *moments]
    floating = [each for each in kept if isinstance(each, Tensor) and each.is_floating_point()]
    assert {each.dtype for each in floating} == {torch.float32}


@pytest.mark.parametrize(
    ("overrides", "threads"),
    [
        ((), 1),
        (("model.width=32",), 2),
        (("data.pixels=64",), 2),
        (("data.pixels=64", "data.batch_size=64"), 8),
        (("recipe=none", "model.depth=1"), 2),
        (("recipe=none", "model.depth=2"), 6),
        (("trainer.threads=3",), 3),
    ],
)
def test_a_run_has_as_many_threads_as_its_steps_have_work_for(
    monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...], threads: int
) -> None:
    monkeypatch.setattr("djd.runs.hardware.usable_cores", lambda: 8)
    before = torch.get_num_threads()
    values = compose_values("recipe=best", *overrides)
    try:
        assert use_threads(read_config(values)) == threads == torch.get_num_threads()
        assert use_threads(read_config({**values, "kind": "cell"})) == 1
    finally:
        torch.set_num_threads(before)


def test_operations_are_those_of_the_convolutions_and_the_last_layer() -> None:
    config = read_config(compose_values("recipe=none", "model.depth=1", "data.batch_size=2"))
    convolution, last = 2 * 128 * 128 * 9 * 16, 2 * 64 * 64 * 16 * 5
    assert step_operations(config) == 2 * (convolution + last + 1000 * 128 * 128)
