"""A model as an ONNX graph from counts to probabilities, for other programs."""

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from djd.data.crop import CROP_SIZE, VIEW_INDICES
from djd.data.datamodule import scaled
from djd.errors import InputError
from djd.files import write_whole
from djd.grades import RESEARCH
from djd.models.classifier import GradeClassifier
from djd.models.model import Model
from djd.statistics.deciding import STEPS

if TYPE_CHECKING:
    import onnx

OPSET = 20


class _Grader(nn.Module):
    """Counts float32 (knee, view, row 128, column 128) to probabilities (knee, grade 5)."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.networks = nn.ModuleList(model.networks)
        self.crops = model.content.crops
        self.temperature = model.decision.temperature

    def forward(self, counts: Tensor, left: Tensor | None = None) -> Tensor:
        if left is not None:
            counts = torch.where(left[:, None, None, None], counts.flip(-1), counts)
        pixels = self.crops.pixels
        block = CROP_SIZE // pixels
        views = counts.shape[1]
        sums = counts.reshape(-1, views, pixels, block, pixels, block).sum(dim=(-3, -1))
        crops = scaled(sums, self.crops.scaling)
        shares = [_graded(cast(GradeClassifier, each), crops) for each in self.networks]
        mean = torch.stack(shares).mean(dim=0)
        if self.temperature == 1:
            return mean
        tempered = mean.clamp(min=1 / STEPS).pow(1 / self.temperature)
        return tempered / tempered.sum(dim=1, keepdim=True)


def _graded(network: GradeClassifier, crops: Tensor) -> Tensor:
    return network.probabilities(network(crops), crops.shape[0])


def export_onnx(model: Model, path: Path) -> None:
    """Write a graph from counts to calibrated probabilities, with the decision in its properties.

    Inputs: `counts` float32 (knee, view, row 128, column 128), the model's views of crops as
    `crop_knees` cuts them, and `left` bool (knee,) where the model mirrors left knees. Output:
    `probabilities` float32 (knee, grade 5).

    Raises:
        InputError: The packages of `djd[onnx]` are missing, the network takes more than crops or
            can't be exported, or the file can't be written.
    """
    if inputs := model.content.crops.inputs:
        raise InputError(
            f"{model.path}: expected a network that takes crops alone, received one that takes "
            f"{', '.join(inputs)} too; its export isn't written yet"
        )
    try:
        import onnx
        import onnxscript  # noqa: F401 -- torch.onnx needs the package
    except ImportError as error:
        raise InputError(
            f"--onnx: expected the packages onnx and onnxscript, received no {error.name}: "
            "pip install 'djd[onnx]'"
        ) from error
    try:
        graph = _graph(model)
    except Exception as error:  # of many types, for what a person's network does
        reason = _root(error)
        raise InputError(f"{model.path}: the network can't be exported ({reason})") from error
    if graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value:
        reason = "the graph takes a fixed number of knees"
        raise InputError(f"{model.path}: the network can't be exported ({reason})")
    onnx.helper.set_model_props(graph, _properties(model))
    onnx.checker.check_model(graph)
    try:
        write_whole(path, graph.SerializeToString())
    except OSError as error:
        raise InputError(f"{path}: can't be written ({error.strerror or error})") from error


def _graph(model: Model) -> "onnx.ModelProto":
    views, mirrors = len(VIEW_INDICES[model.content.crops.views]), model.content.crops.mirror_left
    counts = torch.ones(2, views, CROP_SIZE, CROP_SIZE)
    knee = torch.export.Dim("knee")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own parts
        program = torch.onnx.export(
            _Grader(model).eval(),
            (counts, torch.tensor([False, True])) if mirrors else (counts,),
            input_names=["counts", "left"][: 1 + mirrors],
            output_names=["probabilities"],
            dynamic_shapes=({0: knee}, {0: knee})[: 1 + mirrors],
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def _root(error: BaseException) -> str:
    """The first line of the error that caused all others: the exporter's own are advice."""
    while error.__cause__:
        error = error.__cause__
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _properties(model: Model) -> dict[str, str]:
    """How counts are cut and probabilities become grades, as texts, values in JSON."""
    crops, decision = model.content.crops, model.decision
    return {
        "use": RESEARCH,
        "stamp": model.stamp or "",
        "model_digest": model.digest,
        "setting": model.content.setting,
        "grade_names": json.dumps(model.content.grade_names),
        "crop": crops.placement,
        "views": crops.views,
        "decide": decision.rule,
        "cuts": json.dumps(decision.cuts),
    }
