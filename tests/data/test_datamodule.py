import tracemalloc
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray
from torch import Tensor

from djd.data import datamodule as datamodule_module
from djd.data.augment import scintigraphy
from djd.data.cohort import Cohort
from djd.data.crop import CROP_SIZE, VIEW_INDICES, Pixels, Scaling, Views, scale_crops
from djd.data.datamodule import (
    EXTRA_INPUTS,
    Batches,
    KneeDataModule,
    Prepare,
    other_knees,
    scaled,
    select_views,
)
from djd.data.split import Parts, split_knees, split_patients
from djd.data.uptake import relative_uptake
from djd.models.classifier import GradeClassifier
from djd.runs.config import read_config
from djd.runs.fit import build_trainer, quiet_lightning
from tests.conftest import compose_values
from tests.foreign import add_noise, received
from tests.invented import cycling_grades, invented_cohort

COHORT = invented_cohort(cycling_grades(15))
SIDES = split_knees(
    COHORT, split_patients(COHORT.patients, test_count=5), folds=3, fold=0, split_seed=0
)

AUGMENT = partial(scintigraphy, shift=0.1, turn=10, zoom=0.1, mirror=0.5, thin=0.5)


def datamodule(
    seed: int = 0,
    *,
    views: Views = "anterior",
    scaling: Scaling = "counts",
    mirror_left: bool = False,
    cohort: Cohort = COHORT,
    parts: Parts = SIDES,
    augment: Prepare | None = None,
    inputs: Collection[str] = (),
    pixels: Pixels = CROP_SIZE,
) -> KneeDataModule:
    return KneeDataModule(
        cohort,
        parts,
        views=views,
        scaling=scaling,
        mirror_left=mirror_left,
        batch_size=4,
        seed=seed,
        augment=augment,
        inputs=inputs,
        pixels=pixels,
    )


def orders(batches: Batches, epochs: int) -> list[list[int]]:
    passes = []
    for epoch in range(epochs):
        batches.set_epoch(epoch)
        passes.append([int(knee) for batch in batches for knee in batch["knee"]])
    return passes


