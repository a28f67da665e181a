"""The passes as compilers build them for processors with narrower registers than this one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from djd.models.fused import compiled, fusing, passes

FLAGS = ("", "-mno-avx512f", "-mno-avx")
"""This processor as it is; at most 8 lanes; 4 lanes."""


@contextmanager
def built_with(flag: str) -> Iterator[None]:
    """Everything within takes passes that were compiled with one more flag.

    The test is skipped where the compiler does not know the flag.
    """
    caches = (compiled.library, fusing.trusted, passes.lanes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CC", f"{os.environ.get('CC') or 'cc'} {flag}")
        for cache in caches:
            cache.cache_clear()
        if compiled.library(in_double=False) is None:
            pytest.skip(f"the compiler here does not know {flag}")
        yield
    for cache in caches:
        cache.cache_clear()


def lanes_of(flag: str) -> int:
    """Float lanes of a build."""
    with built_with(flag):
        return passes.lanes(torch.float32)
