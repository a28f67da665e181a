"""Where a network looks: Grad-CAM."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from djd.models.networks import KneeCNN


def grad_cam(network: KneeCNN, crops: Tensor, grades: Tensor) -> Tensor:
    """Maps of what speaks for a grade: float32 (knee, row, column), 0 to 1, on the crops' device.

    Each channel of the last block is weighted by the mean of the grade's gradient over the
    channel's pixels; the weighted sum, where it is positive, is enlarged to the crop's size and
    divided by its own largest value. A map in which nothing is positive is 0 all over. From
    Selvaraju and others, "Grad-CAM: Visual explanations from deep networks via gradient-based
    localization", ICCV 2017, equations 1 and 2.

    The network scores as in evaluation and is left as it was: weights, gradients, running
    statistics, mode, and the state of every random generator.

    Args:
        network: Trained or not, in either mode.
        crops: float32 (knee, view, row, column), as the network sees them.
        grades: int64 (knee,), 0 to 4: the grade whose logit is explained.
    """
    with torch.inference_mode(False), _evaluating(network):
        with torch.no_grad():
            features = network.features(crops)
        with torch.enable_grad():
            features = features.clone().requires_grad_()
            chosen = network.grade(features).gather(1, grades[:, None]).sum()
            (gradients,) = torch.autograd.grad(chosen, features)
    with torch.no_grad():
        weights = gradients.mean(dim=(2, 3), keepdim=True)
        maps = (weights * features.detach()).sum(dim=1, keepdim=True).relu()
        size = (crops.shape[-2], crops.shape[-1])
        large = nn.functional.interpolate(maps, size=size, mode="bilinear")[:, 0]
        highest = large.amax(dim=(1, 2), keepdim=True)
        return large / torch.where(highest > 0, highest, 1)


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Each part in evaluation for a while, then in the mode that it had."""
    modes = {part: part.training for part in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training
