"""What `bench/gpu.py` trains: the default recipe, the study's network, and cells of the matrix."""

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from types import TracebackType
from typing import Self, cast

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

Take = Callable[[Batch], Tensor]
"""A training step of a batch; gives its loss."""

RECIPES = {"the default recipe": (), "the study's network": ("recipe=study",)}

TINY = ("data.phantom_patients=40", "data.test_count=8", "data.folds=3", "model.width=2")
"""What a rehearsal trains on a CPU."""

MATRIX = {
    "model.depth": ("1", "2", "3"),
    "optim": ("sgd", "momentum", "adagrad", "adam"),
    "optim.lr_times": ("0.1", "1", "10"),
    "data.batch_size": ("16", "32", "64"),
}
"""The axes of `experiment=matrix`, folds and epochs apart."""


@dataclass
class Rehearsed:
    """Where and how much is measured; a context, in which trainings have folders.

    Attributes:
        device: `cuda`, or `cpu` for a rehearsal.
        cache: Of cohorts; None for the user's.
    """

    device: str
    cache: Path | None

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp())
        self._made = 0
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        place: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def rehearsal(self) -> bool:
        """Whether there is no GPU."""
        return self.device == "cpu"

    def few(self, many: int, few: int) -> int:
        """A number of steps, epochs or cells; fewer in a rehearsal."""
        return few if self.rehearsal else many

    def new_folder(self) -> Path:
        """A new place for a training."""
        self._made += 1
        return self._folder / str(self._made)

    def overrides(self, *more: str) -> list[str]:
        """Of a training on this device."""
        cache = (f"paths.cache='{self.cache.resolve()}'",) if self.cache else ()
        device = f"trainer.accelerator={'gpu' if self.device == 'cuda' else 'cpu'}"
        return [*more, device, *cache, *(TINY if self.rehearsal else ())]

    def config(self, *more: str) -> RunConfig:
        """The configuration of a cell on this device."""
        return read_config(compose_values(train.CONF, self.overrides(*more)) | {"kind": "cell"})

    def wait(self) -> None:
        """Wait until the device has done all it was given."""
        if self.device == "cuda":
            torch.cuda.synchronize()


def make_cohort(settings: Rehearsed) -> None:
    """Let the cache have the invented cohort, so that no other part makes it."""
    began = time.perf_counter()
    cohort, _ = read_data(settings.config())
    print(f"{len(cohort)} knees, made or read in {time.perf_counter() - began:.1f} s")


def sample_of_matrix(count: int) -> list[tuple[str, ...]]:
    """So many cells of one fold, of all shapes alike: depths and batch sizes in turn."""
    shapes = product(MATRIX["model.depth"], MATRIX["data.batch_size"])
    shaped = [(f"model.depth={depth}", f"data.batch_size={size}") for depth, size in shapes]
    fitted = [
        (f"optim={optim}", f"optim.lr_times={times}")
        for optim, times in product(MATRIX["optim"], MATRIX["optim.lr_times"])
    ]
    return [(*shaped[i % len(shaped)], *fitted[i % len(fitted)]) for i in range(count)]


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
