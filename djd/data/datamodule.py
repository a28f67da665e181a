"""A cohort's knees as batches of tensors on the training device.

What the network sees of a cohort is held there whole, or, of a large one, made batch by batch; see
`MOST_BYTES_IN_MEMORY`. Both ways give the same batches to the last bit.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import KW_ONLY, dataclass
from functools import cached_property, partial
from typing import Any, NotRequired, TypedDict, cast

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from djd.data.cohort import Cohort
from djd.data.crop import (
    CROP_SIZE,
    KNEES_AT_ONCE,
    MOST_BYTES_IN_MEMORY,
    MOST_BYTES_ON_GPU,
    VIEW_INDICES,
    Pixels,
    Scaling,
    Views,
    scale_crops,
    seen_bytes,
    sum_neighbours,
)
from djd.data.split import Parts
from djd.data.uptake import uptake_measures

EVALUATION_BATCH_SIZE = 64
"""A larger batch than in training only saves calls."""

Prepare = Callable[[Tensor, torch.Generator], Tensor]
"""Raw counts float32 (knee, view, row, column) and a generator to a tensor of the same shape."""

Images = Callable[[NDArray[np.int64]], dict[str, Tensor]]
"""Knees int64 (knee,), indices into the cohort's, to the images of a `Batch` by name."""

EXTRA_INPUTS = ("uptake", "other_knee", "has_other_knee")
"""Inputs that a network gets beside the crops, where the network's `forward` names them."""


class Batch(TypedDict):
    """Knees that go through the network together.

    crop: float32 (knee, view, row, column), scaled as `data.scaling` says.
    grade: int64 (knee,), 0 to 4.
    knee: int64 (knee,), index into the cohort's knees.
    uptake: float32 (knee, measure), see `relative_uptake`: mean and peak of each view.
    other_knee: float32 (knee, view, row, column), the patient's other knee; 0 where it is absent.
    has_other_knee: bool (knee,), whether the other knee of the scan is in the cohort.
    """

    crop: Tensor
    grade: Tensor
    knee: Tensor
    uptake: NotRequired[Tensor]
    other_knee: NotRequired[Tensor]
    has_other_knee: NotRequired[Tensor]


def inputs_of(batch: Batch, names: Iterable[str]) -> dict[str, Tensor]:
    """The inputs of a batch by name, such as those of `EXTRA_INPUTS`."""
    return {name: cast(dict[str, Tensor], batch)[name] for name in names}


def select_views(
    cohort: Cohort,
    knees: NDArray[np.int64],
    *,
    views: Views,
    scaling: Scaling,
    mirror_left: bool,
    pixels: Pixels = CROP_SIZE,
) -> NDArray[np.float32]:
    """Crops as the network sees them: float32 (knee, view, row, column).

    `knees` is int64 (knee,), indices into the cohort's knees. `mirror_left` flips left knees, so
    that medial is on the same side in all. Counts are summed to `pixels` rows and columns, then
    scaled.
    """
    # Views last in memory, as batches hold them.
    values = np.empty((len(knees), pixels, pixels, len(VIEW_INDICES[views])), dtype=np.float32)
    values = values.transpose(0, 3, 1, 2)
    for first in range(0, len(knees), KNEES_AT_ONCE):
        some = knees[first : first + KNEES_AT_ONCE]
        # Of a mapped file, only the pages of these views are read.
        chosen = cohort.crops[some[:, None], VIEW_INDICES[views]]
        if mirror_left:
            _mirror(chosen, cohort.side_index[some] == 1)
        values[first : first + len(some)] = scale_crops(sum_neighbours(chosen, pixels), scaling)
    return values


def network_crops(
    crops: NDArray[np.uint16],
    left: NDArray[np.bool_],
    *,
    views: Views,
    scaling: Scaling,
    mirror_left: bool,
    pixels: Pixels = CROP_SIZE,
) -> NDArray[np.float32]:
    """As `select_views`, of crops uint16 (knee, view 2, row 128, column 128); `left` is (knee,)."""
    chosen = np.take(crops, VIEW_INDICES[views], axis=1)
    if mirror_left:
        _mirror(chosen, left)
    return scale_crops(sum_neighbours(chosen, pixels), scaling)


def _mirror(crops: NDArray[np.uint16], left: NDArray[np.bool_]) -> None:
    crops[left] = crops[left, ..., ::-1]


