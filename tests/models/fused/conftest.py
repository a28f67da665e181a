from collections.abc import Iterator

import pytest

from djd.models.fused import fusing


@pytest.fixture(autouse=True)
def undecided() -> Iterator[None]:
    """What a test decides on blocks ends with the test."""
    before = list(fusing._in_use)
    fusing._in_use.clear()
    yield
    fusing._in_use[:] = before
