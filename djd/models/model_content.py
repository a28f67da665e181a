"""The values of a model file: all that grading needs, and who the networks were trained on."""

from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from torch import Tensor

from djd.data.crop import DIGEST_BYTES, Pixels, Placement, Scaling, Views
from djd.grades import GRADE_COUNT, Decide

COUNT_QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
"""Of the training crops' mean counts, in the file."""


def _shaped(dtype: torch.dtype, *shape: int | None) -> AfterValidator:
    """A check of a tensor's type and sizes; None stands for any size."""

    def check(tensor: Tensor) -> Tensor:
        alike = tensor.dim() == len(shape) and all(
            size in (None, given) for size, given in zip(shape, tensor.shape, strict=True)
        )
        if tensor.dtype != dtype or not alike:
            raise ValueError(f"{tensor.dtype} of {tuple(tensor.shape)}")
        return tensor

    return AfterValidator(check)


InputName = Literal["uptake", "other_knee", "has_other_knee"]


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("signs that can't be printed")
    return text


_Text = Annotated[str, AfterValidator(_printable)]
_Digests = Annotated[Tensor, _shaped(torch.uint8, None, DIGEST_BYTES)]
_Whole = Annotated[int, Field(ge=0)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Part(BaseModel):
    """Values of a file; refuses unknown ones and those of another type."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True
    )


class CropValues(_Part):
    """How a scan becomes the network's input.

    Attributes:
        placement: As `data.crop`.
        inputs: Names of `EXTRA_INPUTS` that the network takes beside crops.
        regions: `uptake_regions`, where the network takes uptake.
    """

    placement: Placement
    views: Views
    scaling: Scaling
    mirror_left: bool
    pixels: Pixels
    inputs: list[InputName]
    regions: dict[str, list[int]] | None


class DecisionValues(_Part):
    """Values of a `Decision` at the last epoch."""

    rule: Decide
    cuts: Annotated[list[_Finite], Field(min_length=4, max_length=4)] | None
    temperature: Annotated[_Finite, Field(gt=0)]


class TrainingCohort(_Part):
    """Who the networks were trained on.

    Attributes:
        source: As `data.source`.
        phantom_style: Of invented scans that `data=phantom` made.
        stamp: PHANTOM or LEAK in words; None for neither.
        leak: Whether the test patients are among them.
        fingerprint: Of the whole cohort.
        patients: With a graded knee.
        knees_per_grade: Knees of grades 0 to 4.
        count_quantiles: float64 (view 2, quantile 9), counts a pixel: `COUNT_QUANTILES` of the
            crops' means.
        digests: uint8 (knee, byte 16), `crop_digests` of the training knees.
        test_digests: The same of the test patients' knees.
        features: float32 (knee, feature), `knee_features` of the first network, in the order of
            `digests`; no feature where the network has no map of features.
        knee_patients: int64 (knee,), a number a patient, in the order of `digests`.
        grades: uint8 (knee,), 0 to 4, in the order of `digests`.
        uptake: float32 (knee, measure), `relative_uptake` of the network's views, view by view, in
            the order of `digests`.
        out_of_fold: float32 (network, knee, grade 5), before the decision's temperature: of knees
            that were graded out of fold, by each of the networks that grade together. None where
            no knee was held out.
        out_of_fold_grades: uint8 (knee,), the true grades of these knees.
    """

    source: Literal["phantom", "mat", "dicom"]
    phantom_style: _Text | None
    stamp: _Text | None
    leak: bool
    fingerprint: _Text
    patients: _Whole
    knees_per_grade: Annotated[list[_Whole], Field(min_length=GRADE_COUNT, max_length=GRADE_COUNT)]
    count_quantiles: Annotated[Tensor, _shaped(torch.float64, 2, len(COUNT_QUANTILES))]
    digests: _Digests
    test_digests: _Digests
    features: Annotated[Tensor, _shaped(torch.float32, None, None)]
    knee_patients: Annotated[Tensor, _shaped(torch.int64, None)]
    grades: Annotated[Tensor, _shaped(torch.uint8, None)]
    uptake: Annotated[Tensor, _shaped(torch.float32, None, None)]
    out_of_fold: Annotated[Tensor, _shaped(torch.float32, None, None, GRADE_COUNT)] | None = None
    out_of_fold_grades: Annotated[Tensor, _shaped(torch.uint8, None)] | None = None


class ModelContent(_Part):
    """The content of a model file.

    Attributes:
        network, loss: Values of `conf/model` and `conf/loss`: `_target_` and arguments.
        class_weights: Of the grades in the loss, or None.
        weights: State of each network and its loss, as `GradeClassifier.state_dict` names them.
            Several networks grade by the mean of their probabilities.
        setting: Name of the setting.
        created: Date and time in UTC, in ISO 8601.
        versions: Of Python and packages that wrote the file.
    """

    network: dict[str, Any]
    loss: dict[str, Any]
    class_weights: Annotated[list[_Finite], Field(min_length=5, max_length=5)] | None
    weights: Annotated[list[dict[str, Tensor]], Field(min_length=1)]
    crops: CropValues
    decision: DecisionValues
    grade_names: Annotated[list[str], Field(min_length=GRADE_COUNT, max_length=GRADE_COUNT)]
    training: TrainingCohort
    setting: _Text
    created: _Text
    versions: dict[_Text, _Text]