def test_a_pass_shows_every_training_knee_once_and_no_other() -> None:
    batches = datamodule().train_batches()
    (order,) = orders(batches, 1)
    assert sorted(order) == SIDES.train.tolist()
    assert len(list(batches)) == len(batches) == -(-len(SIDES.train) // 4)


def test_a_batch_holds_the_crops_and_grades_of_its_knees() -> None:
    for batch in datamodule().train_batches():
        knees = batch["knee"].numpy()
        np.testing.assert_array_equal(batch["grade"].numpy(), COHORT.grades[knees])
        np.testing.assert_array_equal(batch["crop"].numpy()[:, 0], COHORT.crops[knees, 0])


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    three = orders(datamodule().train_batches(), 3)
    torch.rand(7)
    assert orders(datamodule().train_batches(), 3) == three
    assert three[0] != three[1]
    assert orders(datamodule(seed=1).train_batches(), 1)[0] != three[0]


def test_the_global_generator_starts_anew_with_each_epoch() -> None:
    batches = datamodule().train_batches()

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
            seen[-1].extend(knee for each in batch for knee in each["knee"].tolist())

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
    assert seen == orders(datamodule().train_batches(), 2)


def without_knee(cohort: Cohort, knee: int) -> Cohort:
    """The cohort with one knee unspecified."""
    kept = np.arange(len(cohort)) != knee
    return replace(
        cohort,
        crops=cohort.crops[kept],
        grades=cohort.grades[kept],
        scan_index=cohort.scan_index[kept],
        side_index=cohort.side_index[kept],
    )


def test_the_other_knee_is_that_of_the_same_scan() -> None:
    lacking = without_knee(COHORT, 3)
    assert other_knees(COHORT, np.array([0, 1, 5])).tolist() == [1, 0, 4]
    assert other_knees(lacking, np.array([2, 0, 4, 3])).tolist() == [-1, 1, 3, 4]


@pytest.mark.parametrize("mirror_left", [False, True])
@pytest.mark.parametrize("views", get_args(Views))
def test_batches_hold_what_a_network_takes_besides_as_plain_slicing_gives_it(
    views: Views, mirror_left: bool
) -> None:
    cohort = without_knee(COHORT, 3)
    parts = Parts(train=np.array([5, 2, 0]), validation=np.array([1]), test=np.array([7]))
    (batch,) = datamodule(
        views=views,
        scaling="standard",
        mirror_left=mirror_left,
        cohort=cohort,
        parts=parts,
        inputs=EXTRA_INPUTS,
    ).train_batches()
    channels = VIEW_INDICES[views]
    for place, knee in enumerate(batch["knee"].tolist()):
        (scan, side) = cohort.scan_index[knee], cohort.side_index[knee]
        beside = np.flatnonzero((cohort.scan_index == scan) & (cohort.side_index == 1 - side))
        assert bool(batch["has_other_knee"][place]) == bool(len(beside)) == (knee != 2)
        expected = np.zeros((len(channels), 128, 128), dtype=np.float32)
        if len(beside):
            crop = cohort.crops[beside[0], channels]
            if mirror_left and side == 0:
                crop = crop[..., ::-1]
            expected = scale_crops(crop, "standard")
        np.testing.assert_array_equal(batch["other_knee"][place].numpy(), expected)
        uptake = relative_uptake(cohort.crops[[knee]][:, channels]).ravel().astype(np.float32)
        np.testing.assert_array_equal(batch["uptake"][place].numpy(), uptake)


def test_batches_hold_nothing_that_no_network_takes() -> None:
    (first, *_) = datamodule().train_batches()
    assert set(first) == {"crop", "grade", "knee"}
    (first, *_) = datamodule(inputs=("uptake",)).val_dataloader()
    assert set(first) == {"crop", "grade", "knee", "uptake"}


@pytest.mark.parametrize("pixels", [64, 32])
def test_batches_hold_sums_of_neighbouring_counts_raw_and_scaled(pixels: Pixels) -> None:
    """Also for the other knee, and for an augmentation; the cohort keeps full crops."""
    block, given = CROP_SIZE // pixels, []

    def keep(counts: Tensor, generator: torch.Generator) -> Tensor:
        given.append(counts.numpy().copy())
        return counts

    def sums(knees: NDArray[np.int64]) -> NDArray[np.float64]:
        rows = COHORT.crops[knees, :1].astype(float).reshape(-1, 1, pixels, block, CROP_SIZE)
        blocks = rows.sum(axis=3).reshape(-1, 1, pixels, pixels, block)
        return np.asarray(blocks.sum(axis=4))

    data = datamodule(pixels=pixels, scaling="sqrt", inputs=EXTRA_INPUTS, augment=keep)
    for batch in data.train_batches():
        knees = batch["knee"].numpy()
        np.testing.assert_array_equal(given[-2], sums(knees))
        np.testing.assert_allclose(batch["crop"].numpy(), np.sqrt(sums(knees)), rtol=1e-6)
        beside = np.sqrt(sums(other_knees(COHORT, knees)))
        np.testing.assert_allclose(batch["other_knee"].numpy(), beside, rtol=1e-6)
        uptake = relative_uptake(COHORT.crops[knees][:, :1]).reshape(len(knees), -1)
        np.testing.assert_allclose(batch["uptake"].numpy(), uptake, rtol=1e-6)
    (held_out,) = datamodule(pixels=pixels, scaling="sqrt").val_dataloader()
    expected = np.sqrt(sums(held_out["knee"].numpy()))
    np.testing.assert_allclose(held_out["crop"].numpy(), expected, rtol=1e-6)
    assert COHORT.crops.shape[-2:] == (CROP_SIZE, CROP_SIZE)


@pytest.mark.parametrize("scaling", get_args(Scaling))
def test_crops_are_scaled_on_the_device_as_in_memory(scaling: Scaling) -> None:
    crops = COHORT.crops[:5].copy()
    crops[2] = 7  # no deviation
    received = scaled(torch.from_numpy(crops.astype(np.float32)), scaling)
    np.testing.assert_allclose(received.numpy(), scale_crops(crops, scaling), rtol=1e-5, atol=1e-5)


def augmented_passes(seed: int, *epochs: int, inputs: Collection[str] = ()) -> list[list[Tensor]]:
    """Crops of whole passes, in the order of the cohort's knees, with up to 5 counts more."""
    batches = datamodule(
        seed, augment=partial(add_noise, most=5.0), scaling="sqrt", inputs=inputs
    ).train_batches()
    passes = []
    for epoch in epochs:
        batches.set_epoch(epoch)
        shown = list(batches)
        order = torch.cat([batch["knee"] for batch in shown]).argsort()
        names = ("crop", "other_knee") if inputs else ("crop",)
        passes.append(
            [torch.cat([cast(Any, batch)[name] for batch in shown])[order] for name in names]
        )
    return passes


def test_augmentation_is_given_raw_counts_of_training_knees_and_a_generator() -> None:
    received.clear()
    ((crops,),) = augmented_passes(3, 2)
    given = torch.cat([counts for counts, _ in received]).numpy()
    batches = datamodule(3).train_batches()
    batches.set_epoch(2)
    order = np.concatenate([batch["knee"].numpy() for batch in batches])
    np.testing.assert_array_equal(given[:, 0], COHORT.crops[order, 0], "unscaled, in turn")
    assert len({seed for _, seed in received}) == 1, "one generator a pass"
    raw = torch.from_numpy(COHORT.crops[SIDES.train][:, :1].astype(np.float32))
    assert bool((crops >= raw.sqrt()).all())
    assert bool((crops <= (raw + 5).sqrt()).all())
    received.clear()
    list(datamodule(augment=partial(add_noise, most=5.0)).val_dataloader())
    assert received == [], "held-out knees are seen as they are"


def test_augmentation_follows_from_seed_and_epoch_alone() -> None:
    ((first,), (second,)) = augmented_passes(0, 0, 1)
    torch.rand(7)
    ((again,),) = augmented_passes(0, 1)
    ((other,),) = augmented_passes(1, 1)
    assert torch.equal(second, again)
    assert not torch.equal(first, second)
    assert not torch.equal(other, second)


def test_both_knees_are_augmented_and_each_anew() -> None:
    ((crops, others),) = augmented_passes(0, 0, inputs=EXTRA_INPUTS)
    beside = other_knees(COHORT, SIDES.train)
    noises = []
    for seen, knees in ((crops, SIDES.train), (others, beside)):
        noise = seen.double().square() - torch.from_numpy(COHORT.crops[knees, :1].astype(float))
        assert -0.01 < noise.min() < 1
        assert 4 < noise.max() < 5.01
        noises.append(noise)
    assert not torch.allclose(noises[0], noises[1], atol=0.1)
    ((again, others_again),) = augmented_passes(0, 0, inputs=EXTRA_INPUTS)
    assert torch.equal(crops, again)
    assert torch.equal(others, others_again)


def test_a_knee_that_is_absent_stays_black_when_crops_are_augmented() -> None:
    parts = Parts(train=np.array([2, 0]), validation=np.array([1]), test=np.array([7]))
    (batch,) = datamodule(
        cohort=without_knee(COHORT, 3),
        parts=parts,
        augment=partial(add_noise, most=5.0),
        inputs=("other_knee",),
    ).train_batches()
    lit = batch["other_knee"].amax(dim=(1, 2, 3)) > 0
    assert dict(zip(batch["knee"].tolist(), lit.tolist(), strict=True)) == {2: False, 0: True}


def passes_of(data: KneeDataModule) -> list[dict[str, tuple[bytes, tuple[int, ...], Any]]]:
    """Bytes, strides and type of all tensors of two training passes and of the held-out knees."""
    batches = data.train_batches()
    shown = []
    for epoch in (0, 1):
        batches.set_epoch(epoch)
        shown += [*batches, *data.val_dataloader(), *data.test_dataloader()]
    tensors = [cast(dict[str, Tensor], batch) for batch in shown]
    return [
        {name: (each.numpy().tobytes(), each.stride(), each.dtype) for name, each in batch.items()}
        for batch in tensors
    ]


@settings(max_examples=40, deadline=None)
@given(
    views=st.sampled_from(get_args(Views)),
    scaling=st.sampled_from(get_args(Scaling)),
    pixels=st.sampled_from(get_args(Pixels)),
    mirror_left=st.booleans(),
    is_augmented=st.booleans(),
    inputs=st.sets(st.sampled_from(EXTRA_INPUTS)),
    seed=st.integers(0, 5),
)
def test_batches_made_anew_are_those_held_in_memory_to_the_last_bit(
    *, views: Views, is_augmented: bool, seed: int, **options: Any
) -> None:
    """And lie in memory as they do: another order of pixels would be summed in another order."""
    data = datamodule(
        seed,
        views=views,
        cohort=without_knee(COHORT, 3),
        parts=Parts(train=np.array([8, 5, 2, 0, 13]), validation=np.array([1]), test=np.arange(20)),
        augment=AUGMENT if is_augmented else None,
        **options,
    )
    held = passes_of(data)
    assert not data.makes_images_anew
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datamodule_module, "MOST_BYTES_IN_MEMORY", 0)
        assert data.makes_images_anew
        assert passes_of(data) == held


