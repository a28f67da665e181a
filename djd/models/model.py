"""A model: the networks of a model file, ready to grade knees."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from djd.data.crop import CROP_SIZE, VIEW_INDICES, network_views
from djd.data.datamodule import Batch, inputs_of, network_crops
from djd.data.uptake import MEASURES, uptake_measures, uptake_regions
from djd.errors import InputError
from djd.grades import GRADE_COUNT, GRADE_NAMES, SIDES
from djd.models.attention import pooled_features
from djd.models.classifier import GradeClassifier
from djd.models.model_content import ModelContent
from djd.models.model_file import read_content
from djd.models.trust import require_known
from djd.statistics.deciding import Decision
from djd.wording import printable


@dataclass(frozen=True, eq=False)
class Model:
    """Networks that grade together.

    Attributes:
        path: The file.
        digest: Of the file's content, 64 hexadecimal digits.
        content: All values of the file.
        networks: In evaluation, on the CPU.
    """

    path: Path
    digest: str
    content: ModelContent
    networks: tuple[GradeClassifier, ...]

    @property
    def decision(self) -> Decision:
        """How probabilities become grades."""
        given = self.content.decision
        return Decision(given.rule, tuple(given.cuts) if given.cuts else None, given.temperature)

    @property
    def stamp(self) -> str | None:
        """The words for everything made with the model: PHANTOM, LEAK; None for neither."""
        return self.content.training.stamp

    def probabilities(
        self, crops: NDArray[np.uint16], present: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Calibrated probabilities, float64 (scan, side 2, grade 5), 0 to 1, sums are 1.

        Args:
            crops: uint16 (scan, side 2, view 2, row 128, column 128), counts a pixel; see
                `crop_knees`.
            present: bool (scan, side 2). A network of both knees leaves out an absent one beside
                the other; the absent knee itself is graded all the same.
        """
        return self.together(self.of_networks(crops, present))

    def of_networks(
        self, crops: NDArray[np.uint16], present: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Each network's own probabilities, before any temperature.

        float64 (network, scan, side 2, grade 5), arguments as for `probabilities`.
        """
        batch, knees = self.batch(crops, present), 2 * len(crops)
        found = []
        with torch.inference_mode():
            for network in self.networks:
                outputs = network(batch["crop"], **inputs_of(batch, network.inputs))
                found.append(network.exact_probabilities(outputs, knees))
        return np.array(found).reshape(len(found), len(crops), len(SIDES), GRADE_COUNT)

    def together(self, of_networks: NDArray[np.float64]) -> NDArray[np.float64]:
        """The calibrated mean (scan, side 2, grade 5) of what `of_networks` gives."""
        mean = of_networks[0] if len(of_networks) == 1 else of_networks.mean(axis=0)
        return self.decision.calibrated(mean.reshape(-1, GRADE_COUNT)).reshape(mean.shape)

    def features(
        self, crops: NDArray[np.uint16], present: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Features as `TrainingCohort.features`, float32 (scan, side 2, feature)."""
        found = knee_features(self.networks[0], self.batch(crops, present))
        return found.reshape(len(crops), len(SIDES), -1)

    def batch(self, crops: NDArray[np.uint16], present: NDArray[np.bool_]) -> Batch:
        """The knees of scans as a batch, right before left; arguments as for `probabilities`."""
        given = self.content.crops
        knees = crops.reshape(-1, *crops.shape[2:])
        left = np.arange(len(knees)) % len(SIDES) == 1
        seen = network_crops(
            knees,
            left,
            views=given.views,
            scaling=given.scaling,
            mirror_left=given.mirror_left,
            pixels=given.pixels,
        )
        crop = torch.from_numpy(seen).contiguous(memory_format=torch.channels_last)
        index = torch.arange(len(knees))  # even: a right knee
        batch = Batch(crop=crop, grade=torch.zeros_like(index), knee=index)
        if "uptake" in given.inputs:
            batch["uptake"] = torch.from_numpy(uptake_measures(knees, index.numpy(), given.views))
        if {"other_knee", "has_other_knee"} & set(given.inputs):
            there = torch.from_numpy(present[:, ::-1].reshape(-1).copy())
            others = crop[index ^ 1]
            batch["other_knee"] = others * there[:, None, None, None]
            batch["has_other_knee"] = there
        return batch


def knee_features(classifier: GradeClassifier, batch: Batch) -> NDArray[np.float32]:
    """Mean and maximum of each channel of the last feature map, float32 (knee, feature).

    Where each view is graded by itself, a knee has the features of each view, one after the other.
    No feature where the network has no map.
    """
    knees = len(batch["crop"])
    crops, inputs = classifier.samples(batch["crop"], inputs_of(batch, classifier.inputs))
    found = pooled_features(classifier.network, crops, **inputs)
    if found is None:
        return np.zeros((knees, 0), dtype=np.float32)
    features: NDArray[np.float32] = found.reshape(knees, -1).cpu().numpy()
    return features


def read_model(path: Path, trust: Collection[str] = ()) -> Model:
    """Read a model file.

    Args:
        path: The file.
        trust: Modules, or packages, of a person's own classes that may be imported.

    Raises:
        InputError: The file is missing, damaged, changed, of another kind or format, or names a
            class of a module that is not trusted; its weights don't fit its network.
        DriveError: The drive failed.
    """
    path = path.absolute()
    content, digest = read_content(path)
    _require_alike(path, content)
    require_known(path, "network", content.network.get("_target_"), trust)
    require_known(path, "loss", content.loss.get("_target_"), trust)
    with _said_of(path, "a network that its values describe"):
        networks = tuple(_network(content, number) for number in range(len(content.weights)))
    _require_training(path, content)
    model = Model(path, digest, content, networks)
    _require_probabilities(model)
    return model


def _network(content: ModelContent, number: int) -> GradeClassifier:
    weights = content.weights[number]
    # Values may ask for more memory than the machine has; on this device nothing takes any.
    with torch.device("meta"):
        expected = {name: each.shape for name, each in _untrained(content).state_dict().items()}
    if expected != {name: each.shape for name, each in weights.items()}:
        raise ValueError("its weights have other names or shapes")
    classifier = _untrained(content)
    if list(classifier.inputs) != content.crops.inputs:
        raise ValueError(f"it takes {classifier.inputs} beside crops")
    classifier.load_state_dict(weights)
    return classifier.eval()


def _untrained(content: ModelContent) -> GradeClassifier:
    crops = content.crops
    return GradeClassifier(
        network=content.network,
        loss=content.loss,
        optimizer={},
        learning_rate=0.0,
        schedule="constant",
        epochs=1,
        views=network_views(crops.views),
        each_view=crops.views == "each",
        pixels=crops.pixels,
        class_weights=content.class_weights,
    )


def _require_alike(path: Path, content: ModelContent) -> None:
    if tuple(content.grade_names) != GRADE_NAMES:
        raise _expected(path, f"the grades {', '.join(GRADE_NAMES)}", "others")
    if ("uptake" in content.crops.inputs) != (content.crops.regions is not None):
        raise _expected(path, "regions of uptake for a network that takes it", "none, or too many")
    if content.crops.regions not in (None, uptake_regions()):
        raise _expected(
            path, "uptake measured as this version of djd does", "that of another version"
        )
    cuts = content.decision.cuts
    if cuts and cuts != sorted(cuts):
        raise _expected(path, "cuts in ascending order", str(cuts))


def _require_training(path: Path, content: ModelContent) -> None:
    """Raise InputError where the values of the training knees don't belong together."""
    training = content.training
    if len(training.knee_patients) != len(training.features):
        raise _expected(path, "a patient of each training knee", "too few, or too many")
    counted = torch.bincount(training.grades.long(), minlength=GRADE_COUNT).tolist()
    if len(training.grades) != len(training.digests) or counted != training.knees_per_grade:
        raise _expected(path, "a grade of each training knee, 0 to 4", "others than it counts")
    measures = len(VIEW_INDICES[content.crops.views]) * len(MEASURES)
    if training.uptake.shape != (len(training.digests), measures):
        raise _expected(path, f"{measures} measures of each training knee's uptake", "others")
    if not training.uptake.isfinite().all():
        raise _expected(path, "finite measures of uptake", "others")
    graded = None if training.out_of_fold is None else training.out_of_fold.shape[1]
    grades = training.out_of_fold_grades
    if graded != (None if grades is None else len(grades)):
        raise _expected(path, "a grade of each knee out of fold", "too few, or too many")


def _require_probabilities(model: Model) -> None:
    """Raise InputError where the networks don't give five probabilities."""
    crops = np.ones((1, len(SIDES), 2, CROP_SIZE, CROP_SIZE), dtype=np.uint16)
    with _said_of(model.path, "a network that grades"):
        for present in (True, False):
            given = model.probabilities(crops, np.full((1, len(SIDES)), present))
            if not (given >= 0).all() or not np.allclose(given.sum(axis=-1), 1, atol=1e-3):
                raise ValueError("its probabilities don't sum to 1")


@contextmanager
def _said_of(path: Path, expected: str) -> Iterator[None]:
    """Any error is one sentence: classes and weights of any kind may raise any."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise _expected(path, expected, f"another ({reason})") from error


def _expected(path: Path, expected: str, received: str) -> InputError:
    return InputError(f"{path}: expected {expected}, received {printable(received)}")
