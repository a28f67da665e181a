"""The weights that a training starts from, trained once for all cells of a sweep (`pretrain`)."""

import hashlib
import io
import shutil
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from djd.data.cohort import Cohort
from djd.data.split import Parts
from djd.errors import InputError
from djd.files import is_there, read_bytes, remove_half_written, write_whole
from djd.grades import GRADE_COUNT
from djd.locks import remove_lock, wait_for_lock
from djd.models.classifier import GradeClassifier
from djd.runs.callbacks.checkpoints import finished_epochs
from djd.runs.config import RunConfig
from djd.runs.fit import build_classifier, fit_network
from djd.runs.folder import LAST_CHECKPOINT, epoch_checkpoint
from djd.runs.hardware import THREADS_IN_SWEEP
from djd.runs.prepare import Prepared
from djd.runs.pretrain import pretrained_sentences, pretraining_of, weights_place
from djd.runs.reading import read_data
from djd.runs.summary import say

PATIENCE = float("inf")
"""With a living process that trains the weights, in seconds."""

Weights = Mapping[str, Tensor]


class _Pretraining(Prepared):
    """A training on invented patients."""

    @property
    def fold_name(self) -> str:
        """What its lines of progress say."""
        return f"pretraining on {self.config.data.phantom_patients:,} invented patients"


def start_weights(prepared: Prepared) -> Weights | None:
    """Weights of network and loss to start from; None for those of the seed, and for a resumed fit.

    Weights that the cache lacks are trained first, while other processes that need them wait.

    Raises:
        InputError: The cache can't be written, or an invented patient is in the cohort.
    """
    config = prepared.config
    if config.pretrain.source == "none" or is_there(prepared.folder / LAST_CHECKPOINT):
        return None
    for sentence in pretrained_sentences([config], phantom=prepared.cohort.phantom):
        say(sentence)
    place = weights_place(config)
    kept = _read(place, config)  # first: a cache may be read-only
    if kept is None:
        try:
            kept = _made(place, prepared)
        except OSError as error:
            raise InputError(
                f"paths.cache: expected a folder with room, where pretrain=phantom keeps its "
                f"weights, received {error.filename or place} ({error.strerror or error})"
            ) from error
    _require_others(prepared, frozenset(kept["crops"]))
    weights: Weights = kept["weights"]
    return weights


def started(classifier: GradeClassifier) -> dict[str, Tensor]:
    """The values that pretrained weights replace: all but the weights of classes in the loss."""
    of_loss: list[str] = []
    if isinstance(classifier.loss, nn.Module):
        of_loss = [f"loss.{name}" for name, _ in classifier.loss.named_parameters()]
    state = classifier.state_dict()
    return {
        key: each for key, each in state.items() if key.startswith("network.") or key in of_loss
    }


def _read(place: Path, config: RunConfig) -> dict[str, Any] | None:
    """The content of a file of weights; None where it is missing, damaged or of another network."""
    if not is_there(place):
        return None
    content = io.BytesIO(read_bytes(place))
    wanted = started(build_classifier(config, np.arange(GRADE_COUNT)))
    with suppress(Exception):  # damaged files raise many kinds
        if zipfile.ZipFile(content).testzip() is None:  # torch itself checks no sums
            content.seek(0)
            kept: dict[str, Any] = torch.load(content, map_location="cpu", weights_only=True)
            if kept["name"] == place.name and _shapes(kept["weights"]) == _shapes(wanted):
                return kept
    return None


def _shapes(weights: Weights) -> dict[str, torch.Size]:
    return {name: each.shape for name, each in weights.items()}


def _made(place: Path, prepared: Prepared) -> dict[str, Any]:
    """The content of the file, which one process trains while the others wait."""
    place.parent.mkdir(parents=True, exist_ok=True)
    remove_half_written(place.parent)
    lock = place.with_suffix(".lock")
    with wait_for_lock(lock, patience=PATIENCE):
        kept = _read(place, prepared.config)
        if kept is None:  # else another process has made the file meanwhile
            training = _training(prepared, place.with_suffix(""))
            crops = _crop_digests(training.cohort)
            _require_others(prepared, crops)
            kept = {"name": place.name, "crops": sorted(crops), "weights": _trained(training)}
            content = io.BytesIO()
            torch.save(kept, content)
            write_whole(place, content.getbuffer())
            shutil.rmtree(training.folder, ignore_errors=True)
    remove_lock(lock)
    return kept


def _training(prepared: Prepared, folder: Path) -> _Pretraining:
    """The training of the weights, in a folder from which a stopped one goes on."""
    config = pretraining_of(prepared.config)
    cohort, split = read_data(config)
    nobody = np.arange(0)
    parts = Parts(train=np.arange(len(cohort)), validation=nobody, test=nobody)
    try:
        finished_epochs(folder / LAST_CHECKPOINT)
    except InputError:  # damaged, or of an earlier version
        shutil.rmtree(folder)
    folder.mkdir(exist_ok=True)
    fingerprint, threads = cohort.fingerprint(), THREADS_IN_SWEEP
    return _Pretraining(config, folder, folder, cohort, fingerprint, split, parts, threads)


def _trained(training: _Pretraining) -> Weights:
    before, epochs = torch.get_num_threads(), training.config.trainer.max_epochs
    torch.set_num_threads(training.threads)  # a run by itself has more, and would have others
    try:
        classifier = fit_network(training).classifier
    finally:
        torch.set_num_threads(before)
    classifier.take_epoch(epoch_checkpoint(training.folder, epochs), epochs)
    return {name: each.cpu() for name, each in started(classifier).items()}


def _crop_digests(cohort: Cohort) -> frozenset[str]:
    """Digests of each view of each knee, without empty views."""
    views = (view for crop in cohort.crops for view in crop if view.any())
    return frozenset(hashlib.sha256(view.tobytes()).hexdigest()[:24] for view in views)


def _require_others(prepared: Prepared, crops: frozenset[str]) -> None:
    """Raise InputError where the network would be scored on knees that it was pretrained on."""
    if shared := len(crops & _crop_digests(prepared.cohort)):
        given = prepared.config.pretrain
        raise InputError(
            f"pretrain.seed: expected patients that are not in {prepared.cohort.root}, received "
            f"{given.seed} (style {given.style}), of whose views of knees {shared} are there; say "
            "another pretrain.seed"
        )
