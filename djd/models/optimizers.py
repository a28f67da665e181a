"""An optimizer out of the plain values of `conf/optim`."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from hydra.utils import get_class
from torch import Tensor

from djd.errors import InputError


def build_optimizer(
    parameters: Iterable[Tensor], *, target: str, learning_rate: float, arguments: Mapping[str, Any]
) -> torch.optim.Optimizer:
    """The optimizer that a file of `conf/optim` names.

    Args:
        parameters: What it changes.
        target: Import path of its class, the file's `_target_`.
        learning_rate: Base rate times factor.
        arguments: The file's other keys.

    Raises:
        InputError: No such class, or it does not take these arguments.
    """
    try:
        optimizer: torch.optim.Optimizer = get_class(target)(
            parameters, lr=learning_rate, **arguments
        )
    except Exception as error:
        raise InputError(f"optim: {target} can't be made of {dict(arguments)}: {error}") from error
    return optimizer
