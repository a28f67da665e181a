import tracemalloc
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from djd.data import datamodule as datamodule_module
from djd.data.crop import VIEW_INDICES, Scaling, Views, scale_crops
from djd.data.datamodule import Batches, KneeDataModule, select_views
from djd.data.split import split_knees, split_patients
from djd.models.classifier import GradeClassifier
from djd.runs.config import read_config
from djd.runs.fit import build_trainer, quiet_lightning
from tests.conftest import compose_values
from tests.invented import cycling_grades, invented_cohort

COHORT = invented_cohort(cycling_grades(15))
SIDES = split_knees(
    COHORT, split_patients(COHORT.patients, test_count=5), folds=3, fold=0, split_seed=0
)


def datamodule(seed: int = 0) -> KneeDataModule:
    return KneeDataModule(
        COHORT,
        SIDES,
        views="anterior",
        scaling="counts",
        mirror_left=False,
        batch_size=4,
        seed=seed,
    )


def orders(batches: Batches, epochs: int) -> list[list[int]]:
    passes = []
    for epoch in range(epochs):
        batches.set_epoch(epoch)
        passes.append([int(knee) for batch in batches for knee in batch["knee"]])
    return passes


def test_a_pass_shows_every_training_knee_once_and_no_other() -> None:
    batches = datamodule().train_dataloader()
    (order,) = orders(batches, 1)
    assert sorted(order) == SIDES.train.tolist()
    assert len(list(batches)) == len(batches) == -(-len(SIDES.train) // 4)


def test_a_batch_holds_the_crops_and_grades_of_its_knees() -> None:
    for batch in datamodule().train_dataloader():
        knees = batch["knee"].numpy()
        np.testing.assert_array_equal(batch["grade"].numpy(), COHORT.grades[knees])
        np.testing.assert_array_equal(batch["crop"].numpy()[:, 0], COHORT.crops[knees, 0])


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    three = orders(datamodule().train_dataloader(), 3)
    torch.rand(7)
    assert orders(datamodule().train_dataloader(), 3) == three
    assert three[0] != three[1]
    assert orders(datamodule(seed=1).train_dataloader(), 1)[0] != three[0]


def test_the_global_generator_starts_anew_with_each_epoch() -> None:
    batches = datamodule().train_dataloader()

    def first_draw(epoch: int) -> float:
        batches.set_epoch(epoch)
        next(iter(batches))
        return float(torch.rand(1))

    assert first_draw(0) == first_draw(0)
    assert first_draw(0) != first_draw(1)


def test_held_out_knees_come_in_the_cohorts_order() -> None:
    assert orders(datamodule().test_dataloader(), 2) == [SIDES.test.tolist()] * 2
    assert orders(datamodule().val_dataloader(), 1) == [SIDES.validation.tolist()]


def test_both_views_are_two_channels() -> None:
    knees = np.array([0, 3])
    both = select_views(COHORT, knees, views="both", scaling="sqrt", mirror_left=False)
    np.testing.assert_array_equal(both, scale_crops(COHORT.crops[knees], "sqrt"))
    posterior = select_views(COHORT, knees, views="posterior", scaling="sqrt", mirror_left=False)
    np.testing.assert_array_equal(posterior[:, 0], both[:, 1])


def test_mirroring_flips_left_knees_only_and_not_the_cohort() -> None:
    before = COHORT.crops.copy()
    knees = np.array([0, 1])  # right, left
    plain = select_views(COHORT, knees, views="anterior", scaling="counts", mirror_left=False)
    mirrored = select_views(COHORT, knees, views="anterior", scaling="counts", mirror_left=True)
    np.testing.assert_array_equal(mirrored[0], plain[0])
    np.testing.assert_array_equal(mirrored[1], plain[1, :, :, ::-1])
    np.testing.assert_array_equal(COHORT.crops, before)


@pytest.mark.parametrize("mirror_left", [False, True])
@pytest.mark.parametrize("scaling", get_args(Scaling))
@pytest.mark.parametrize("views", get_args(Views))
def test_knees_scaled_a_few_at_a_time_are_those_scaled_all_at_once_to_the_last_bit(
    monkeypatch: pytest.MonkeyPatch, views: Views, scaling: Scaling, mirror_left: bool
) -> None:
    monkeypatch.setattr(datamodule_module, "KNEES_AT_ONCE", 4)
    knees = np.array([29, 0, 3, 4, 7, 8, 9, 12, 1])
    crops = COHORT.crops[knees][:, VIEW_INDICES[views]]
    if mirror_left:
        left = COHORT.side_index[knees] == 1
        crops[left] = crops[left, ..., ::-1]
    seen = select_views(COHORT, knees, views=views, scaling=scaling, mirror_left=mirror_left)
    assert seen.tobytes() == scale_crops(crops, scaling).tobytes()


@pytest.mark.parametrize("views", get_args(Views))
def test_a_part_takes_no_memory_beside_its_own(
    monkeypatch: pytest.MonkeyPatch, views: Views
) -> None:
    monkeypatch.setattr(datamodule_module, "KNEES_AT_ONCE", 1)
    knees = np.arange(len(COHORT))
    tracemalloc.start()
    seen = select_views(COHORT, knees, views=views, scaling="standard", mirror_left=True)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1.2 * seen.nbytes
    crops = torch.from_numpy(seen)
    assert crops.contiguous(memory_format=torch.channels_last).data_ptr() == crops.data_ptr()


def test_lightning_gives_each_epoch_of_a_fit_its_own_order(tmp_path: Path) -> None:
    """It says which epoch it is to `.sampler` only; unheard, every epoch would have one order."""
    seen: list[list[int]] = []

    class Orders(Callback):
        def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            seen.append([])

        def on_train_batch_end(
            self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, index: int
        ) -> None:
            seen[-1].extend(batch["knee"].tolist())

    classifier = GradeClassifier(
        network={"_target_": "djd.models.networks.KneeCNN", "depth": 1, "width": 1},
        loss={"_target_": "djd.models.losses.CrossEntropy"},
        optimizer={"_target_": "torch.optim.SGD"},
        learning_rate=1e-4,
        schedule="constant",
        epochs=2,
        views=1,
    )
    config = read_config(compose_values("trainer.max_epochs=2", "trainer.accelerator=cpu"))
    trainer = build_trainer(config, tmp_path, [Orders()], loggers=[], held_out=False)
    with quiet_lightning():
        trainer.fit(classifier, datamodule=datamodule())
    assert seen == orders(datamodule().train_dataloader(), 2)
