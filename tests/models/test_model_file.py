"""Model files that are missing, damaged, foreign, changed or hostile: one sentence, nothing run."""

import io
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from djd import load_model
from djd.data.crop import VIEW_INDICES, crop_digests
from djd.data.uptake import relative_uptake
from djd.errors import InputError
from djd.models.model import read_model
from djd.models.model_content import COUNT_QUANTILES
from djd.models.model_file import content_digest
from djd.runs.config import read_config
from djd.runs.reading import read_data, split_cell
from tests.conftest import Compose
from tests.finished_run import FinishedRun
from tests.ordinary_user import posix
from tests.sweeping import ROOT
from tests.training import run

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def good(finished: FinishedRun) -> bytes:
    return (finished.winner / "model.ckpt").read_bytes()


def sentence_of(path: Path, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        read_model(path, **options)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    require_sentence(sentence)
    return sentence


def require_sentence(sentence: str) -> None:
    assert sentence.isprintable()
    assert ": expected " in sentence
    assert ", received " in sentence


def rewritten(tmp_path: Path, good: bytes, change: Change, *, signed: bool = True) -> Path:
    """The file with another content; `signed` gives it the digest that belongs to it, if any."""
    record = torch.load(io.BytesIO(good), weights_only=True)
    change(record["content"])
    if signed:
        with suppress(TypeError):
            record["digest"] = content_digest(record["content"])
    torch.save(record, path := tmp_path / "model.ckpt")
    return path


def test_the_file_says_who_was_trained_on(finished: FinishedRun) -> None:
    content = read_model(finished.winner / "model.ckpt").content
    config = read_config(finished.values)
    cohort, split = read_data(config)
    parts = split_cell(config, cohort, split, fold=None)
    training = content.training
    assert training.fingerprint == finished.result.fingerprint
    assert training.stamp == "PHANTOM: invented scans, not patients"
    assert (training.source, training.phantom_style, training.leak) == ("phantom", "plain", False)
    assert training.patients == len(split.development) == 32
    assert training.knees_per_grade == np.bincount(cohort.grades[parts.train]).tolist()
    means = cohort.crops[parts.train].mean(axis=(2, 3))
    np.testing.assert_allclose(
        training.count_quantiles.numpy(), np.quantile(means, COUNT_QUANTILES, axis=0).T
    )
    digests = crop_digests(cohort.crops)
    np.testing.assert_array_equal(training.digests.numpy(), digests[parts.train])
    np.testing.assert_array_equal(training.test_digests.numpy(), digests[parts.test])
    assert training.grades.tolist() == cohort.grades[parts.train].tolist()
    uptake = relative_uptake(cohort.crops[parts.train][:, VIEW_INDICES[config.data.views]])
    np.testing.assert_allclose(
        training.uptake.numpy(), uptake.reshape(len(parts.train), -1), rtol=1e-5, atol=1e-6
    )
    assert training.features.shape == (len(parts.train), 4), "mean and maximum of two channels"
    assert content.setting == finished.result.setting
    assert content.versions["torch"] == torch.__version__


def test_a_model_of_a_leak_says_so(tiny: Compose, tmp_path: Path) -> None:
    result = run(tiny("data.leak=true", "trainer.max_epochs=1"), tmp_path / "run")
    training = load_model(tmp_path / "run").models[0].content.training
    assert training.leak
    assert training.stamp == (
        "LEAK: fitted on the test patients. PHANTOM: invented scans, not patients"
    )
    assert len(training.digests) == sum(training.knees_per_grade) == 79
    test = {digest.numpy().tobytes() for digest in training.test_digests}
    assert test < {digest.numpy().tobytes() for digest in training.digests}
    assert len(test) == result.test[0].knees


def test_features_of_new_scans_are_those_of_the_file(finished: FinishedRun) -> None:
    model = read_model(finished.winner / "model.ckpt")
    cohort, _ = read_data(read_config(finished.values))
    scan = cohort.scan_index[0]
    knees = np.flatnonzero(cohort.scan_index == scan)
    assert len(knees) == 2
    found = model.features(cohort.crops[None, knees], np.ones((1, 2), dtype=bool))
    np.testing.assert_allclose(found[0], model.content.training.features[:2], atol=1e-5)
    network = model.networks[0].network
    crops = model.batch(cohort.crops[None, knees], np.ones((1, 2), dtype=bool))["crop"]
    with torch.no_grad():
        last = network.blocks(crops)  # type: ignore[operator]
    pooled = torch.cat([last.mean(dim=(2, 3)), last.amax(dim=(2, 3))], dim=1)
    np.testing.assert_allclose(found[0], pooled, atol=1e-5)


def test_a_digest_differs_for_values_that_look_alike() -> None:
    values: list[Any] = [
        *([], {}, None, "", "1", 1, 1.0, True, [1], ["1"], [[], []], [[[]]], {"a": 1}, {"a": "1"}),
        *(["ab", "c"], ["a", "bc"], torch.ones(2), torch.ones(2).double(), torch.ones(2, 1)),
        *(torch.ones(1, 2), torch.ones(2, dtype=torch.int32), float("nan"), float("inf")),
    ]
    assert len({content_digest(value) for value in values}) == len(values)
    assert content_digest({"a": 1, "b": 2}) == content_digest({"b": 2, "a": 1})


def test_files_that_are_no_model_are_one_sentence(
    tmp_path: Path, finished: FinishedRun, good: bytes
) -> None:
    path = tmp_path / "model.ckpt"
    assert "nothing there" in sentence_of(path)
    for content, received in (
        (b"", "0 bytes"),
        (b"hello", "a file of another kind"),
        (pickle.dumps({"format": "djd model"}), "a file of another kind"),
        (good[:-1], "cut short or damaged"),
        (good[: len(good) // 2], "cut short or damaged"),
        (good[:5], "cut short or damaged"),
    ):
        path.write_bytes(content)
        assert received in sentence_of(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "a file of another kind" in sentence_of(path)
    for value in ([1], {"a": 1}, {"format": "mine"}):
        torch.save(value, path)
        assert "a file of another" in sentence_of(path)
    assert "a folder" in sentence_of(tmp_path)
    assert "a checkpoint of Lightning" in sentence_of(finished.folder / "checkpoints" / "best.ckpt")


@posix
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.ckpt")
    assert "a pipe or a device" in sentence_of(tmp_path / "model.ckpt")


def test_another_format_is_named(tmp_path: Path, good: bytes) -> None:
    record = torch.load(io.BytesIO(good), weights_only=True)
    for number, shown in ((2, "format 2"), ("1", "format no number"), (True, "format no number")):
        torch.save({**record, "number": number}, path := tmp_path / "model.ckpt")
        assert f"expected a model file of format 1, received {shown}" in sentence_of(path)


class _Bomb:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.place),)


@pytest.mark.parametrize("forced", ["0", "1"])
def test_a_pickle_that_calls_something_calls_nothing(
    tmp_path: Path, good: bytes, monkeypatch: pytest.MonkeyPatch, forced: str
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", forced)
    record = torch.load(io.BytesIO(good), weights_only=True)
    record["content"]["setting"] = _Bomb(tmp_path / "made")
    torch.save(record, path := tmp_path / "model.ckpt")
    assert "nothing in it was run" in sentence_of(path)
    assert not (tmp_path / "made").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "made").exists(), "the pickle would have"


def test_a_changed_file_is_noticed(tmp_path: Path, good: bytes) -> None:
    def weigh(content: dict[str, Any]) -> None:
        content["weights"][0]["network.linear.bias"][0] += 1e-6

    path = rewritten(tmp_path, good, weigh, signed=False)
    assert "another digest than it says" in sentence_of(path)
    at = good.index(b"network") + 3
    path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    assert "cut short or damaged" in sentence_of(path)


CHANGES: list[tuple[Change, str]] = [
    (lambda c: c.pop("decision"), "a wrong value at decision"),
    (lambda c: c.update(more=1), "a wrong value at more"),
    (lambda c: c["crops"].update(pixels=127), "a wrong value at crops.pixels"),
    (lambda c: c["crops"].update(pixels=64), "a network that its values describe"),
    (lambda c: c["crops"].update(views="both"), "a network that its values describe"),
    (lambda c: c["crops"].update(inputs=["uptake"]), "regions of uptake"),
    (lambda c: c["crops"].update(inputs=["has_other_knee"]), "it takes () beside crops"),
    (lambda c: c["decision"].update(cuts=[1.0, 2.0]), "a wrong value at decision.cuts"),
    (lambda c: c["decision"].update(cuts=[4.0, 3.0, 2.0, 1.0]), "cuts in ascending order"),
    (lambda c: c["decision"].update(temperature=0.0), "a wrong value at decision.temperature"),
    (lambda c: c["decision"].update(rule="best"), "a wrong value at decision.rule"),
    (lambda c: c.update(grade_names=["a", "b", "c", "d", "e"]), "expected the grades normal"),
    (lambda c: c.update(grade_names="abcde"), "a wrong value at grade_names"),
    (lambda c: c.update(weights=[]), "a wrong value at weights"),
    (lambda c: c.update(weights=[{}]), "a network that its values describe"),
    (lambda c: c["weights"][0].update(more=torch.ones(1)), "a network that its values describe"),
    (
        lambda c: c["weights"][0].update({"network.linear.bias": torch.ones(6)}),
        "a network that its values describe",
    ),
    (
        lambda c: c["weights"][0].update({"network.linear.bias": torch.full((5,), torch.nan)}),
        "a network that grades",
    ),
    (lambda c: c["network"].update(depth=2), "a network that its values describe"),
    (lambda c: c["network"].update(depth="deep"), "a network that its values describe"),
    (lambda c: c["network"].update(layers=2), "a network that its values describe"),
    (lambda c: c["network"].update(pixels=10**6), "a network that its values describe"),
    (lambda c: c["network"].update(outputs=10**12), "a network that its values describe"),
    (lambda c: c["training"].update(digests=torch.ones(2, 3)), "a wrong value at training.digests"),
    (lambda c: c["training"].pop("grades"), "a wrong value at training.grades"),
    (lambda c: c["training"]["grades"].fill_(5), "a grade of each training knee"),
    (
        lambda c: c["training"].update(grades=c["training"]["grades"][1:]),
        "a grade of each training knee",
    ),
    (
        lambda c: c["training"].update(uptake=c["training"]["uptake"][:, 1:].contiguous()),
        "2 measures of each training knee's uptake",
    ),
    (lambda c: c["training"]["uptake"].fill_(torch.inf), "finite measures of uptake"),
    (lambda c: c["training"].update(patients=-1), "a wrong value at training.patients"),
    (lambda c: c["training"].update(patients=True), "a wrong value at training.patients"),
    (lambda c: c.update(setting=(1, 2)), "a value of the type tuple"),
    (lambda c: c.update(setting=torch.ones(1).expand(10**12)), "not laid out plainly"),
    (lambda c: c.update(setting={1: 2}), "a key that is no text"),
    (lambda c: c.update(setting=torch.ones(2).to_sparse()), "not laid out plainly"),
    (lambda c: c.update(setting=torch.ones(2, device="meta")), "not laid out plainly"),
]


@pytest.mark.parametrize(("change", "sentence"), CHANGES, ids=map(str, range(len(CHANGES))))
def test_values_of_wrong_types_or_shapes_are_one_sentence(
    tmp_path: Path, good: bytes, change: Change, sentence: str
) -> None:
    assert sentence in sentence_of(rewritten(tmp_path, good, change))


def places(value: Any, *above: Any) -> Iterator[tuple[Any, ...]]:
    """The way to each value in nested dictionaries and lists."""
    yield above
    items = value.items() if isinstance(value, dict) else ()
    for key, each in enumerate(value) if isinstance(value, list) else items:
        yield from places(each, *above, key)


OTHERS: list[Any] = [
    None,
    True,
    -1,
    10**30,
    1e300,
    float("nan"),
    "\x1b[31m\n",
    [],
    {},
    torch.ones(3, 2),
]


@pytest.mark.slow
@pytest.mark.parametrize("other", OTHERS, ids=map(str, range(len(OTHERS))))
def test_any_value_of_another_type_is_one_sentence_or_does_no_harm(
    tmp_path: Path, good: bytes, other: object
) -> None:
    content = torch.load(io.BytesIO(good), weights_only=True)["content"]
    refused = 0
    for way in list(places(content))[1:]:

        def change(c: Any, way: tuple[Any, ...] = way) -> None:
            for step in way[:-1]:
                c = c[step]
            c[way[-1]] = other

        try:
            read_model(rewritten(tmp_path, good, change))
        except InputError as error:
            refused += 1
            require_sentence(str(error))
    assert refused > 30, "of some fifty values few may be anything"


def test_values_that_hold_themselves_are_one_sentence(tmp_path: Path, good: bytes) -> None:
    record = torch.load(io.BytesIO(good), weights_only=True)
    record["content"]["setting"] = endless = []  # type: ignore[var-annotated]
    endless.append(endless)
    torch.save(record, path := tmp_path / "model.ckpt")
    assert "values without an end" in sentence_of(path)


@pytest.mark.slow
def test_flipped_bytes_are_sentences_or_change_nothing(tmp_path: Path, good: bytes) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "model.ckpt"
    digest = content_digest(torch.load(io.BytesIO(good), weights_only=True)["content"])
    for at in rng.integers(len(good), size=300):
        flipped = bytearray(good)
        flipped[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        try:
            assert read_model(path).digest == digest
        except InputError as error:
            require_sentence(str(error))


def aimed_at(target: str) -> Change:
    return lambda content: content["network"].update(_target_=target)


FOREIGN = [
    "subprocess.run",
    "os.system",
    "djd.runs.fit.subprocess.run",
    "djd.models.build.import_module",
    "djd.models.networks.pairwise",
    "djd.models.networks.nn.Linear",
    "djd.models.networks.require_size",
    "djd.models.losses.nn",
    "djd.cli.main",
    "djd.models.classifier.GradeClassifier",
    "djd.models.classifier.lightning",
    "djd.models.nothing.Net",
    "djd.models.networks.Nothing",
    "djd.models",
    "__main__.x",
    "a b.c",
    "x",
    "",
]


@pytest.mark.parametrize("part", ["network", "loss"])
@pytest.mark.parametrize("target", FOREIGN)
def test_what_is_no_network_or_loss_of_djd_is_neither_imported_nor_called(
    tmp_path: Path, good: bytes, part: str, target: str
) -> None:
    path = rewritten(tmp_path, good, lambda c: c[part].update(_target_=target, args="touch made"))
    before = set(sys.modules)
    sentence_of(path, trust=["subprocess", "os", "djd"])
    assert {
        name for name in set(sys.modules) - before if not name.startswith("djd.models")
    } == set()


@pytest.mark.parametrize("target", [None, 3, ["a.b"], {"a": "b"}])
def test_a_target_that_is_no_text_is_one_sentence(
    tmp_path: Path, good: bytes, target: object
) -> None:
    path = rewritten(tmp_path, good, lambda c: c["network"].update(_target_=target))
    assert "no import path" in sentence_of(path)


def test_a_network_is_no_loss_and_a_loss_no_network(tmp_path: Path, good: bytes) -> None:
    network, loss = "djd.models.networks.KneeCNN", "djd.models.losses.CrossEntropy"
    path = rewritten(tmp_path, good, lambda c: c.update(network={"_target_": loss}))
    assert "expected a network of djd, received" in sentence_of(path)
    path = rewritten(tmp_path, good, lambda c: c["loss"].update(_target_=network, depth=1))
    assert "expected a loss of djd, received" in sentence_of(path)


def test_ones_own_class_is_imported_only_where_its_module_is_trusted(
    tmp_path: Path, good: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "strangers.py").write_text(
        "import pathlib\n"
        f"pathlib.Path({str(tmp_path / 'imported')!r}).touch()\n"
        "from djd.models.networks import KneeCNN\n"
        "class Net(KneeCNN):\n    pass\n"
        "Other = KneeCNN\n"
        "from subprocess import run, Popen\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = rewritten(tmp_path, good, aimed_at("strangers.Net"))
    for trust in ((), ("stranger",), ("strangers.Net",), ("other",)):
        sentence = sentence_of(path, trust=trust)
        assert "received strangers.Net; grading would run its code" in sentence
        assert "--trust strangers " in sentence
        assert not (tmp_path / "imported").exists()
    model = read_model(path, trust=["strangers"])
    assert (tmp_path / "imported").exists()
    assert type(model.networks[0].network).__name__ == "Net"
    for name in ("Popen", "run", "Other", "Missing"):
        path = rewritten(tmp_path, good, aimed_at(f"strangers.{name}"))
        assert f"received strangers.{name}" in sentence_of(path, trust=["strangers"])
    monkeypatch.delitem(sys.modules, "strangers")


@pytest.mark.slow
def test_reading_needs_no_file_beside_and_no_configuration(tmp_path: Path, good: bytes) -> None:
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "any name.bin").write_bytes(good)
    code = "from djd import load_model; print(len(load_model('any name.bin').models))"
    finished = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path / "alone",
        env={**os.environ, "PYTHONPATH": str(ROOT), "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"},
        capture_output=True,
        text=True,
    )
    assert finished.stdout == "1\n", finished.stderr
