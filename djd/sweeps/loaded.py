"""Imported once by the fork server, so that no cell has to: everything that a training needs."""

import gc
import io

import cloudpickle  # noqa: F401
import hydra._internal.hydra
import hydra.core.utils  # noqa: F401
import numpy as np
import scipy.stats  # noqa: F401
import sklearn.model_selection  # noqa: F401
import torch
from hydra.core.plugins import Plugins

import djd.runs.train  # noqa: F401
from djd.models.fused.fitting import trusted
from djd.plots.confusion import confusion_figure
from djd.runs.result import installed_versions

# Cells train on one thread each; a pool of OpenMP's threads would not outlive forking.
torch.set_num_threads(1)
trusted(torch.float32)  # compiles the blocks where they aren't yet, and looks whether they agree
installed_versions()

Plugins.instance()  # imports all of Hydra's
# The first figure finds fonts and loads image formats.
confusion_figure(np.eye(5, dtype=np.int64), title="", stamp=None).savefig(io.BytesIO())

# Nothing of all this is garbage in a cell, where looking through it would take 0.3 s each time.
gc.freeze()
