"""Kinds of processors to measure on: this one, and this one taken for a smaller one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

HERE = "here"

PROCESSORS = {
    HERE: {},
    "avx2": {
        "CC": "cc -mno-avx512f",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
    },
    "sse": {
        "CC": "cc -mno-avx",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "ATEN_CPU_CAPABILITY": "default",
    },
}
"""Variables by which compiler, oneDNN and PyTorch take a processor for a smaller one."""


@contextmanager
def taken_for(processor: str) -> Iterator[None]:
    """Start processes that take this processor for another of `PROCESSORS`."""
    with patch.dict(os.environ, PROCESSORS[processor]):
        yield
