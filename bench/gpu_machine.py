"""The machine that `bench/gpu.py` measures, the steps and epochs that it takes, and their time."""

import contextlib
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import cast
from unittest.mock import patch

import torch
from lightning.pytorch.plugins import Precision
from torch import Tensor

import train
from djd.data.datamodule import Batch
from djd.models.build import build_optimizer
from djd.models.classifier import GradeClassifier
from djd.runs.config import RunConfig, read_config
from djd.runs.fit import build_classifier, build_datamodule
from djd.runs.hardware import precision_plugin
from djd.runs.reading import read_data, split_cell
from hydra_plugins.djd._composing import compose_values

RECIPES = {"the default recipe": (), "the study's network": ("recipe=study",)}

TINY = ("data.phantom_patients=40", "data.test_count=8", "data.folds=3", "model.width=2")
"""What a rehearsal trains on a CPU."""

WARM_UPS = 5
"""Steps before the ones that count: kernels are loaded, convolutions chosen, memory taken."""

Take = Callable[[Batch], Tensor]
"""A training step of a batch; gives its loss."""


@dataclass(frozen=True)
class Machine:
    """A device and folders.

    Attributes:
        device: `cuda`, or `cpu` for a rehearsal.
        cache: Of cohorts; None for the user's.
        folder: Of trainings.
    """

    device: str
    cache: Path | None
    folder: Path

    @property
    def rehearses(self) -> bool:
        """Whether there is no GPU."""
        return self.device == "cpu"

    def few(self, many: int, few: int) -> int:
        """A number of steps, epochs or cells; fewer in a rehearsal."""
        return few if self.rehearses else many

    def new_folder(self) -> Path:
        """A place for a training, where nothing is yet."""
        return Path(tempfile.mkdtemp(dir=self.folder), "training")

    def overrides(self, *more: str) -> list[str]:
        """Of a training on this device."""
        cache = (f"paths.cache='{self.cache.resolve()}'",) if self.cache else ()
        device = f"trainer.accelerator={'cpu' if self.rehearses else 'gpu'}"
        return [*more, device, *cache, *(TINY if self.rehearses else ())]

    def config(self, *more: str) -> RunConfig:
        """The configuration of a cell on this device."""
        return read_config(compose_values(train.CONF, self.overrides(*more)) | {"kind": "cell"})

    def wait(self) -> None:
        """Wait until the device has done all it was given."""
        if not self.rehearses:
            torch.cuda.synchronize()


def make_cohort(machine: Machine) -> None:
    """Let the cache have the invented cohort, so that no other part makes it."""
    began = time.perf_counter()
    cohort, _ = read_data(machine.config())
    print(f"{len(cohort)} knees, made or read in {time.perf_counter() - began:.1f} s")


@dataclass(eq=False)
class Steps:
    """A network on the device, and batches of its training knees, all of one size, not augmented.

    Attributes:
        batches: On the device.
        precision: That of the configuration.
    """

    config: RunConfig
    classifier: GradeClassifier
    batches: list[Batch]
    precision: Precision

    @classmethod
    def of(cls, config: RunConfig, device: str) -> "Steps":
        """With the weights of seed 0."""
        cohort, split = read_data(config)
        parts = split_cell(config, cohort, split, fold=config.data.fold)
        torch.manual_seed(0)
        classifier = build_classifier(config, cohort.grades[parts.train]).to(device)
        datamodule = build_datamodule(config, cohort, parts, inputs=classifier.inputs)
        knees, size = datamodule.batch_of(parts.train), config.data.batch_size
        firsts = range(0, len(parts.train) - size + 1, size)
        columns = {name: cast(Tensor, each).to(device) for name, each in knees.items()}
        batches = [{name: each[i : i + size] for name, each in columns.items()} for i in firsts]
        precision = precision_plugin(config.trainer.precision, torch.device(device))
        return cls(config, classifier, [cast(Batch, each) for each in batches], precision)

    def optimizer(self, **more: object) -> torch.optim.Optimizer:
        """That of the configuration, at a constant rate."""
        optim = self.config.optim
        spec = {"_target_": optim.target, **optim.arguments, **more}
        parameters = self.classifier.parameters()
        return build_optimizer(parameters, spec, learning_rate=optim.learning_rate)

    def launch(self, optimizer: torch.optim.Optimizer) -> Take:
        """Steps as the package takes them, launched operator by operator."""
        return lambda batch: self.classifier.train_on(batch, optimizer, self.precision)

    def time(self, machine: Machine, take: Take) -> tuple[float, Tensor]:
        """Seconds of a step, the GPU waited for at the end alone; and the losses of all steps."""
        batches = cycle(self.batches)
        losses = [take(next(batches)) for _ in range(WARM_UPS)]
        count = machine.few(many=200, few=3)
        machine.wait()
        began = time.perf_counter()
        losses += [take(next(batches)) for _ in range(count)]
        machine.wait()
        seconds = (time.perf_counter() - began) / count
        return seconds, torch.stack(losses).cpu()


@contextlib.contextmanager
def epoch_clock() -> Iterator[list[float]]:
    """Gives when each epoch has begun; an epoch includes its validation, logs and files."""
    starts: list[float] = []
    hook = GradeClassifier.on_train_epoch_start

    def note(classifier: GradeClassifier) -> None:
        starts.append(time.perf_counter())
        hook(classifier)

    with patch.object(GradeClassifier, "on_train_epoch_start", note):
        yield starts


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Print nothing meanwhile."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield
