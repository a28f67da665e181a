"""The model file: everything that grading needs, as plain values and tensors in one file.

PyTorch reads the file with `weights_only=True`, so nothing in the file is ever run. A digest over
all values and tensors shows any change.
"""

import hashlib
import io
import stat
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from djd.errors import InputError
from djd.files import read_bytes, tried_again, write_whole
from djd.models.model_content import ModelContent
from djd.wording import printable

FORMAT = "djd model"
FORMAT_NUMBER = 1
"""Raised whenever older software could not grade with a newer file, or the other way round."""

_ZIP = b"PK\x03\x04"
_LIGHTNING = "pytorch-lightning_version"


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
