"""Imported once by the fork server, so that no cell has to: everything that a training needs.

The server ends with the process that started it, and with the server end its cells.
"""

import hydra._internal.hydra
import hydra.core.utils  # noqa: F401

import djd.training.jobs  # noqa: F401
from djd.comparison.orphans import die_with_parent

die_with_parent()
