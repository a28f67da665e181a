"""Which model a person means by a folder."""

import json
import shutil
from pathlib import Path

import pytest

from djd import load_model
from djd.errors import InputError
from djd.predict.loading import find_model
from tests.conftest import Compose
from tests.finished_run import FinishedRun
from tests.sweeping import Sweep
from tests.training import run


def sentence_of(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_run_means_its_refit(finished: FinishedRun) -> None:
    expected = finished.winner / "model.ckpt"
    assert find_model(finished.folder) == find_model(finished.winner) == find_model(expected)
    assert find_model(finished.folder) == expected


@pytest.mark.slow
def test_a_sweep_means_its_winner(sweep: Sweep, tmp_path: Path) -> None:
    name = json.loads((sweep.folder / "result.json").read_text())["winner"]
    assert find_model(sweep.folder) == sweep.folder / name / "model.ckpt"
    assert load_model(sweep.folder).models[0].path.is_absolute()
    for file in ("comparison.json", "result.json"):
        shutil.copy(sweep.folder / file, tmp_path)
    (tmp_path / "result.json").write_text(json.dumps({"winner": None}))
    assert "a comparison without a winner (test=never)" in sentence_of(tmp_path)
    (tmp_path / "result.json").write_text("[]")
    assert "expected the ranking of a comparison" in sentence_of(tmp_path)
    (tmp_path / "result.json").write_text(json.dumps({"winner": "../../etc"}))
    assert str(tmp_path / "winner" / "etc" / "model.ckpt") in sentence_of(tmp_path)
    (tmp_path / "result.json").unlink()
    assert "has no winner yet" in sentence_of(tmp_path)


def test_a_run_without_a_refit_is_one_sentence(tiny: Compose, tmp_path: Path) -> None:
    run(tiny("test=never", "trainer.max_epochs=1"), folder := tmp_path / "run")
    assert "a run that has no refit on all development patients" in sentence_of(folder)
    (folder / "result.json").unlink()
    assert "a run that is not finished" in sentence_of(folder)


def test_folders_without_a_model_are_one_sentence(tmp_path: Path) -> None:
    assert "received another one" in sentence_of(tmp_path)
    assert "nothing there" in sentence_of(tmp_path / "none")
    assert "nothing there" in sentence_of(Path("http://host/model.ckpt"))


def test_models_of_earlier_versions_are_named_as_such(
    finished: FinishedRun, tmp_path: Path
) -> None:
    shutil.copytree(finished.folder, folder := tmp_path / "run")
    (winner,) = (folder / "winner").iterdir()
    (winner / "model.ckpt").rename(winner / "model-1.ckpt")
    assert "of an earlier version of djd: train the setting again" in sentence_of(folder)
    shutil.copy(folder / "checkpoints" / "best.ckpt", winner / "model.ckpt")
    assert "models of earlier versions of djd are such files" in sentence_of(folder)
