"""The versions behind a number."""

import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version

import torch

from djd.training.blocks.fitting import trusted

VERSIONED_PARTS = ("djd", "torch", "lightning", "numpy", "scipy", "scikit-learn")
"""Parts that can change a number."""


@cache
def installed_versions() -> Mapping[str, str]:
    """Version of Python and of each of `VERSIONED_PARTS`, and whether blocks are compiled here.

    Compiled and plain blocks differ by rounding, as two processors do.
    """
    blocks = "compiled" if trusted(torch.float32) else "plain layers"
    parts = {part: version(part) for part in VERSIONED_PARTS}
    return {"python": platform.python_version(), **parts, "blocks": blocks}