def test_the_limit_counts_what_the_network_sees_of_the_larger_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    knees = len(SIDES.train) + len(SIDES.validation)
    for choices, a_knee in (
        ({}, 4 * 128**2),
        ({"views": "each", "pixels": 32}, 2 * 4 * 32**2),
        ({"inputs": ("uptake",)}, 4 * 128**2),
        ({"inputs": ("other_knee",)}, 2 * 4 * 128**2),
    ):
        data = datamodule(**cast(Any, choices))
        for most, anew in ((knees * a_knee, False), (knees * a_knee - 1, True)):
            monkeypatch.setattr(datamodule_module, "MOST_BYTES_IN_MEMORY", most)
            assert data.makes_images_anew is anew
    tested = replace(SIDES, train=SIDES.train[:1], validation=SIDES.validation[:1])
    data = datamodule(parts=replace(tested, test=np.arange(len(COHORT))))
    monkeypatch.setattr(datamodule_module, "MOST_BYTES_IN_MEMORY", 4 * 128**2 * len(COHORT) - 1)
    assert data.makes_images_anew


class Touched(np.ndarray[Any, Any]):
    """Crops that keep which knees were read."""

    knees: ClassVar[set[int]] = set()

    def __getitem__(self, place: Any) -> Any:
        first = place[0] if isinstance(place, tuple) else place
        self.knees.update(np.asarray(first).ravel().tolist())
        return np.asarray(self)[place]


