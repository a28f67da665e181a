"""Trainings that start from weights of a network trained on invented patients."""

import io
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from djd.data.phantom.cohort import cached_phantom
from djd.errors import InputError
from djd.models.classifier import GradeClassifier
from djd.runs import start
from djd.runs.config import RunConfig, read_config
from djd.runs.duration import FIT_SECONDS, Pace
from djd.runs.fit import Fit, fit_network
from djd.runs.prepare import Prepared, prepare
from djd.runs.pretrain import (
    invented_folder,
    pretrained_sentences,
    pretraining_seconds,
    require_pretrain,
    weights_place,
)
from djd.runs.start import start_weights, started
from djd.sweeps import compare
from djd.sweeps.cells import numbers_of
from tests.conftest import Compose
from tests.ordinary_user import link, posix
from tests.sweeping import run_train, sweep_arguments
from tests.training import run_cell

PATIENTS = 12
PACE = Pace(step=0.5, knee=0.0, epoch=0.0)
PRETRAIN = (
    "pretrain=phantom",
    f"pretrain.patients={PATIENTS}",
    "pretrain.style=plain",
    "pretrain.epochs=1",
    "trainer.max_epochs=1",
    "test=never",
)

Weights = Mapping[str, torch.Tensor]


@pytest.fixture(scope="module")
def invented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The patients of the pretraining, invented once for all tests."""
    return cached_phantom(tmp_path_factory.mktemp("invented"), patients=PATIENTS, seed=1000)


@pytest.fixture
def pretrained(tiny: Compose, invented: Path) -> Compose:
    """Makes configurations that pretrain, in the test's own cache."""

    def compose(*overrides: str) -> dict[str, Any]:
        values = tiny(*PRETRAIN, *overrides)
        place = Path(values["paths"]["cache"]) / invented.name
        if not place.exists():
            link(place, invented)
        return values

    return compose


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folder of each pretraining, as they begin."""
    begun: list[Path] = []

    def counted(prepared: Prepared) -> Fit:
        begun.append(prepared.folder)
        return fit_network(prepared)

    monkeypatch.setattr(start, "fit_network", counted)
    return begun


def prepared_in(folder: Path, values: Mapping[str, Any]) -> Prepared:
    folder.mkdir(exist_ok=True)
    return prepare(read_config({**values, "kind": "cell"}), folder)


def same(one: Weights | None, other: Weights | None) -> bool:
    assert one is not None
    assert other is not None
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_a_training_starts_from_the_cached_weights(
    pretrained: Compose,
    tmp_path: Path,
    trainings: list[Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began: list[dict[str, torch.Tensor]] = []

    def first(self: GradeClassifier) -> None:
        began.append({key: each.clone() for key, each in started(self).items()})

    monkeypatch.setattr(GradeClassifier, "on_train_start", first, raising=False)
    values = pretrained("loss=ordinal")
    assert run_cell(values, _made(tmp_path / "cell"))
    assert run_cell({**values, "seed": 1}, _made(tmp_path / "other seed"))
    kept = torch.load(weights_place(read_config(values)), weights_only=True)["weights"]
    assert len(trainings) == 1
    unlike, cell, other = began
    assert same(kept, cell)
    assert same(kept, other)
    assert not same(kept, unlike)  # the pretraining itself started from its seed's own
    assert {"loss.first_cut", "network.blocks.0.0.weight"} <= kept.keys()


@pytest.mark.slow
def test_two_that_need_the_weights_at_once_train_them_once(
    pretrained: Compose, tmp_path: Path, trainings: list[Path]
) -> None:
    each = [prepared_in(tmp_path / name, pretrained()) for name in ("one", "other")]
    found: list[Weights | None] = []
    # Locks are held against other threads as against other processes.
    threads = [
        threading.Thread(target=lambda ready=ready: found.append(start_weights(ready)))
        for ready in each
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(trainings) == 1
    assert same(*found)


def test_the_cohorts_grades_never_reach_the_weights(
    pretrained: Compose, tmp_path: Path, trainings: list[Path]
) -> None:
    ready = prepared_in(tmp_path / "cell", pretrained("loss.class_weights=balanced"))
    before = start_weights(ready)
    shuffled = np.random.default_rng(0).permutation(ready.cohort.grades)
    weights_place(ready.config).unlink()
    after = start_weights(replace(ready, cohort=replace(ready.cohort, grades=shuffled)))
    assert len(trainings) == 2
    assert same(before, after)


def test_a_damaged_or_foreign_file_is_made_again(
    pretrained: Compose, tmp_path: Path, trainings: list[Path]
) -> None:
    ready = prepared_in(tmp_path / "cell", pretrained())
    before, place = start_weights(ready), weights_place(ready.config)
    content, kept = place.read_bytes(), torch.load(place, weights_only=True)
    # One bit of a weight: torch would read the file.
    at = content.index(kept["weights"]["network.linear.weight"].numpy().tobytes()[:16])
    bit = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
    others = {**kept["weights"], "network.linear.bias": torch.zeros(7)}
    foreign = ({**kept, "name": "another"}, {**kept, "weights": others})
    harmed = [content[: len(content) // 2], b"", bit, *map(_saved, foreign)]
    for number, harm in enumerate(harmed, 1):
        place.write_bytes(harm)
        assert same(before, start_weights(ready))
        assert len(trainings) == 1 + number
        assert same(before, torch.load(place, weights_only=True)["weights"])


def _saved(kept: Mapping[str, Any]) -> bytes:
    content = io.BytesIO()
    torch.save(kept, content)
    return content.getvalue()


def test_a_stopped_training_goes_on_without_the_weights(
    pretrained: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainings: list[Path]
) -> None:
    values = pretrained("trainer.max_epochs=2")
    folders = [_made(tmp_path / name) for name in ("whole", "stopped")]
    assert run_cell(values, folders[0])
    with monkeypatch.context() as patch:
        patch.setattr(GradeClassifier, "finish_train_pass", _fail_in_second_epoch())
        with pytest.raises(OSError, match="pulled the plug"):
            run_cell(values, folders[1])
    weights_place(read_config(values)).unlink()
    assert run_cell(values, folders[1], retry_failed=True)
    assert len(trainings) == 1
    states = [
        torch.load(folder / "checkpoints" / "epoch=002.ckpt", weights_only=True)["state_dict"]
        for folder in folders
    ]
    assert same(*states)


def _fail_in_second_epoch() -> Callable[[GradeClassifier], None]:
    def finish(self: GradeClassifier) -> None:
        if self.trainer.current_epoch == 1:
            raise OSError("pulled the plug")
        self._finish("train")

    return finish


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


CHANGES: Mapping[str, Any] = {
    "model.width": 4,
    "loss._target_": "djd.models.ordered.SoftLabels",
    "loss.class_weights": "balanced",
    "optim.lr": 0.5,
    "optim.schedule": "cosine",
    "augment._target_": "djd.data.augment.scintigraphy",
    "data.pixels": 64,
    "data.views": "both",
    "data.scaling": "sqrt",
    "data.mirror_left": True,
    "data.batch_size": 8,
    "trainer.precision": "bf16",
    "trainer.weight_average": "exponential",
    "pretrain.patients": 13,
    "pretrain.seed": 1001,
    "pretrain.style": "odd",
    "pretrain.epochs": 2,
}
UNRELATED: Mapping[str, Any] = {
    "seed": 7,
    "data.fold": 1,
    "data.folds": 4,
    "data.split_seed": 3,
    "data.share": 0.5,
    "data.phantom_seed": 5,
    "data.labels_from": "names",
    "trainer.max_epochs": 9,
    "trainer.threads": 2,
    "decide": "median",
    "test": "each",
    "kind": "refit",
}


def test_the_files_name_follows_all_that_can_change_the_weights(pretrained: Compose) -> None:
    values = pretrained()

    def place(key: str, value: Any) -> Path:
        group, _, name = key.rpartition(".")
        changed = {group: {**values[group], name: value}} if group else {name: value}
        return weights_place(read_config({**values, **changed}))

    before = weights_place(read_config(values))
    places = [place(key, value) for key, value in CHANGES.items()]
    assert len({before, *places}) == 1 + len(CHANGES)
    assert {place(key, value) for key, value in UNRELATED.items()} == {before}


def test_a_changed_class_of_ones_own_is_pretrained_again(
    pretrained: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "mine_of_pretrain.py"
    values = pretrained("model._target_=mine_of_pretrain.Mine")
    places = set()
    for code in ("width = 1", "width = 2"):
        module.write_text(code)
        places.add(weights_place(read_config(values)))
    assert len(places) == 2


def test_without_pretraining_an_identity_is_what_it_was(tiny: Compose) -> None:
    config = read_config(tiny("pretrain.patients=7", "pretrain.style=odd"))
    assert not [key for key in numbers_of(config) if key.startswith("pretrain")]
    assert config.setting_name == read_config(tiny()).setting_name
    assert "pretrain" not in config.setting_name
    assert read_config(tiny("recipe=best")).named_choices == {"recipe": "best"}


def test_the_cohorts_own_seed_is_refused_before_anything_is_read(pretrained: Compose) -> None:
    for style in ("plain", "soft"):
        with pytest.raises(InputError, match=r"pretrain\.seed: expected another seed than data"):
            read_config(pretrained("data.phantom_seed=1000", f"data.phantom_style={style}"))


def test_invented_patients_among_the_cohorts_files_are_refused(
    pretrained: Compose, tmp_path: Path, phantom_folder: Path, trainings: list[Path]
) -> None:
    values = pretrained(
        "data=mat", f"data.root='{phantom_folder}'", "pretrain.seed=0", "pretrain.patients=40"
    )
    ready = prepared_in(tmp_path / "cell", values)
    with pytest.raises(InputError, match=r"expected patients that are not in .* received 0 "):
        start_weights(ready)
    assert not trainings


def test_knees_of_the_pretraining_are_refused_with_weights_that_are_there(
    pretrained: Compose, tmp_path: Path, invented: Path
) -> None:
    ready = prepared_in(tmp_path / "cell", pretrained())
    start_weights(ready)
    crops = ready.cohort.crops.copy()
    training = start._training(ready, tmp_path / "again")
    crops[3, 0] = training.cohort.crops[5, 0]  # one view of one knee
    with pytest.raises(InputError, match="of whose views of knees 1 are there"):
        start_weights(replace(ready, cohort=replace(ready.cohort, crops=crops)))


@posix
def test_a_cache_that_cannot_be_written_is_one_sentence(
    pretrained: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = prepared_in(tmp_path / "cell", pretrained())
    place = weights_place(ready.config)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied", str(place))

    monkeypatch.setattr(start, "wait_for_lock", refuse)
    with pytest.raises(InputError, match=r"paths\.cache: expected .* \(Permission denied\)"):
        start_weights(ready)


def test_values_without_pretraining_are_refused(tiny: Compose, pretrained: Compose) -> None:
    without, with_it = read_config(tiny("pretrain.patients=500")), read_config(pretrained())
    with pytest.raises(InputError, match=r"pretrain\.patients: expected pretrain=phantom"):
        require_pretrain([without])
    require_pretrain([without, with_it])
    require_pretrain([read_config(tiny())])


def test_the_sentence_says_what_flatters(tiny: Compose, pretrained: Compose) -> None:
    configs = [read_config(tiny()), read_config(pretrained("pretrain.patients=2000"))]
    (invented,) = pretrained_sentences(configs, phantom=True)
    assert "Pretrained on 2,000 invented patients (style plain)" in invented
    assert "flatters" in invented
    (real,) = pretrained_sentences(configs, phantom=False)
    assert "started from weights trained on 2,000 invented patients" in real
    assert pretrained_sentences(configs[:1], phantom=True) == []


def test_the_forecast_counts_weights_that_are_missing(pretrained: Compose, tiny: Compose) -> None:
    config = read_config(pretrained("pretrain.epochs=2", "data.batch_size=8"))
    assert pretraining_seconds(config, PACE) == FIT_SECONDS + 2 * 2 * PATIENTS / 8 * 0.5
    unseen = config.model_copy(update={"pretrain": config.pretrain.model_copy(update={"seed": 3})})
    assert pretraining_seconds(unseen, PACE) > pretraining_seconds(config, PACE)
    place = weights_place(config)
    place.parent.mkdir()
    place.touch()
    assert pretraining_seconds(config, PACE) == 0
    assert pretraining_seconds(read_config(tiny()), PACE) == 0


def test_a_sweep_invents_missing_patients_once_before_its_cells(
    tiny: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    invented: list[RunConfig] = []

    def invent(config: RunConfig) -> None:
        invented.append(config)
        invented_folder(configs[0]).mkdir()

    monkeypatch.setattr(compare, "invent_scans", invent)
    configs = [read_config(tiny(*PRETRAIN, f"seed={seed}")) for seed in (0, 1)]
    compare._invent_for_pretraining([read_config(tiny()), *configs])
    (config,) = invented
    data = config.data
    assert (data.phantom_patients, data.phantom_seed, data.phantom_style) == (12, 1000, "plain")


@pytest.mark.slow
@pytest.mark.usefixtures("no_timing")
def test_a_sweep_is_widened_by_pretraining_and_says_what_flatters(
    pretrained: Compose,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    cache, folder = Path(pretrained()["paths"]["cache"]), tmp_path / "sweep"
    rest = ("data.fold=0,1", "score_epochs=[]", "trainer.max_epochs=1", "report=true")
    assert run_train(monkeypatch, *sweep_arguments(cache, folder, *rest)) == 0
    assert "flatters" not in capfd.readouterr().out
    axes = ("pretrain=none,phantom", *PRETRAIN[1:-2], *rest)
    assert run_train(monkeypatch, *sweep_arguments(cache, folder, *axes)) == 0
    said = capfd.readouterr().out
    assert "2 cells done, 2 to do" in said
    sentence = f"Pretrained on {PATIENTS} invented patients (style plain). On an invented cohort"
    assert sentence in said
    for name in ("report.html", "settings.tex"):
        assert sentence in (folder / name).read_text(encoding="utf-8")
    logs = [path.read_text(encoding="utf-8") for path in folder.glob("*/run.log")]
    assert sum(f"pretraining on {PATIENTS} invented patients: epoch" in log for log in logs) == 1
    assert len(list((cache / "pretrained").glob("*.ckpt"))) == 1
