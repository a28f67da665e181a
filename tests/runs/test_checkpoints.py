"""What a stopped training goes on from is the end of an epoch, whatever happens after it."""

import errno
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from djd.files import write_whole
from djd.runs.callbacks.checkpoints import KeptCheckpoint, LastEpoch, WholeCheckpointIO
from djd.runs.fit import quiet_lightning

SCORES = (0.1, 0.9, 0.5)
pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")

WRITING = "djd.runs.callbacks.checkpoints.write_whole"


class Scored(lightning.LightningModule):
    """One weight that moves, and a score an epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def training_step(self, batch: list[Tensor]) -> Tensor:
        self.log("score", SCORES[self.current_epoch], on_step=False, on_epoch=True)
        loss: Tensor = self.layer(batch[0]).square().sum()
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters())


def fit(folder: Path, *, epochs: int, ckpt_path: Path | None = None, more: Any = ()) -> Scored:
    best = ModelCheckpoint(
        dirpath=folder,
        filename="best",
        monitor="score",
        mode="max",
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        logger=False,
        callbacks=[*more, best, LastEpoch(folder / "last.ckpt")],
        plugins=[WholeCheckpointIO()],
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    torch.manual_seed(0)
    module = Scored()
    batches = DataLoader(TensorDataset(torch.ones(2, 1)))
    with quiet_lightning():
        trainer.fit(module, batches, ckpt_path=ckpt_path)
    return module


def test_a_best_epoch_that_could_not_be_written_is_written_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The score that the epoch would have had must not stand in what the training goes on from."""

    def full_disk(path: Path, content: Any) -> None:
        if path.name == "best.ckpt" and path.exists():
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write_whole(path, content)

    monkeypatch.setattr(WRITING, full_disk)
    with pytest.raises(OSError, match="No space"):
        fit(tmp_path, epochs=3)
    monkeypatch.setattr(WRITING, write_whole)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch"] == 0
    fit(tmp_path, epochs=3, ckpt_path=tmp_path / "last.ckpt")
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["epoch"] == SCORES.index(0.9)


class StopsOnce:
    """Stops the first writing of the last epoch."""

    def __init__(self) -> None:
        self.stopped = False

    def __call__(self, path: Path, content: Any) -> None:
        if path.name == "last.ckpt" and not self.stopped:
            self.stopped = True
            raise SystemExit(143)
        write_whole(path, content)


def test_what_stops_the_writing_of_an_epoch_does_not_lose_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WRITING, StopsOnce())
    monkeypatch.setattr("djd.runs.callbacks.checkpoints.EPOCHS_BETWEEN_WRITES", 2)
    with pytest.raises(SystemExit):
        fit(tmp_path, epochs=3)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch"] == 1


class Fails(Callback):
    """In the third epoch."""

    def on_train_batch_start(self, trainer: lightning.Trainer, *rest: Any) -> None:
        if trainer.current_epoch == 2:
            raise RuntimeError("failed")


def test_a_failure_in_an_epoch_leaves_the_end_of_the_one_before(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="failed"):
        fit(tmp_path / "failed", epochs=3, more=[Fails()])
    fit(tmp_path / "short", epochs=2)
    kept, short = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("failed", "short")
    )
    assert kept["epoch"] == short["epoch"] == 1
    for name, weights in short["state_dict"].items():
        assert torch.equal(kept["state_dict"][name], weights)
    moments = [each["optimizer_states"][0]["state"][0]["exp_avg"] for each in (kept, short)]
    assert torch.equal(*moments)


def test_what_is_kept_does_not_change_with_what_it_was_made_of() -> None:
    kept = KeptCheckpoint()
    weights, scores = torch.zeros(2), {"best": torch.zeros(1)}
    kept.keep({"state_dict": {"weights": weights}, "callbacks": {"best": {"scores": scores}}})
    weights += 1
    scores["best"] += 1
    scores["new"] = torch.ones(1)
    assert kept.held == {
        "state_dict": {"weights": pytest.approx(torch.zeros(2))},
        "callbacks": {"best": {"scores": {"best": torch.zeros(1)}}},
    }
