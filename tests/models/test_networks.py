import subprocess
import sys
from pathlib import Path

import pytest
import torch

from djd.models.networks import KneeCNN
from tests.study_network import SimpleCNN


def twins() -> tuple[KneeCNN, SimpleCNN]:
    """Ours at depth 3 and the study's, with equal weights, in float64."""
    torch.manual_seed(0)
    ours, study = KneeCNN(depth=3, clip_logits=True).double(), SimpleCNN().double()
    with torch.no_grad():
        for mine, theirs in zip(ours.parameters(), study.parameters(), strict=True):
            mine.copy_(theirs)
    return ours, study


def test_depth_3_has_the_studys_parameters() -> None:
    ours = [tuple(parameter.shape) for parameter in KneeCNN(depth=3).parameters()]
    study = [tuple(parameter.shape) for parameter in SimpleCNN().parameters()]
    assert ours == study
    assert sum(parameter.numel() for parameter in KneeCNN(depth=3).parameters()) == 105_445


def test_depth_3_gives_the_studys_logits_and_gradients() -> None:
    ours, study = twins()
    crops = torch.rand(4, 1, 128, 128, dtype=torch.float64) * 50
    grades = torch.tensor([0, 1, 2, 4])
    for network in (ours, study):
        torch.nn.functional.cross_entropy(network(crops), grades).backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(ours(crops), study(crops), rtol=1e-10, atol=1e-10)
    for mine, theirs in zip(ours.parameters(), study.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_depth_gives_five_logits_a_knee(depth: int, channels: int) -> None:
    network = KneeCNN(depth=depth, width=4, views=channels)
    assert network(torch.zeros(2, channels, 128, 128)).shape == (2, 5)


def test_only_clipped_logits_are_never_negative() -> None:
    crops = torch.rand(16, 1, 128, 128)
    torch.manual_seed(0)
    free = KneeCNN(depth=1, width=2)(crops)
    torch.manual_seed(0)
    clipped = KneeCNN(depth=1, width=2, clip_logits=True)(crops)
    assert free.min() < 0
    torch.testing.assert_close(clipped, free.relu())


@pytest.mark.slow
def test_without_compiled_blocks_in_the_package_all_blocks_are_plain_layers(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "sys.modules['djd.models.fused'] = None\n"
        "import torch\n"
        "from djd.models.networks import KneeCNN, choose_blocks, compile_blocks\n"
        "from djd.runs.prepare import write_inputs\n"
        "from pathlib import Path\n"
        f"choose_blocks(Path({str(tmp_path)!r}))\n"
        "compile_blocks()\n"
        "network = KneeCNN(depth=2, pixels=16)\n"
        "network(torch.rand(3, 1, 16, 16)).sum().backward()\n"
        "print(network.trained_with)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "plain layers\n"
    assert not list(tmp_path.iterdir())
