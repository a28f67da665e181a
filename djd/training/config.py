"""What a run is told: the resolved YAML as typed, checked, plain values.

Names are those of the YAML and of the command line. Defaults stand in `conf/` alone; what was added
when there were folders already has one here as well, for those that lack it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from djd.errors import InputError
from djd.grades import LEAK_STAMP, PHANTOM_STAMP, LabelsFrom, OnError
from djd.scans.crop import Placement, Scaling, Views
from djd.training.losses import ClassWeights

MAX_DEPTH = 5

Schedule = Literal["constant", "cosine"]
"""Of the learning rate over the epochs: as it is, or along a half cosine down to zero."""

Precision = Literal["float32", "tf32", "bf16"]
"""What a training calculates in: float32 throughout; float32 whose products a GPU takes in
TensorFloat-32; or bfloat16 autocast."""

ProgressStyle = Literal["calm", "study"]
"""One calm line, or one an epoch as the study prints it."""

TestPolicy = Literal["winner", "each", "never"]
"""Which settings are refitted and scored on the test patients."""

Keep = Literal["winner", "all", "none"]
"""Whose folds keep their weights once a comparison has ended."""


def _require_some_path(path: object) -> object:
    if path == "":  # what a shell makes of an unset variable; it would mean the working directory
        raise ValueError("expected a path, received an empty one")
    return path


UserPath = Annotated[Path, BeforeValidator(_require_some_path), AfterValidator(Path.expanduser)]
"""A path as typed: shells leave the tilde of `data.root=~/scans` alone."""

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


UNNAMED: Mapping[str, Any] = {
    "model.width": 16,
    "model.clip_logits": False,
    "loss.class_weights": "none",
    "data.views": "anterior",
    "data.mirror_left": False,
    "data.crop": "study",
    "data.scaling": "standard",
    "trainer.gradient_clip_val": None,
    "trainer.precision": "float32",
    "data.split_seed": 0,
    "data.leak": False,
    "optim.schedule": "constant",
}
"""Choices that the name of a setting leaves out while they have these values."""


class _Group(BaseModel):
    """A group of keys; unknown keys are refused, values are never changed after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class DataConfig(_Group):
    """`data.*`: which scans, who is on which part, and what the network sees of a knee."""

    source: Literal["phantom", "mat"]
    root: UserPath | None
    phantom_patients: Count
    phantom_seed: Seed
    test_count: Count
    folds: Annotated[int, Field(ge=2)]
    fold: Annotated[int, Field(ge=0)] | None
    split_seed: Seed
    exclude: tuple[str, ...] | UserPath
    groups: UserPath | None
    test_list: UserPath | None
    second_reader: UserPath | None = None  # folders older than the key are read back without it
    leak: bool
    labels_from: LabelsFrom
    grade_names: UserPath | None = None  # folders older than the key are read back without it
    on_error: OnError
    views: Views
    mirror_left: bool
    crop: Placement
    scaling: Scaling
    batch_size: Count

    @model_validator(mode="after")
    def _fold_is_one_of_the_folds(self) -> "DataConfig":
        if self.fold is not None and self.fold >= self.folds:
            raise ValueError(
                f"data.fold: expected null or 0 to {self.folds - 1} (data.folds - 1), "
                f"received {self.fold}"
            )
        return self

    @model_validator(mode="after")
    def _root_belongs_to_mat(self) -> "DataConfig":
        if self.source == "phantom" and self.root is not None:
            raise ValueError(
                "data.root: expected none with data=phantom, which makes its own scans; "
                f'for your own say: python train.py data=mat data.root="{self.root}"'
            )
        if self.source == "mat" and self.root is None:
            raise ValueError(
                "data.root: expected the folder of your scans; "
                'say: python train.py data=mat data.root="/path/to/scans"'
            )
        return self


class ModelConfig(_Group):
    """`model.*`: the network's architecture."""

    depth: Annotated[int, Field(ge=1, le=MAX_DEPTH)]
    width: Annotated[int, Field(ge=1, le=256)]
    clip_logits: bool


class LossConfig(_Group):
    """`loss.*`: what training makes small."""

    class_weights: ClassWeights


class OptimConfig(BaseModel):
    """`optim.*`: an optimizer of `torch.optim`, its rate, and whatever else its file holds."""

    model_config = ConfigDict(frozen=True, extra="allow")

    target: str = Field(alias="_target_")
    name: str
    lr: Rate
    lr_times: Rate
    schedule: Schedule

    @property
    def learning_rate(self) -> float:
        """The rate that is used: base rate times factor."""
        return self.lr * self.lr_times

    @property
    def arguments(self) -> dict[str, Any]:
        """What the optimizer gets besides parameters and rate, such as momentum."""
        return dict(self.__pydantic_extra__ or {})


