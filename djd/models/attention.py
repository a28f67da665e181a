"""Attention: where a network looks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from djd.data.datamodule import Batch, inputs_of
from djd.grades import GRADE_COUNT
from djd.models.classifier import GradeClassifier
from djd.models.losses import Loss

Score = Callable[[Tensor], Tensor]
"""The explained number, (knee,), of outputs (knee, output)."""


def grade_attention(classifier: GradeClassifier, batch: Batch, grades: Tensor) -> Tensor | None:
    """Maps of what speaks for a grade of each knee: float32 (knee, map, row, column), 0 to 1.

    `grades` are int64 (knee,). A knee has one map or, where each view is graded by itself, one a
    view. None where no part of the network gives a map of features.
    """
    crops, inputs = classifier.samples(batch["crop"], inputs_of(batch, classifier.inputs))
    maps_each = len(crops) // max(1, len(grades))
    of_samples = grades.repeat_interleave(maps_each)

    def score(outputs: Tensor) -> Tensor:
        return _score_of(classifier.loss, outputs, of_samples)

    maps = attention_maps(classifier.network, crops, score, **inputs)
    return None if maps is None else maps.view(len(grades), maps_each, *maps.shape[1:])


def _score_of(loss: Loss, outputs: Tensor, grades: Tensor) -> Tensor:
    """The output of each knee's grade, (knee,), or the logarithm of its probability."""
    if loss.outputs != GRADE_COUNT:
        outputs = loss.probabilities(outputs).clamp(min=1e-12).log()
    return outputs.gather(1, grades[:, None])[:, 0]


def attention_maps(
    network: nn.Module, crops: Tensor, score: Score, **inputs: Tensor
) -> Tensor | None:
    """Maps of the pixels that raise a score: float32 (knee, row, column), 0 to 1, on crops' device.

    `contributions`, where positive, enlarged to the crop's size and divided by the map's own
    largest value. A map without positive values is 0. Arguments and None as there.
    """
    found = contributions(network, crops, score, **inputs)
    if found is None:
        return None
    maps, size = found.relu()[:, None].float(), (crops.shape[-2], crops.shape[-1])
    large = nn.functional.interpolate(maps, size=size, mode="bilinear")[:, 0]
    highest = large.amax(dim=(1, 2), keepdim=True)
    return large / torch.where(highest > 0, highest, 1)


def contributions(
    network: nn.Module, crops: Tensor, score: Score, **inputs: Tensor
) -> Tensor | None:
    """What each pixel of the network's last feature map adds to a score: (knee, row, column).

    The score's gradient times the map, summed over channels: HiResCAM, Draelos and Carin, "Use
    HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks", 2020.
    Where the rest of the network is linear in the map, in its mean or in its maximum, the pixels'
    sum is the whole of the score that comes from the map; Grad-CAM's is not.

    The network scores as in evaluation and is left unchanged: weights, gradients, running
    statistics, mode, and the state of every random generator.

    `crops` are float32 (knee, view, row, column), as the network sees them; `inputs` are the
    network's other arguments. None where no part of the network gives a map of features.
    """
    with torch.inference_mode(False), torch.enable_grad(), _evaluating(network):
        features, outputs = _last_feature_map(network, crops.clone().requires_grad_(), inputs)
        if features is None:
            return None
        (gradients,) = torch.autograd.grad(score(outputs).sum(), features, allow_unused=True)
        if gradients is None:  # the map is of a part that the outputs don't come from
            return None
    # A network of both knees may have the maps of other knees behind.
    return (gradients * features.detach())[: len(crops)].sum(dim=1)


@torch.no_grad()
def pooled_features(network: nn.Module, crops: Tensor, **inputs: Tensor) -> Tensor | None:
    """Mean, then maximum, of each channel of the last feature map: float32 (knee, 2 * channel).

    Arguments and None as for `contributions`.
    """
    with _evaluating(network):
        features, _ = _last_feature_map(network, crops, inputs)
    if features is None:
        return None
    own = features[: len(crops)].float()
    return torch.cat([own.mean(dim=(2, 3)), own.amax(dim=(2, 3))], dim=1)


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
