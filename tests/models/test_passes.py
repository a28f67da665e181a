"""What a classifier keeps of a pass over all batches."""

import weakref

import pytest
import torch
from torch import Tensor

from djd.models import classifier as classifier_module
from djd.models.classifier import _Rows


@pytest.mark.parametrize("room", [1, 5, 1024])
def test_rows_of_batches_of_any_size_come_back_in_order(
    monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setattr(classifier_module, "LEAST_ROOM", room)
    generator = torch.Generator().manual_seed(0)
    for shape in ((), (5,)):
        batches = [torch.rand(size, *shape, generator=generator) for size in (3, 3, 1, 40, 2)]
        rows = _Rows()
        for batch in batches:
            rows.add(batch)
        assert torch.equal(rows.rows, torch.cat(batches))
        assert rows.rows.is_contiguous()


def test_no_tensor_of_a_batch_stays() -> None:
    """Each would lie where the next batch needs a large place."""
    rows, seen = _Rows(), list[weakref.ref[Tensor]]()
    for _ in range(10):
        batch = torch.rand(4, 5)
        rows.add(batch)
        seen.append(weakref.ref(batch))
    del batch
    assert not any(each() is not None for each in seen)
