from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from djd.runs.config import Keep
from djd.sweeps.cells import FinishedCell
from djd.sweeps.setting_scores import score_settings
from djd.sweeps.winner import drop_weights, each_refit, refit_name, winner_refit
from tests.sweeps.invented_cells import cell, result

EPOCHS = (25, 50, 100)


def finished_cells(folder: Path, better: int) -> list[FinishedCell]:
    """Two settings in two folds; the better one is right at epoch 50 and nowhere else."""
    done = []
    for depth in (1, 2):
        for fold in (0, 1):
            axes = {"model.depth": depth, "data.fold": fold}
            there = replace(cell(axes), folder=folder / f"depth={depth} fold={fold}")
            right, wrong = np.eye(5, dtype=np.int64), np.eye(5, dtype=np.int64)[::-1]
            counts = {epoch: right if (depth, epoch) == (better, 50) else wrong for epoch in EPOCHS}
            done.append(FinishedCell.of(there, result(there.config, counts)))
    return done


def test_the_winner_is_refitted_for_its_epochs_without_a_fold(tmp_path: Path) -> None:
    done = finished_cells(tmp_path, better=2)
    best = score_settings(done, done)[0][0]
    refit = winner_refit(tmp_path, best)
    assert refit.folder == tmp_path / "winner" / "depth=2 epochs=50"
    assert refit.config.data.fold is None
    assert refit.config.trainer.max_epochs == 50
    assert refit.config.epochs_to_score == (50,)
    assert refit.config.model.arguments["depth"] == 2
    assert refit.overrides == (
        "model.depth=2",
        "data.fold=null",
        "trainer.max_epochs=50",
        "score_epochs=[]",
    )


def test_each_setting_is_refitted_once_for_all_its_epochs(tmp_path: Path) -> None:
    done = finished_cells(tmp_path, better=2)
    refits = each_refit(tmp_path, done)
    assert [refit_name(refit) for refit in refits] == ["each/depth=1", "each/depth=2"]
    assert all(refit.config.epochs_to_score == EPOCHS for refit in refits)
    assert refits[0].overrides[-1] == "score_epochs=[25,50,100]"


def left(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.ckpt")}


@pytest.mark.parametrize(("keep", "kept"), [("all", 12), ("winner", 2), ("none", 0)])
def test_only_what_is_to_be_kept_keeps_its_weights(tmp_path: Path, keep: Keep, kept: int) -> None:
    done = finished_cells(tmp_path, better=1)
    for each in done:
        (each.folder / "checkpoints").mkdir(parents=True)
        for epoch in EPOCHS:
            (each.folder / "checkpoints" / f"epoch={epoch:03d}.ckpt").write_text("")
    best = score_settings(done, done)[0][0]
    drop_weights(done, keep=keep, best=None)
    assert len(left(tmp_path)) == 12, "nothing goes before there is a winner"
    drop_weights(done, keep=keep, best=best)
    drop_weights(done, keep=keep, best=best)
    assert len(left(tmp_path)) == kept
    if keep == "winner":
        assert left(tmp_path) == {
            f"depth=1 fold={fold}/checkpoints/epoch=050.ckpt" for fold in (0, 1)
        }
