"""An average of a network's weights over the steps of its training."""

from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

MOST_DECAY = 0.99
"""Of a step's weights per further step: about the last 100 of some hundred steps."""


class WeightAverage(Callback):
    """Puts the exponential average of the weights in place at the end of each epoch.

    Whatever reads the network there (validation, checkpoints of score epochs, pictures, the refit's
    test) sees the average; the next epoch goes on from the training's own weights, which the
    callback keeps meanwhile. Lightning's `WeightAveraging` leaves checkpoints of weights alone as
    they are (lightning 2.6), so that epochs would be scored with one network and kept with another.

    Running statistics of batch normalization are averaged, too. A step `n` has the decay
    min(0.99, (1 + n) / (10 + n)), as TensorFlow's `ExponentialMovingAverage`: the first weights are
    soon forgotten.
    """

    def __init__(self) -> None:
        self._aside: dict[str, Tensor] = {}  # the average while a training steps, else its weights

    def state_dict(self) -> dict[str, Any]:
        """The training's own weights: a checkpoint holds the average as the network's."""
        return dict(self._aside)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint of an epoch's end."""
        self._aside = dict(state_dict)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take each step's weights into the average from now on."""
        trainer.optimizers[0].register_step_post_hook(
            lambda *_: self._take(pl_module, step=trainer.global_step + 1)
        )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the training's own weights back."""
        if self._aside:
            self._swap(pl_module)
        else:
            self._aside = {name: value.clone() for name, value in _averaged(pl_module).items()}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Show the average after an epoch's last step: Lightning's batch is an epoch."""
        self._swap(pl_module)

    @torch.no_grad()
    def _take(self, module: LightningModule, *, step: int) -> None:
        weights = _averaged(module)
        averages = [self._aside[name] for name in weights]
        decay = min(MOST_DECAY, (1 + step) / (10 + step))
        torch._foreach_lerp_(averages, list(weights.values()), 1 - decay)

    @torch.no_grad()
    def _swap(self, module: LightningModule) -> None:
        for name, value in _averaged(module).items():
            kept = self._aside[name].to(value.device)
            self._aside[name] = value.clone()
            value.copy_(kept)


def _averaged(module: LightningModule) -> dict[str, Tensor]:
    """Weights and statistics; counts of steps are whole numbers, and the training's own."""
    values = module.state_dict()
    return {name: value for name, value in values.items() if value.is_floating_point()}
