from collections.abc import Iterator

import pytest

from djd.training.blocks import fitting


@pytest.fixture(autouse=True)
def undecided() -> Iterator[None]:
    """What a test decides on blocks ends with the test."""
    before = list(fitting._in_use)
    fitting._in_use.clear()
    yield
    fitting._in_use[:] = before