def other_knees(cohort: Cohort, knees: NDArray[np.int64]) -> NDArray[np.int64]:
    """The other knee of each knee's scan, int64 (knee,); -1 where the cohort lacks it."""
    place = np.full((len(cohort.scans), 2), -1, dtype=np.int64)
    place[cohort.scan_index, cohort.side_index] = np.arange(len(cohort))
    return place[cohort.scan_index[knees], 1 - cohort.side_index[knees]]


def scaled(counts: Tensor, scaling: Scaling) -> Tensor:
    """As `scale_crops`, on the device: float32 (knee, view, row, column) of raw counts."""
    if scaling == "counts":
        return counts
    if scaling == "sqrt":
        return counts.clamp(min=0).sqrt()
    # torch.std_mean takes seven times as long (0.15 ms for 32 images, CPU with AVX-512).
    centred = counts - counts.mean(dim=(-2, -1), keepdim=True)
    deviation = centred.square().mean(dim=(-2, -1), keepdim=True).sqrt()
    return centred / torch.where(deviation > 0, deviation, 1)


@dataclass(eq=False, repr=False)
class Batches:
    """A loader over tensors on their device: 0.07 ms a batch, where a DataLoader takes 0.2 ms.

    Images are among the tensors, or they are made batch by batch.

    Lightning calls `set_epoch` on `.sampler` only, so `.sampler` is this object. Order and global
    generator follow from seed and epoch alone, so that a resumed run equals an unbroken run.

    Args:
        batch: All knees.
        shuffle_seed: Seed of the order; None keeps the order given.
        prepare: Turns raw counts into the network's input; None where the crops are ready.
        images: Makes the images of a batch; None where `batch` has those of all knees.
    """

    batch_sampler = None

    batch: Batch
    _: KW_ONLY
    batch_size: int
    shuffle_seed: int | None
    prepare: Prepare | None = None
    images: Images | None = None

    def __post_init__(self) -> None:
        self._epoch = 0
        self.sampler = self
        self._device = self.batch["grade"].device
        self._knees = self.batch["knee"].cpu().numpy() if self.images else np.arange(0)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next pass."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Batches a pass."""
        return -(-len(self.batch["grade"]) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """One pass over all knees."""
        # Only a preparation draws; not every device has a generator.
        generator = torch.Generator(self._device if self.prepare else "cpu")
        generator.manual_seed(epoch_seed(self.shuffle_seed or 0, self._epoch))
        order = self._order()
        parts = (torch.split(each, self.batch_size) for each in (order, self._sent(order)))
        for here, chosen in zip(*parts, strict=True):
            batch = {name: cast(Tensor, each)[chosen] for name, each in self.batch.items()}
            if self.images:
                batch |= self.images(self._knees[here.numpy()])
            if self.prepare:
                batch["crop"] = self.prepare(batch["crop"], generator)
                if "other_knee" in batch:
                    there = batch["has_other_knee"][:, None, None, None]
                    batch["other_knee"] = self.prepare(batch["other_knee"], generator) * there
            yield cast(Batch, batch)

    def _order(self) -> Tensor:
        knees = len(self.batch["grade"])
        if self.shuffle_seed is None:
            return torch.arange(knees)
        seed = epoch_seed(self.shuffle_seed, self._epoch)
        torch.manual_seed(seed)
        return torch.randperm(knees, generator=torch.Generator().manual_seed(seed))

    def _sent(self, order: Tensor) -> Tensor:
        """The order on the knees' device."""
        if self._device.type != "cuda":
            return order.to(self._device)
        # The CPU does not wait for a copy out of pinned memory.
        return order.pin_memory().to(self._device, non_blocking=True)


class WholeEpochs:
    """A loader whose one item is a pass over all batches."""

    batch_sampler = None

    def __init__(self, batches: Batches) -> None:
        self.batches = self.sampler = batches

    def __len__(self) -> int:
        """Items a pass."""
        return 1

    def __iter__(self) -> Iterator[Batches]:
        """One pass."""
        yield self.batches


def epoch_seed(seed: int, epoch: int) -> int:
    """A seed of its own for each epoch of each training seed."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])


@dataclass(eq=False, repr=False)
class KneeDataModule(lightning.LightningDataModule):
    """The three parts of one training as batches.

    See `select_views` for `views`, `scaling`, `mirror_left` and `pixels`.

    Args:
        batch_size: Knees a training batch.
        seed: Training seed, which the order of the batches follows from.
        augment: Changes raw training counts anew in each step.
        inputs: The names of `EXTRA_INPUTS` that the batches hold.
    """

    cohort: Cohort
    parts: Parts
    _: KW_ONLY
    views: Views
    scaling: Scaling
    mirror_left: bool
    batch_size: int
    seed: int
    pixels: Pixels = CROP_SIZE
    augment: Prepare | None = None
    inputs: Collection[str] = ()

    def __post_init__(self) -> None:
        super().__init__()

    def train_dataloader(self) -> WholeEpochs:
        """The batches of an epoch as one item."""
        return WholeEpochs(self.train_batches())

    def transfer_batch_to_device(self, batch: Any, device: torch.device, loader_index: int) -> Any:
        """The batch itself: its tensors are on the device."""
        return batch

    def train_batches(self) -> Batches:
        """Training knees in a new order each epoch, augmented where there is an augmentation."""
        return self._batches(
            self.parts.train,
            raw=self.augment is not None,
            batch_size=self.batch_size,
            shuffle_seed=self.seed,
            prepare=self._augmented if self.augment else None,
        )

    def _augmented(self, counts: Tensor, generator: torch.Generator) -> Tensor:
        assert self.augment
        changed = scaled(self.augment(counts, generator), self.scaling)
        return changed.contiguous(memory_format=torch.channels_last)

    def val_dataloader(self) -> Batches:
        """Validation knees in the cohort's order."""
        return self._held_out(self.parts.validation)

    def test_dataloader(self) -> Batches:
        """Test knees in the cohort's order."""
        return self._held_out(self.parts.test)

    def batch_of(self, knees: NDArray[np.int64], *, raw: bool = False) -> Batch:
        """Some knees, int64 (knee,), as one batch on the training device; `raw` keeps counts."""
        return cast(Batch, {**self._facts(knees), **self._images(knees, raw=raw)})

    @property
    def makes_images_anew(self) -> bool:
        """Whether there are so many knees that each batch's images are made when it is due."""
        parts = self.parts
        knees = max(len(parts.train) + len(parts.validation), len(parts.test))
        images = 1 + self._takes_both
        most = MOST_BYTES_IN_MEMORY if self._device.type == "cpu" else MOST_BYTES_ON_GPU
        return images * seen_bytes(knees, self.views, self.pixels) > most

    def _batches(self, knees: NDArray[np.int64], *, raw: bool = False, **how: Any) -> Batches:
        if self.makes_images_anew:
            batch = cast(Batch, self._facts(knees))
            return Batches(batch, images=partial(self._images, raw=raw), **how)
        return Batches(self.batch_of(knees, raw=raw), **how)

    @property
    def _device(self) -> torch.device:
        return self.trainer.strategy.root_device if self.trainer else torch.device("cpu")

    @cached_property
    def _others(self) -> NDArray[np.int64]:
        return other_knees(self.cohort, np.arange(len(self.cohort)))

    @property
    def _takes_both(self) -> bool:
        return bool({"other_knee", "has_other_knee"} & set(self.inputs))

    def _facts(self, knees: NDArray[np.int64]) -> dict[str, Tensor]:
        """All of a batch but its images."""
        facts = {"grade": self.cohort.grades[knees], "knee": knees}
        tensors = {name: torch.from_numpy(each).to(self._device) for name, each in facts.items()}
        if "uptake" in self.inputs:
            uptake = uptake_measures(self.cohort.crops, knees, self.views)
            tensors["uptake"] = torch.from_numpy(uptake).to(self._device)
        if self._takes_both:
            there = torch.from_numpy(self._others[knees] >= 0)
            tensors["has_other_knee"] = there.to(self._device)
        return tensors

    def _images(self, knees: NDArray[np.int64], *, raw: bool) -> dict[str, Tensor]:
        images = {"crop": self._crops(knees, raw=raw)}
        if self._takes_both:
            others = self._others[knees]
            there = torch.from_numpy(others >= 0)
            images["other_knee"] = self._crops(others, raw=raw) * there[:, None, None, None]
        return {name: each.to(self._device) for name, each in images.items()}

    def _crops(self, knees: NDArray[np.int64], *, raw: bool) -> Tensor:
        crops = select_views(
            self.cohort,
            knees,
            views=self.views,
            scaling="counts" if raw else self.scaling,
            mirror_left=self.mirror_left,
            pixels=self.pixels,
        )
        return torch.from_numpy(crops).contiguous(memory_format=torch.channels_last)

    def _held_out(self, knees: NDArray[np.int64]) -> Batches:
        return self._batches(knees, batch_size=EVALUATION_BATCH_SIZE, shuffle_seed=None)
