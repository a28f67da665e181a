"""Where a training runs."""

import torch

from djd.runs.config import RunConfig


def training_device(config: RunConfig) -> torch.device:
    """The device that Lightning will choose."""
    wanted = config.trainer.accelerator
    if wanted in ("auto", "gpu") and torch.cuda.is_available():
        return torch.device("cuda")
    if wanted in ("auto", "mps") and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
