"""Optimizers that end a training in each of the ways in which one can end."""

import ctypes
import os
import signal
import sys
from typing import Any

import torch


class RaisesUntilHealed(torch.optim.SGD):
    """Until the file that the environment names is there."""

    def step(self, closure: Any = None) -> Any:
        super().step(closure)
        if not os.path.exists(os.environ["DJD_TEST_HEALED"]):  # noqa: PTH110
            raise RuntimeError("not healed yet")


class Raises(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        super().step(closure)
        raise RuntimeError("nobody expects this error")


class Exits(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        super().step(closure)
        sys.exit(7)


class Crashes(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        super().step(closure)
        ctypes.string_at(0)


class IsKilled(torch.optim.SGD):
    """As by the system when memory runs out."""

    def step(self, closure: Any = None) -> Any:
        super().step(closure)
        os.kill(os.getpid(), signal.SIGKILL)


class Diverges(torch.optim.SGD):
    def step(self, closure: Any = None) -> Any:
        result = super().step(closure)
        with torch.no_grad():
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.fill_(float("nan"))
        return result
