"""The configuration of a run: the resolved YAML as typed, checked values.

Defaults stand in `conf/` alone. A key that is newer than some run folders has a default here too,
so that those folders can be read.
"""

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from djd.data.crop import Pixels, Placement, Scaling, Views
from djd.data.scan import ViewOrder
from djd.errors import InputError
from djd.grades import (
    LEAK_STAMP,
    PHANTOM_STAMP,
    Decide,
    LabelsFrom,
    LabelsKind,
    OnError,
    PhantomStyle,
)
from djd.runs.fields import Count, Rate, Seed, UserPath, or_users_own, require_names
from djd.runs.keys import (
    NUMBERLESS_KEYS,
    PRETRAIN,
    RECIPE,
    SHARING_KEYS,
    UNNAMED_KEYS,
    AxisValue,
    flat,
    folder_name,
    short_names,
    value_of,
)
from djd.statistics.deciding import Decision

Precision = Literal["float32", "tf32", "bf16"]
"""float32 throughout; float32 with a GPU's products in TensorFloat-32; or bfloat16 autocast."""

Keep = Literal["winner", "all", "none"]
"""Settings whose folds keep their weights after a sweep."""

POINTS_OF_CURVES = 10
"""Least number of epochs of a cell that are validated; a cell with fewer epochs validates all."""

NEUTRAL = {RECIPE: "none", "loss": "cross_entropy", "augment": "none", PRETRAIN: "none"}
"""Options that a setting's name leaves out: earlier versions had only these."""


class _Group(BaseModel):
    """A group of keys; refuses unknown keys, and its values never change."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class DataConfig(_Group):
    """`data.*`: the scans, the parts, and the network's view of a knee."""

    source: Literal["phantom", "mat", "dicom"]
    root: UserPath | None
    phantom_patients: Count
    phantom_seed: Seed
    phantom_style: PhantomStyle = "plain"
    format_module: str | None = None
    test_count: Count
    folds: Annotated[int, Field(ge=2)]
    fold: Annotated[int, Field(ge=0)] | None
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    split_seed: Seed
    exclude: Annotated[tuple[str, ...] | UserPath, BeforeValidator(require_names)]
    groups: UserPath | None
    test_list: UserPath | None
    second_reader: UserPath | None = None
    leak: bool
    labels_from: LabelsFrom
    grade_names: UserPath | None = None
    labels: UserPath | None = None
    labels_kind: LabelsKind | None = None
    view_order: ViewOrder | None = None
    on_error: OnError
    views: Views
    mirror_left: bool
    crop: Placement
    pixels: Pixels = 128
    scaling: Scaling
    batch_size: Count

    @model_validator(mode="after")
    def _check(self) -> "DataConfig":
        if self.fold is not None and self.fold >= self.folds:
            raise ValueError(
                f"data.fold: expected null or 0 to {self.folds - 1} (data.folds - 1), "
                f"received {self.fold}"
            )
        if self.leak and self.share < 1:
            raise ValueError(
                f"data.share: expected 1 with data.leak=true, which trains on every knee, "
                f"received {self.share:g}"
            )
        if self.source == "phantom" and self.root is not None:
            raise ValueError(
                "data.root: expected none with data=phantom, which makes its own scans; "
                f'for your own say: python train.py data=mat data.root="{self.root}"'
            )
        if self.source != "phantom" and self.root is None:
            raise ValueError(
                "data.root: expected the folder of your scans; "
                f'say: python train.py data={self.source} data.root="/path/to/scans"'
            )
        return self


class OpenGroup(BaseModel):
    """A group whose file names a class or function (`_target_`) and its arguments."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    target: str | None = Field(alias="_target_")

    @property
    def arguments(self) -> dict[str, Any]:
        """All other keys of the group."""
        return dict(self.__pydantic_extra__ or {})


class LossConfig(OpenGroup):
    """`loss.*`; `balanced` weights are the inverse of a grade's share."""

    class_weights: Literal["none", "balanced"] = "none"


class PretrainConfig(_Group):
    """`pretrain.*`: invented patients whose network every training starts from."""

    source: Literal["none", "phantom"] = "none"
    patients: Annotated[int, Field(ge=2)] = 2000
    seed: Seed = 1000
    style: PhantomStyle = "soft"
    epochs: Count = 4


class OptimConfig(OpenGroup):
    """`optim.*`; a file may leave out `lr_times` and `schedule`.

    The learning rate stays constant, falls in a half cosine to zero, rises and falls in one cycle,
    or follows a class; all of them times the linear rise of `warmup` epochs.
    """

    lr: Rate
    lr_times: Rate = 1.0
    schedule: Literal["constant", "cosine", "one_cycle"] | dict[str, Any] = "constant"
    warmup: Annotated[int, Field(ge=0)] = 0

    @property
    def learning_rate(self) -> float:
        """`lr` times `lr_times`."""
        return self.lr * self.lr_times


