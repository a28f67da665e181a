"""Which classes a model file may name: those of djd, and those of modules that a person trusts."""

import inspect
import pkgutil
import re
import sys
from collections.abc import Callable, Collection
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from torch import nn

import djd.models
from djd.errors import InputError

Part = Literal["network", "loss"]


def require_known(path: Path, part: Part, target: object, trust: Collection[str]) -> None:
    """Check the class of a model file's network or loss, before anything is called.

    A module is imported only where it is one of `djd.models` or is trusted by name, itself or a
    package above it. Modules of Python itself hold no network, whoever trusts them.

    Raises:
        InputError: The class is another, or can't be imported.
    """
    shown = _import_path(target)
    if shown is None:
        raise _expected(path, part, "no import path")
    module = shown.rpartition(".")[0]
    own = module in _own_modules()
    top = module.partition(".")[0]
    if not own and (top == "djd" or top in sys.stdlib_module_names):
        raise _expected(path, part, shown)
    if not own and not _is_trusted(module, trust):
        raise InputError(
            f"{path}: {part}: expected a class of djd or of a module that you trust, received "
            f"{shown}; grading would run its code: if you know it, say --trust {module} (in Python "
            f"trust=[{module!r}])"
        )
    named = _imported(path, part, shown)
    if own:
        within = inspect.isclass(named) and named.__module__ == module
    else:
        within = callable(named) and _is_trusted(getattr(named, "__module__", "") or "", trust)
    if not within or not _FITS[part](named):
        raise _expected(path, part, shown)


def _import_path(target: object) -> str | None:
    """An import path such as `own.networks.Net`, or None for anything else."""
    if type(target) is str and len(target) < 200:
        return target if re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", target) else None
    return None


def _own_modules() -> set[str]:
    package = djd.models
    found = pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    return {each.name for each in found if not each.ispkg}


def _is_trusted(module: str, trust: Collection[str]) -> bool:
    return any(module == each or module.startswith(f"{each}.") for each in trust)


def _is_network(named: Any) -> bool:
    if not inspect.isclass(named):  # a person's function that makes a network
        return True
    return issubclass(named, nn.Module) and not hasattr(named, "probabilities")


def _is_loss(named: Any) -> bool:
    # `outputs` may be set by the constructor.
    return not inspect.isclass(named) or hasattr(named, "probabilities")


_FITS: dict[Part, Callable[[Any], bool]] = {"network": _is_network, "loss": _is_loss}


def _imported(path: Path, part: Part, target: str) -> Any:
    module, _, name = target.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except Exception as error:  # a person's module may raise anything
        raise InputError(
            f"{path}: {part}: expected a class that can be imported, received {target} "
            f"({type(error).__name__}: {error}); a module of your own is found in the folders of "
            "PYTHONPATH"
        ) from error


def _expected(path: Path, part: Part, received: str) -> InputError:
    return InputError(f"{path}: {part}: expected a {part} of djd, received {received}")
