"""What a training calculates in, and that nothing is said to be what it isn't."""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from djd.errors import InputError
from djd.models.networks import KneeCNN
from djd.runs.config import Precision, read_config
from djd.runs.hardware import require_precision, use_precision
from djd.runs.prepare import prepare
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
