"""A cohort's knees as batches of tensors, held in memory and on the training device."""

from collections.abc import Iterator
from typing import TypedDict

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from djd.data.cohort import Cohort
from djd.data.crop import VIEW_INDICES, Scaling, Views, scale_crops
from djd.data.split import Parts

KNEES_AT_ONCE = 64
"""How many are scaled at a time. All at once, 4,000 of them took 1.5 times (both views: 2 times)
the memory of what came out for copies on the way, and longer (2026-11-25)."""


class Batch(TypedDict):
    """Knees that go through the network together.

    crop: float32 (knee, view, row, column), scaled as `data.scaling` says.
    grade: int64 (knee,), 0 to 4.
    knee: int64 (knee,), index into the cohort's knees.
    """

    crop: Tensor
    grade: Tensor
    knee: Tensor


def select_views(
    cohort: Cohort, knees: NDArray[np.int64], *, views: Views, scaling: Scaling, mirror_left: bool
) -> NDArray[np.float32]:
    """What the network sees: float32 (knee, view, row, column).

    Args:
        cohort: The knees.
        knees: int64 (knee,), indices into the cohort's knees.
        views: Which views become channels.
        scaling: See `scale_crops`.
        mirror_left: Whether left knees are flipped, so that medial is on the same side in all.
    """
    channels = np.asarray(VIEW_INDICES[views])
    rows, columns = cohort.crops.shape[2:]
    # Views last in memory, as batches hold them.
    values = np.empty((len(knees), rows, columns, len(channels)), dtype=np.float32)
    values = values.transpose(0, 3, 1, 2)
    for first in range(0, len(knees), KNEES_AT_ONCE):
        some = knees[first : first + KNEES_AT_ONCE]
        crops = cohort.crops[some[:, None], channels]
        if mirror_left:
            left = cohort.side_index[some] == 1
            crops[left] = crops[left, ..., ::-1]
        values[first : first + len(some)] = scale_crops(crops, scaling)
    return values


class Batches:
    """A loader over tensors that stay where they are: 0.07 ms a batch, a DataLoader's are 0.2.

    Re-iterable. Lightning calls `set_epoch` on `.sampler` only, which is therefore this object; the
    order is a function of seed and epoch alone, and the global generator is seeded from them too at
    each epoch's start, so that a run that goes on after a stop equals one that never stopped.

    Args:
        batch: All knees of one part.
        batch_size: Knees a batch; the last may be smaller.
        shuffle_seed: Seed of the order; None keeps the order given.
    """

    batch_sampler = None

    def __init__(self, batch: Batch, *, batch_size: int, shuffle_seed: int | None) -> None:
        self._batch = batch
        self._batch_size = batch_size
        self._shuffle_seed = shuffle_seed
        self._epoch = 0
        self.sampler = self

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next pass belongs to."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Batches a pass."""
        return -(-len(self._batch["grade"]) // self._batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """One pass over all knees."""
        for chosen in torch.split(self._order(), self._batch_size):
            yield Batch(
                crop=self._batch["crop"][chosen],
                grade=self._batch["grade"][chosen],
                knee=self._batch["knee"][chosen],
            )

    def _order(self) -> Tensor:
        knees = self._batch["grade"]
        if self._shuffle_seed is None:
            return torch.arange(len(knees), device=knees.device)
        seed = epoch_seed(self._shuffle_seed, self._epoch)
        torch.manual_seed(seed)
        order = torch.randperm(len(knees), generator=torch.Generator().manual_seed(seed))
        return _sent_ahead(order, knees.device)


def _sent_ahead(order: Tensor, device: torch.device) -> Tensor:
    """A copy on the device; a GPU is not waited for, as it would be out of memory not pinned."""
    if device.type != "cuda":
        return order.to(device)
    return order.pin_memory().to(device, non_blocking=True)


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed of its own for each epoch of each training seed."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


class KneeDataModule(lightning.LightningDataModule):
    """The three parts of one training as batches.

    Args:
        cohort: The knees.
        parts: Which knees are on which part.
        views: Which views become channels.
        scaling: See `scale_crops`.
        mirror_left: Whether left knees are flipped.
        batch_size: Knees a training batch.
        seed: Training seed: the order of the batches follows from it.
    """

    # Held-out knees need no gradients; a larger batch only saves calls.
    EVALUATION_BATCH_SIZE = 64

    def __init__(
        self,
        cohort: Cohort,
        parts: Parts,
        *,
        views: Views,
        scaling: Scaling,
        mirror_left: bool,
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.cohort = cohort
        self.parts = parts
        self.views: Views = views
        self.scaling: Scaling = scaling
        self.mirror_left = mirror_left
        self.batch_size = batch_size
        self.seed = seed

    def train_dataloader(self) -> Batches:
        """Training knees, in a new order each epoch."""
        return Batches(
            self.batch_of(self.parts.train), batch_size=self.batch_size, shuffle_seed=self.seed
        )

    def val_dataloader(self) -> Batches:
        """Validation knees in the cohort's order."""
        return self._held_out(self.parts.validation)

    def test_dataloader(self) -> Batches:
        """Test knees in the cohort's order."""
        return self._held_out(self.parts.test)

    def batch_of(self, knees: NDArray[np.int64]) -> Batch:
        """Some knees as one batch, on the training device where there is one."""
        crops = select_views(
            self.cohort,
            knees,
            views=self.views,
            scaling=self.scaling,
            mirror_left=self.mirror_left,
        )
        crop = torch.from_numpy(crops).contiguous(memory_format=torch.channels_last)
        device = self._device()
        return Batch(
            crop=crop.to(device),
            grade=torch.from_numpy(self.cohort.grades[knees]).to(device),
            knee=torch.from_numpy(knees).to(device),
        )

    def _held_out(self, knees: NDArray[np.int64]) -> Batches:
        return Batches(
            self.batch_of(knees), batch_size=self.EVALUATION_BATCH_SIZE, shuffle_seed=None
        )

    def _device(self) -> torch.device:
        return self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
