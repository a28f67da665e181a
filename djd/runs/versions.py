"""The versions behind a number."""

import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version

VERSIONED_PARTS = ("djd", "torch", "lightning", "numpy", "scipy", "scikit-learn")
"""Parts that can change a number."""


@cache
def installed_versions() -> Mapping[str, str]:
    """Version of Python and of each of `VERSIONED_PARTS`."""
    return {"python": platform.python_version()} | {part: version(part) for part in VERSIONED_PARTS}