class TrainerConfig(_Group):
    """`trainer.*`; progress is one line, or a line an epoch as the study prints it."""

    max_epochs: Count
    accelerator: Literal["auto", "cpu", "gpu", "mps"]
    precision: Precision = "float32"
    threads: Literal["auto"] | Count
    gradient_clip_val: Annotated[float, Field(gt=0)] | None
    weight_average: Literal["none", "exponential"] = "none"
    progress: Literal["calm", "study"]


class PathsConfig(_Group):
    """`paths.*`: folders that runs share."""

    cache: Annotated[UserPath, BeforeValidator(or_users_own)]
    python: str | None = None
    stale_after: Rate = 600.0  # seconds


class FittedConfig(_Group):
    """`fitted.*`: what a sweep found out of fold for the winner that it trains.

    Attributes:
        seeds: Seeds of the networks that grade together; none where there is one network.
        cells: Cells whose networks grade together (`winner=folds`), by their folders' names.
        cuts: Of `decide=shares`, by epoch.
        temperature: Of `calibrate=temperature`, by epoch.
    """

    seeds: tuple[Seed, ...] = ()
    cells: tuple[str, ...] = ()
    cuts: dict[int, tuple[float, ...]] = {}
    temperature: dict[int, Rate] = {}


class RunConfig(_Group):
    """All keys of a run.

    Attributes:
        test: Settings that are refitted and scored on the test patients.
        kind: A run by itself, a cell of a sweep, or a setting of a sweep fitted again on all
            development patients and scored on the test patients.
        choices: The chosen option of `recipe` and of each group of `SETTING_GROUPS`.
        changed: Keys whose values differ from the options' files and the recipe's, and groups whose
            option is not the recipe's.
    """

    data: DataConfig
    model: OpenGroup
    loss: LossConfig
    augment: OpenGroup
    pretrain: PretrainConfig = PretrainConfig()
    optim: OptimConfig
    trainer: TrainerConfig
    logger: dict[str, OpenGroup] = {}  # logger=[] leaves the group out
    paths: PathsConfig
    score_epochs: tuple[Count, ...]
    decide: Decide = "likeliest"
    members: Count = 1
    winner: Literal["refit", "folds"] = "refit"
    calibrate: Literal["none", "temperature"] = "none"
    fitted: FittedConfig | None = None
    seed: Seed
    test: Literal["winner", "each", "never"]
    keep: Keep
    fail_fast: bool
    dry_run: bool
    report: bool = True
    plots: bool = True
    kind: Literal["run", "cell", "refit"] = "run"
    choices: dict[str, str]
    changed: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> "RunConfig":
        if self.optim.warmup >= self.trainer.max_epochs:
            raise ValueError(
                f"optim.warmup: expected fewer epochs than the {self.trainer.max_epochs} of "
                f"trainer.max_epochs, received {self.optim.warmup}"
            )
        invented = self.data.source == self.pretrain.source == "phantom"
        if invented and self.pretrain.seed == self.data.phantom_seed:
            # Of any style: one seed draws the same severities, and `odd` shares images with `soft`.
            raise ValueError(
                f"pretrain.seed: expected another seed than data.phantom_seed, whose patients the "
                f"network is scored on, received {self.pretrain.seed} for both"
            )
        return self

    @property
    def sharing(self) -> dict[str, Any]:
        """The values of `SHARING_KEYS`."""
        return {key: getattr(self, key) for key in sorted(SHARING_KEYS)}

    def decision_at(self, epoch: int) -> Decision:
        """How a network of the configuration decides by itself after some epochs."""
        fitted = self.fitted or FittedConfig()
        return Decision(
            self.decide, fitted.cuts.get(epoch), float(fitted.temperature.get(epoch, 1.0))
        )

    @property
    def epochs_to_score(self) -> tuple[int, ...]:
        """Score epochs before the last epoch, and the last.

        With a schedule only the last: a prefix of a scheduled run is not a shorter run.
        """
        last = self.trainer.max_epochs
        if self.optim.schedule != "constant":
            return (last,)
        return tuple(sorted({epoch for epoch in self.score_epochs if epoch < last} | {last}))

    def is_validated(self, epoch: int) -> bool:
        """Whether an epoch, from 1, ends with a pass over the validation knees.

        A run by itself validates every epoch. A cell validates its score epochs and, for its
        curves, at least ten epochs: a pass takes a fifteenth of an epoch of the default recipe
        (2026-11-30).
        """
        every = 1 if self.kind == "run" else max(1, self.trainer.max_epochs // POINTS_OF_CURVES)
        return epoch % every == 0 or epoch in self.epochs_to_score

    @property
    def setting_name(self) -> str:
        """`setting_at` the last epoch."""
        return self.setting_at(self.trainer.max_epochs)

    @property
    def named_choices(self) -> dict[str, AxisValue]:
        """The chosen option of each group, without those of `NEUTRAL` or of the recipe."""
        shown = [group for group, each in self.choices.items() if NEUTRAL.get(group) != each]
        if RECIPE in shown:
            shown = [RECIPE, *(group for group in self.choices if group in self.changed)]
        return {group: self.choices[group] for group in shown}

    def setting_at(self, epochs: int) -> str:
        """A setting's name: chosen options, then values that differ from the options' files."""
        values = self.by_key()
        shown = [key for key in self.changed if key in values and key not in UNNAMED_KEYS]
        values_shown = {each: value_of(values, key) for key, each in short_names(shown).items()}
        return folder_name({**self.named_choices, **values_shown, "epochs": epochs})

    def stamp(self, *, phantom: bool) -> str | None:
        """The words for every output: leaked test patients, phantom scans; None for neither."""
        stamps = [LEAK_STAMP] if self.data.leak else []
        stamps += [PHANTOM_STAMP] if phantom else []
        return ". ".join(stamps) or None

    def plain(self) -> dict[str, Any]:
        """Plain values for YAML, JSON and checkpoints."""
        return dict(self.model_dump(mode="json", by_alias=True))

    def by_key(self) -> dict[str, Any]:
        """Values by keys such as `model.depth`, without loggers, choices, kind and fits.

        Without a pretraining `pretrain.source` stands for its group.
        """
        return dict(self._flat)

    @cached_property
    def _flat(self) -> dict[str, Any]:
        plain = self.plain()
        if self.pretrain.source == "none":
            plain[PRETRAIN] = {"source": "none"}
        for group in ("logger", "choices", "changed", "kind", "fitted"):
            del plain[group]
        return flat(plain)

    def model_copy(
        self, *, update: Mapping[str, Any] | None = None, deep: bool = False
    ) -> "RunConfig":
        """Pydantic's copy, without the flat values of this configuration."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("_flat", None)
        return copied

    def as_yaml(self) -> str:
        """YAML of `plain`."""
        return str(yaml.safe_dump(self.plain(), sort_keys=False, allow_unicode=True))


def numberless_keys(config: RunConfig) -> Collection[str]:
    """Keys that may differ between two trainings of one cell, or of one refit.

    A refit is scored by `SHARING_KEYS`, which only share the training of a cell.
    """
    return NUMBERLESS_KEYS - SHARING_KEYS if config.kind == "refit" else NUMBERLESS_KEYS


def read_config(values: Mapping[str, Any]) -> RunConfig:
    """Check plain values and give them types; raises InputError for the first wrong value."""
    try:
        return RunConfig.model_validate(_as_now(values))
    except ValidationError as error:
        raise InputError(_sentence(error)) from None


def _as_now(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a folder of results_version 2, which had one network and one loss, in new keys."""
    if "choices" in values or not isinstance(values.get("optim"), Mapping):
        return dict(values)
    now = {key: dict(each) if isinstance(each, Mapping) else each for key, each in values.items()}
    optimizer = now["optim"].pop("name", "")
    now["choices"] = {"model": "cnn", "loss": "cross_entropy", "optim": optimizer}
    now["model"] = {"_target_": "djd.models.networks.KneeCNN"} | now.get("model", {})
    now["loss"] = {"_target_": "djd.models.losses.CrossEntropy"} | now.get("loss", {})
    now["augment"] = {"_target_": None}
    now["plots"] = now.pop("logger", {}).get("figures", True)
    now["logger"] = {}
    return now


def _sentence(error: ValidationError) -> str:
    key = _key(error.errors()[0])
    # A union, such as that of "auto or a number", has an error for each of its branches.
    branches = [each for each in error.errors() if _key(each) == key]
    first = next((each for each in branches if each["type"] == "value_error"), branches[0])
    if first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")
        return message if not key or message.startswith(f"{key}.") else f"{key}: {message}"
    expected = " or ".join(map(_expected, branches))
    return f"{key}: expected {expected}, received {first['input']!r}"


def _key(error: ErrorDetails) -> str:
    # pydantic names branches of unions, too, such as `constrained-int`.
    return ".".join(str(part) for part in error["loc"] if str(part).replace("_", "").isalnum())


def _expected(error: ErrorDetails) -> str:
    known = {"extra_forbidden": "no such key", "missing": "a value"}
    known |= {"path_type": "a path", "tuple_type": "a list"}
    return known.get(error["type"], error["msg"].removeprefix("Input should be "))
