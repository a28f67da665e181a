"""A model in ONNX Runtime grades as it does here."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from djd import read_scan
from djd.data.crop import VIEW_INDICES, crop_knees
from djd.errors import InputError
from djd.models.model import read_model
from djd.predict.export import export_onnx
from tests.conftest import Compose
from tests.training import run_refit

FIXED = ("data.fold=null", "score_epochs=[]", "plots=false")


def refit(tiny: Compose, folder: Path, *overrides: str) -> Path:
    assert run_refit(tiny(*FIXED, *overrides), folder)
    return folder / "model.ckpt"


def test_a_network_that_takes_more_than_crops_is_refused(tiny: Compose, tmp_path: Path) -> None:
    model = read_model(refit(tiny, tmp_path, "model=pooled", "model.uptake=true"))
    with pytest.raises(InputError, match="takes crops alone, received one that takes uptake too"):
        export_onnx(model, tmp_path / "model.onnx")


def test_without_the_packages_one_sentence_says_how_to_get_them(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = read_model(refit(tiny, tmp_path))
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"pip install 'djd\[onnx\]'"):
        export_onnx(model, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the exporter's parts
@pytest.mark.parametrize(
    "overrides",
    [
        ("recipe=best",),
        ("model=cnn", "data.scaling=counts", "model.clip_logits=true", "optim.lr=1e-4"),
        ("model=residual", "data.pixels=64", "data.views=both", "data.mirror_left=true"),
        ("members=2", "fitted={seeds:[0,4],temperature:{2:1.7}}", "loss=corn"),
        ("data.scaling=sqrt", "loss=expected", "data.views=posterior"),
    ],
    ids=lambda overrides: " ".join(overrides[:2]),
)
def test_onnx_runtime_gives_the_same_probabilities(
    tiny: Compose, tmp_path: Path, phantom_folder: Path, overrides: tuple[str, ...]
) -> None:
    pytest.importorskip("onnxscript", reason="djd[onnx] is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="djd[onnx] is not installed")
    model = read_model(refit(tiny, tmp_path, *overrides))
    export_onnx(model, tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    crops = np.stack([crop_knees(read_scan(path)) for path in sorted(phantom_folder.glob("*.mat"))])
    given = model.content.crops
    knees = crops.reshape(-1, *crops.shape[2:])[:, VIEW_INDICES[given.views]]
    feed = {"counts": knees.astype(np.float32)}
    if given.mirror_left:
        feed["left"] = np.arange(len(knees)) % 2 == 1
    (found,) = session.run(["probabilities"], feed)
    expected = model.probabilities(crops, np.ones(crops.shape[:2], dtype=bool)).reshape(-1, 5)
    # Both are float32, of networks whose logits go beyond 10: 1.2e-5 was seen.
    np.testing.assert_allclose(found, expected, atol=3e-5)
    properties = session.get_modelmeta().custom_metadata_map
    assert properties["use"] == "research use only"
    assert properties["stamp"] == "PHANTOM: invented scans, not patients"
    assert properties["decide"] == model.decision.rule
    assert json.loads(properties["grade_names"]) == [
        *("normal", "minimal", "mild", "moderate", "severe")
    ]