@pytest.mark.parametrize("most", [0, 2**30], ids=["anew", "held"])
def test_a_training_reads_the_crops_of_no_test_patient(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(datamodule_module, "MOST_BYTES_IN_MEMORY", most)
    Touched.knees.clear()
    crops = COHORT.crops.view(Touched)
    data = datamodule(cohort=replace(COHORT, crops=crops), inputs=EXTRA_INPUTS)
    passes_of(replace(data, parts=replace(SIDES, test=SIDES.test[:0])))
    seen = Touched.knees
    assert seen == {*SIDES.train.tolist(), *SIDES.validation.tolist()}
    assert not seen & {*SIDES.test.tolist()}


def test_batches_made_anew_hold_no_crops_of_all_knees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 256 knees of 64 kB, a pass takes less memory than 24 of them."""
    monkeypatch.setattr(datamodule_module, "MOST_BYTES_IN_MEMORY", 0)
    count = 256
    crops = np.broadcast_to(COHORT.crops[0], (count, *COHORT.crops.shape[1:]))
    many = replace(
        COHORT,
        scans=tuple(map(str, range(count))),
        crops=crops,
        grades=np.zeros(count, dtype=np.int64),
        scan_index=np.arange(count),
        side_index=np.zeros(count, dtype=np.int64),
    )
    parts = Parts(train=np.arange(count), validation=np.arange(0), test=np.arange(0))
    tracemalloc.start()
    for _ in datamodule(cohort=many, parts=parts, inputs=("other_knee",)).train_batches():
        pass
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 24 * crops[0].nbytes