class TrainerConfig(_Group):
    """`trainer.*`: how long and on what."""

    max_epochs: Count
    accelerator: Literal["auto", "cpu", "gpu", "mps"]
    precision: Precision = "float32"  # folders older than the key are read back without it
    threads: Literal["auto"] | Count
    gradient_clip_val: Annotated[float, Field(gt=0)] | None
    progress: ProgressStyle


class LoggerConfig(_Group):
    """`logger.*`: what a training shows of itself beside its numbers."""

    figures: bool = True


class PathsConfig(_Group):
    """`paths.*`: where things are kept between runs."""

    cache: UserPath


class RunConfig(_Group):
    """Everything that a run is told."""

    data: DataConfig
    model: ModelConfig
    loss: LossConfig
    optim: OptimConfig
    trainer: TrainerConfig
    logger: LoggerConfig = LoggerConfig()
    paths: PathsConfig
    score_epochs: tuple[Count, ...]
    seed: Seed
    test: TestPolicy
    keep: Keep
    fail_fast: bool
    dry_run: bool
    report: bool = True

    @property
    def epochs_to_score(self) -> tuple[int, ...]:
        """Epochs at which a run is scored: those within reach, and always the last.

        With a schedule only the last: a prefix of a scheduled run is not a shorter run.
        """
        last = self.trainer.max_epochs
        if self.optim.schedule != "constant":
            return (last,)
        return tuple(sorted({epoch for epoch in self.score_epochs if epoch < last} | {last}))

    @property
    def setting_name(self) -> str:
        """The choices that make a model, in one line that is fit for a folder's name.

        Those of `UNNAMED` are left out while they have the values given there.
        """
        return self.setting_at(self.trainer.max_epochs)

    def setting_at(self, epochs: int) -> str:
        """The setting's name after so many epochs, see `setting_name`."""
        named = {
            "depth": self.model.depth,
            "optim": self.optim.name,
            "lr": f"{self.optim.learning_rate:g}",
            "batch_size": self.data.batch_size,
            "epochs": epochs,
        }
        for key, usual in UNNAMED.items():
            group, _, name = key.partition(".")
            if (value := getattr(getattr(self, group), name)) != usual:
                named[name] = value
        return " ".join(f"{name}={value}" for name, value in named.items())

    def stamp(self, *, phantom: bool) -> str | None:
        """What has to stand on everything that this run makes; None where nothing has to.

        Args:
            phantom: Whether the scans are invented.
        """
        stamps = [LEAK_STAMP] if self.data.leak else []
        stamps += [PHANTOM_STAMP] if phantom else []
        return ". ".join(stamps) or None

    def plain(self) -> dict[str, Any]:
        """The same as plain values, fit for YAML, JSON and checkpoints."""
        plain: dict[str, Any] = self.model_dump(mode="json", by_alias=True)
        return plain

    def as_yaml(self) -> str:
        """The same as text for people; `read_config` takes back what it holds."""
        text: str = yaml.safe_dump(self.plain(), sort_keys=False, allow_unicode=True)
        return text


def read_config(values: Mapping[str, Any]) -> RunConfig:
    """Check plain values and give them types.

    Raises:
        InputError: The first value that is not as expected, by the key one types.
    """
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise InputError(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    key = _key(first)
    if first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")
        return message if message.startswith(f"{key}.") else f"{key}: {message}"
    # There is one error for each branch of a union, such as that of "auto or a number".
    expected = " or ".join(_expected(other) for other in error.errors() if _key(other) == key)
    return f"{key}: expected {expected}, received {first['input']!r}"


def _key(error: ErrorDetails) -> str:
    return ".".join(str(part) for part in error["loc"] if not _is_union_branch(part))


def _expected(error: ErrorDetails) -> str:
    known = {
        "extra_forbidden": "no such key",
        "missing": "a value",
        "path_type": "a path",
        "tuple_type": "a list",
    }
    return known.get(error["type"], error["msg"].removeprefix("Input should be "))


def _is_union_branch(part: int | str) -> bool:
    """Whether pydantic names a branch of a union here, which nobody typed as a key."""
    return isinstance(part, str) and not part.replace("_", "").isalnum()
