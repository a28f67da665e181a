"""Grad-CAM: where a network looks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def grad_cam(
    network: nn.Module, crops: Tensor, score: Callable[[Tensor], Tensor], **inputs: Tensor
) -> Tensor | None:
    """Maps of the pixels that raise a score: float32 (knee, row, column), 0 to 1, on crops' device.

    Each channel of the network's last feature map is weighted by the mean of the score's gradient
    over the channel's pixels; the weighted sum, where positive, is enlarged to the crop's size and
    divided by its own largest value. A map without positive values is 0. From Selvaraju and others,
    "Grad-CAM: Visual explanations from deep networks via gradient-based localization", ICCV 2017,
    equations 1 and 2.

    The network scores as in evaluation and is left unchanged: weights, gradients, running
    statistics, mode, and the state of every random generator.

    `crops` are float32 (knee, view, row, column), as the network sees them; `score` gives the
    explained number, (knee,), of outputs (knee, output); `inputs` are the network's other
    arguments. None where no part of the network gives a map of features.
    """
    with torch.inference_mode(False), torch.enable_grad(), _evaluating(network):
        features, outputs = _last_feature_map(network, crops.clone().requires_grad_(), inputs)
        if features is None:
            return None
        (gradients,) = torch.autograd.grad(score(outputs).sum(), features, allow_unused=True)
        if gradients is None:  # the map is of a part that the outputs don't come from
            return None
    with torch.no_grad():
        weights = gradients.mean(dim=(2, 3), keepdim=True)
        maps = (weights * features.detach()).sum(dim=1, keepdim=True).relu()
        size = (crops.shape[-2], crops.shape[-1])
        large = nn.functional.interpolate(maps.float(), size=size, mode="bilinear")[:, 0]
        highest = large.amax(dim=(1, 2), keepdim=True)
        return large / torch.where(highest > 0, highest, 1)


def _last_feature_map(
    network: nn.Module, crops: Tensor, inputs: dict[str, Tensor]
) -> tuple[Tensor | None, Tensor]:
    """The last output (knee, channel, row, column) of any part of the network, and its outputs."""
    found: list[Tensor] = []

    def look(part: nn.Module, given: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.dim() == 4 and min(output.shape[2:]) > 1:
            found.append(output)

    hooks = [part.register_forward_hook(look) for part in network.modules()]
    try:
        outputs: Tensor = network(crops, **inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return (found[-1] if found else None), outputs


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Each part in evaluation for a while, then in its former mode."""
    modes = {part: part.training for part in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training
