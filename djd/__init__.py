"""Grade knee degenerative joint disease on whole-body bone scans, and compare settings honestly."""

import logging
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from djd.data.scan import Scan, ScanError, read_scan
    from djd.predict.loading import load_model

__all__ = ["Scan", "ScanError", "load_model", "read_scan"]

# Matplotlib logs its folder, its list of fonts and its choice, the first of them at its import by
# other libraries; nobody here can act on that.
logging.getLogger("matplotlib").setLevel(logging.ERROR)


def __getattr__(name: str) -> object:
    """Import on first use: `import djd` alone loads neither numpy nor scipy."""
    if name not in __all__:
        raise AttributeError(f"module 'djd' has no attribute {name!r}")
    module = "djd.predict.loading" if name == "load_model" else "djd.data.scan"
    return getattr(import_module(module), name)
