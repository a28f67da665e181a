"""Networks, losses, augmentations, optimizers and schedules out of the plain values of `conf/`.

All functions raise `InputError` where a target can't be imported or does not take the values.
"""

import inspect
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any, cast

import torch
from torch import Tensor, nn

from djd.data.datamodule import Prepare
from djd.errors import InputError
from djd.models.losses import Loss

Spec = Mapping[str, Any]
"""Plain values of a config group: `_target_`, an import path, and arguments."""

SCHEDULES: Mapping[str, Spec | None] = {
    "constant": None,
    "cosine": {"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR"},
    # Not every optimizer has a momentum that a cycle could change.
    "one_cycle": {"_target_": "torch.optim.lr_scheduler.OneCycleLR", "cycle_momentum": False},
}
"""Named schedules: the `schedule` of an optimizer's file."""

EACH_STEP = "one_cycle"
"""The schedule that a training steps with each step; all others with each epoch."""


def build_network(spec: Spec, *, views: int, pixels: int, outputs: int) -> nn.Module:
    """The network of `conf/model`; its constructor gets those of the other values that it takes.

    These are the views in a crop (1 or 2), its rows and columns in pixels, and the outputs a knee.
    """
    offered = {"views": views, "pixels": pixels, "outputs": outputs}
    network = build("model", spec, offered=offered)
    if not isinstance(network, nn.Module):
        received = f"received {spec['_target_']}, which gives {type(network).__name__}"
        raise InputError(f"model._target_: expected a torch.nn.Module, {received}")
    return network


def build_loss(spec: Spec, *, class_weights: list[float] | None) -> Loss:
    """The loss of `conf/loss`.

    Raises:
        InputError: The class can't be imported, does not take the values, or is no loss.
    """
    loss = build("loss", spec, offered={"class_weights": class_weights})
    if class_weights and "class_weights" not in inspect.signature(type(loss)).parameters:
        raise InputError(
            f"loss.class_weights: expected none, since {spec['_target_']} takes no class_weights, "
            "received balanced"
        )
    if lacking := [name for name in ("outputs", "probabilities") if not hasattr(loss, name)]:
        raise InputError(
            f"loss._target_: expected a loss with `outputs` and `probabilities`, received "
            f"{spec['_target_']}, which lacks {' and '.join(lacking)}"
        )
    return cast(Loss, loss)


def build_augmentation(spec: Spec) -> Prepare | None:
    """The function of `conf/augment` with its arguments; None where the group names none."""
    target, arguments = _apart(spec)
    if not target:
        return None
    augment = _imported("augment", target)
    with suppress(ValueError):  # written in C
        try:
            inspect.signature(augment).bind(None, None, **arguments)
        except TypeError as error:
            given = f"counts, a generator and {arguments}"
            raise InputError(f"augment: {target} can't be called with {given}: {error}") from error
    return partial(augment, **arguments)


def build_optimizer(
    parameters: Iterable[Tensor] | Iterable[dict[str, Any]], spec: Spec, *, learning_rate: float
) -> torch.optim.Optimizer:
    """The optimizer of `conf/optim`, whose values hold neither rate nor schedule.

    PyTorch's optimizers step in one pass over the weights where they can (`fused`): 0.08 ms a step
    of AdamW on the default recipe's network, and 0.3 ms by its loop over tensors (two-core x86-64
    with AVX-512, 2026-11-30).
    """
    groups = list(parameters)
    on_cpu = all(tensor.device.type == "cpu" for tensor in _tensors(groups))
    of_torch = str(spec["_target_"]).startswith("torch.optim.")
    offered = {"fused": True} if of_torch and on_cpu and "foreach" not in spec else {}
    optimizer = build("optim", {**spec, "lr": learning_rate}, groups, offered=offered)
    return cast(torch.optim.Optimizer, optimizer)


def _tensors(groups: list[Any]) -> Iterable[Tensor]:
    """The tensors of parameters or groups of parameters."""
    for group in groups:
        yield from group["params"] if isinstance(group, dict) else [group]


def build_schedule(
    optimizer: torch.optim.Optimizer, schedule: str | Spec, *, epochs: int, steps: int
) -> torch.optim.lr_scheduler.LRScheduler | None:
    """The schedule of the learning rate, stepped once an epoch; None for a constant rate.

    `schedule` is a name of `SCHEDULES` or values of another; the number of epochs is offered as
    `epochs`, `T_max`, `total_iters` and `total_steps`, the rate as `max_lr`. `EACH_STEP` is stepped
    once a step and gets the steps of the training instead.
    """
    spec = SCHEDULES[schedule] if isinstance(schedule, str) else schedule
    if spec is None:
        return None
    times = steps if schedule == EACH_STEP else epochs
    offered = dict.fromkeys(("epochs", "T_max", "total_iters", "total_steps"), times)
    rates = [group["lr"] for group in optimizer.param_groups]
    scheduler = build("optim.schedule", spec, optimizer, offered=offered | {"max_lr": rates})
    if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        raise InputError(
            "optim.schedule: expected a schedule that follows from the epoch alone, received "
            "ReduceLROnPlateau, which follows held-out knees"
        )
    return cast(torch.optim.lr_scheduler.LRScheduler, scheduler)


def build(key: str, spec: Spec, *positional: Any, offered: Mapping[str, Any]) -> Any:
    """Call the target of a config group with its values, and the offered ones that it takes.

    `key` is the group's key, for sentences; the group's values come before offered ones.
    """
    target, arguments = _apart(spec)
    named = _imported(key, target)
    taken: Mapping[str, Any] = {}
    with suppress(TypeError, ValueError):  # written in C
        taken = inspect.signature(named).parameters
    given = {name: value for name, value in offered.items() if name in taken} | arguments
    try:
        return named(*positional, **given)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{key}: {target} can't be made of {arguments}: {error}") from error


def _apart(spec: Spec) -> tuple[Any, dict[str, Any]]:
    return spec.get("_target_"), {key: value for key, value in spec.items() if key != "_target_"}


def _imported(key: str, target: Any) -> Any:
    """The class or function of an import path such as `torch.optim.Adam`."""
    module, dot, name = str(target).rpartition(".")
    try:
        if not dot:
            raise ImportError("no module is named")
        return getattr(import_module(module), name)
    except Exception as error:  # a person's module may raise anything
        raise InputError(
            f"{key}._target_: expected a class or function that can be imported, received {target} "
            f"({type(error).__name__}: {error}); a module of your own is found in the folders of "
            "PYTHONPATH"
        ) from error
