"""Imports of a training, made once by the fork server, so that no cell has to make them."""

# The server ignores the signals at which cells keep their last epochs (Slurm sends them to every
# process of a job), and ends with the process that started the server; its cells end with the
# server. This comes before the imports that take seconds.
from djd.machine import die_with_parent, ignore_stops

ignore_stops()
die_with_parent()

import gc  # noqa: E402

gc.disable()  # imports leave no garbage, and looking for it takes a third of their time

import io  # noqa: E402

import cloudpickle  # noqa: E402, F401
import hydra._internal.hydra  # noqa: E402
import hydra.core.utils  # noqa: E402, F401
import numpy as np  # noqa: E402
import scipy.stats  # noqa: E402, F401
import sklearn.model_selection  # noqa: E402, F401
import torch  # noqa: E402
from hydra.core.plugins import Plugins  # noqa: E402

import djd.runs.train  # noqa: E402, F401
from djd.models.networks import compile_blocks  # noqa: E402
from djd.plots.confusion import confusion_figure  # noqa: E402
from djd.runs.result import installed_versions  # noqa: E402

# Cells train on one thread each; a pool of OpenMP's threads would not outlive forking.
torch.set_num_threads(1)
compile_blocks()
installed_versions()
Plugins.instance()  # imports all of Hydra's
# The first plot finds fonts and loads image formats.
confusion_figure(np.eye(5, dtype=np.int64), title="", stamp=None).savefig(io.BytesIO())

# Nothing here is garbage in a cell; each collection there would take 0.3 s to look through it.
gc.freeze()
gc.enable()
