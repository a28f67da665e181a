"""Every training of a sweep takes the blocks that its first one decided on."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import run

import pytest
import torch

from djd.models.fused import fusing
from djd.models.fused.fusing import Blocks, trusted, use_blocks
from tests.conftest import Compose
from tests.training import run_cell, run_refit

COMPILED, PLAIN = Blocks(blocks="compiled", lanes=16), Blocks(blocks="plain", lanes=None)
WIDE = ("model.width=16", "trainer.max_epochs=1", "score_epochs=[]")

compiled = pytest.mark.skipif(not trusted(torch.float32), reason="no C compiler here")


@pytest.mark.parametrize("kind", ["winner", "each"])
@pytest.mark.parametrize(
    ("first", "later", "said"),
    [
        (PLAIN, COMPILED, "plain layers"),
        pytest.param(COMPILED, PLAIN, "compiled blocks", marks=compiled),
    ],
)
def test_a_refit_and_a_later_cell_take_what_the_first_cell_recorded(
    tiny: Compose,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    first: Blocks,
    later: Blocks,
    said: str,
) -> None:
    sweep = tmp_path / "sweep"
    cells = [sweep / "fold=0", sweep / "fold=1", sweep / kind / "base"]
    for cell in cells:
        cell.mkdir(parents=True)
    monkeypatch.setattr(fusing, "blocks_here", lambda: first)
    results = [run_cell(tiny(*WIDE, "data.fold=0"), cells[0])]
    assert json.loads((sweep / "blocks.json").read_text()) == first.model_dump()
    monkeypatch.setattr(fusing, "blocks_here", lambda: later)
    if kind == "winner":
        results.append(run_cell(tiny(*WIDE, "data.fold=1"), cells[1]))
    results.append(run_refit(tiny(*WIDE, "data.fold=null"), cells[2]))
    assert {result.versions["blocks"] for result in results if result} == {said}
    assert [path.parent for path in tmp_path.rglob("blocks.json")] == [sweep]


def test_cells_that_start_at_once_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on the nodes of a cluster, each of which would decide in its own way."""
    lanes = iter([16, 8, 4, 16, 8, 4, 16, 8])

    def another() -> Blocks:
        return Blocks(blocks="compiled", lanes=next(lanes))

    monkeypatch.setattr(fusing, "blocks_here", another)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(use_blocks, [tmp_path] * 8))
    assert len(set(taken)) == 1


@pytest.mark.slow
def test_another_process_reads_the_record(tmp_path: Path) -> None:
    (tmp_path / "blocks.json").write_text(PLAIN.model_dump_json())
    code = (
        "import pathlib, torch, sys\n"
        "from djd.models.fused.fusing import use_blocks\n"
        "from djd.models.networks import KneeCNN\n"
        "use_blocks(pathlib.Path(sys.argv[1]))\n"
        "network = KneeCNN(depth=1, pixels=32)\n"
        "network(torch.rand(2, 1, 32, 32))\n"
        "print(network.trained_with)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    assert run(command, capture_output=True, text=True, check=True).stdout == "plain layers\n"
