"""The model file: everything that grading needs, as plain values and tensors in one file.

PyTorch reads the file with `weights_only=True`, so nothing in the file is ever run. A digest over
all values and tensors shows any change.
"""

import hashlib
import io
import re
import stat
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from djd.data.crop import DIGEST_BYTES, Pixels, Placement, Scaling, Views
from djd.errors import InputError
from djd.files import read_bytes, tried_again, write_whole
from djd.grades import GRADE_COUNT, Decide
from djd.wording import printable

FORMAT = "djd model"
FORMAT_NUMBER = 1
"""Raised whenever older software could not grade with a newer file, or the other way round."""

COUNT_QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
"""Of the training crops' mean counts, in the file."""

_ZIP = b"PK\x03\x04"
_LIGHTNING = "pytorch-lightning_version"


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
        out_of_fold: float32 (knee, grade 5), probabilities of knees that were graded out of fold.
    """

    source: Literal["phantom", "mat"]
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
    out_of_fold: Annotated[Tensor, _shaped(torch.float32, None, GRADE_COUNT)] | None = None


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


def write_content(path: Path, content: ModelContent) -> str:
    """Write a model file in one step; returns the digest of its content."""
    plain = _contiguous(content.model_dump())
    digest = content_digest(plain)
    record = {"format": FORMAT, "number": FORMAT_NUMBER, "digest": digest, "content": plain}
    written = io.BytesIO()
    torch.save(record, written)
    write_whole(path, written.getbuffer())
    return digest


def read_content(path: Path) -> tuple[ModelContent, str]:
    """The content of a model file and its digest; no class is imported, no code is run.

    Raises:
        InputError: No file, a damaged file, one of another kind or format, or one that was changed.
        DriveError: The drive failed.
    """
    record = _record(path)
    _require_format(path, record)
    try:
        digest = content_digest(record["content"])
    except (TypeError, RecursionError) as error:
        reason = str(error) if isinstance(error, TypeError) else "values without an end"
        raise _expected(path, f"one that holds {reason}") from None
    if digest != record["digest"]:
        raise _expected(path, "one whose content was changed: it has another digest than it says")
    try:
        return ModelContent.model_validate(record["content"]), digest
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise _expected(path, f"one with a wrong value at {place} ({first['msg']})") from None


def content_digest(value: object) -> str:
    """BLAKE2b over plain values and tensors; raises TypeError for anything else."""
    digest = hashlib.blake2b(digest_size=32)
    _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: "hashlib.blake2b", value: object) -> None:
    """Each value with its type and length, so that no two values give the same bytes."""
    kind = type(value)
    if kind is dict:
        assert isinstance(value, dict)
        if not all(type(key) is str for key in value):
            raise TypeError("a key that is no text")
        _head(digest, "dict", len(value))
        for key in sorted(value):
            _feed(digest, key)
            _feed(digest, value[key])
    elif kind is list:
        assert isinstance(value, list)
        _head(digest, "list", len(value))
        for each in value:
            _feed(digest, each)
    elif kind is Tensor:
        assert isinstance(value, Tensor)
        _feed_tensor(digest, value)
    elif kind in (str, int, float, bool, type(None)):
        written = repr(value).encode()
        _head(digest, kind.__name__, len(written))
        digest.update(written)
    else:
        raise TypeError(f"a value of the type {kind.__name__}")


def _feed_tensor(digest: "hashlib.blake2b", tensor: Tensor) -> None:
    # A tensor of repeated memory may claim any size.
    plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
    if not plain or tensor.is_quantized or not tensor.is_contiguous():
        raise TypeError("a tensor that is not laid out plainly")
    _head(digest, f"{tensor.dtype} {tuple(tensor.shape)}", tensor.numel())
    digest.update(tensor.detach().reshape(-1).view(torch.uint8).numpy().data)


def _head(digest: "hashlib.blake2b", kind: str, length: int) -> None:
    digest.update(kind.encode() + struct.pack("<Q", length))


def _contiguous(value: Any) -> Any:
    """Plain values with each tensor whole, row by row, on the CPU, in memory of its own."""
    if isinstance(value, Mapping):
        return {str(key): _contiguous(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_contiguous(each) for each in value]
    if isinstance(value, Tensor):
        return value.detach().cpu().clone(memory_format=torch.contiguous_format)
    return value


def _expected(path: Path, received: str) -> InputError:
    return InputError(f"{path}: expected a model file (model.ckpt), received {printable(received)}")


def _record(path: Path) -> dict[str, Any]:
    content = _bytes(path)
    if not content.startswith(_ZIP):
        raise _expected(path, "a file of another kind" if content else "0 bytes")
    if not _is_whole(content):
        raise _expected(path, "one that was cut short or damaged")
    try:
        # Said in full: by the default an environment variable may allow any pickle.
        record = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # of many types; texts out of the file may be in its words
        raise _expected(
            path,
            "a file of another kind, or one that holds more than plain values; nothing in it was "
            f"run ({type(error).__name__})",
        ) from None
    if type(record) is not dict:
        raise _expected(path, "a file of another kind")
    return record


def _bytes(path: Path) -> bytes:
    try:
        state = tried_again(path.stat, path)
        if not stat.S_ISREG(state.st_mode):
            folder = stat.S_ISDIR(state.st_mode)
            raise _expected(path, "a folder" if folder else "a pipe or a device")
        return read_bytes(path)
    except (FileNotFoundError, NotADirectoryError):
        raise _expected(path, "nothing there") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise _expected(path, f"one that can't be read ({reason})") from None


def _is_whole(content: bytes) -> bool:
    """Whether the archive's sums agree, which PyTorch leaves unchecked, and nothing is packed."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            stored = all(each.compress_type == zipfile.ZIP_STORED for each in archive.infolist())
            return not stored or archive.testzip() is None
    except Exception:  # damaged archives raise many types
        return False


def _require_format(path: Path, record: Mapping[Any, Any]) -> None:
    if _LIGHTNING in record:
        raise _expected(
            path,
            "a checkpoint of Lightning; models of earlier versions of djd are such files, too: "
            "train the setting again to grade with it",
        )
    if record.get("format") != FORMAT:
        raise _expected(path, "a file of another program")
    number = record.get("number")
    if type(number) is not int or number != FORMAT_NUMBER:
        shown = number if type(number) is int and abs(number) < 10**6 else "no number"
        raise InputError(
            f"{path}: expected a model file of format {FORMAT_NUMBER}, received format {shown}, of "
            "another version of djd; grade with the version that wrote it"
        )
    if set(record) != {"format", "number", "digest", "content"}:
        raise _expected(path, "one whose parts are missing, or too many")


def printable_target(target: object) -> str | None:
    """An import path such as `own.networks.Net`, or None for anything else."""
    if type(target) is str and len(target) < 200:
        return target if re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", target) else None
    return None
