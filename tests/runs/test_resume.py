import csv
import itertools
import shutil
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from djd.data import datamodule
from djd.errors import InputError
from djd.files import write_whole
from djd.machine import Stopped, stop_on_signals
from djd.models.classifier import GradeClassifier
from djd.models.fused import fusing
from djd.models.fused.fusing import Blocks
from djd.runs.folder import epoch_checkpoint, lock
from djd.runs.result import RunResult
from tests.conftest import Compose, tiny_values
from tests.ordinary_user import link
from tests.training import is_rehearsing, run

EPOCHS = 7
LONG = (f"trainer.max_epochs={EPOCHS}", "score_epochs=[2, 4]")


def weights(folder: Path) -> dict[str, Any]:
    (model,) = folder.glob("winner/*/model.ckpt")
    (state,) = torch.load(model, weights_only=True)["content"]["weights"]
    return dict(state)


TIMED = ("seconds", "fit_seconds", "seconds_a_training", "ms_a_knee")


def texts(folder: Path) -> dict[str, str]:
    """All CSV files, without the seconds that something took."""
    contents = {}
    for path in sorted(folder.rglob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))
        hidden = [i for i, name in enumerate(lines[0]) if name in TIMED]
        shown = [",".join(cell for i, cell in enumerate(line) if i not in hidden) for line in lines]
        contents[str(path.relative_to(folder))] = "\n".join(shown)
    return contents


def send_at(patch: pytest.MonkeyPatch, step: int, number: int = signal.SIGINT) -> None:
    """Sends this process a signal in the middle of the nth training step from now."""
    train_on = GradeClassifier.train_on
    steps = itertools.count(1)

    def counted(self: GradeClassifier, *given: Any) -> torch.Tensor:
        if not is_rehearsing(self) and next(steps) == step:
            signal.raise_signal(number)
        return train_on(self, *given)

    patch.setattr(GradeClassifier, "train_on", counted)


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """See `send_at`."""
    return partial(send_at, monkeypatch)


def stopped_run(values: dict[str, Any], folder: Path) -> int:
    folder.mkdir(exist_ok=True)
    with pytest.raises(Stopped) as caught, stop_on_signals():
        run(values, folder)
    assert not (folder / "result.json").exists()
    return caught.value.exit_status


@pytest.fixture(scope="module")
def uninterrupted(phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("uninterrupted")
    (root / "run").mkdir()
    run(tiny_values(phantom_folder, root, *LONG), root / "run")
    return root / "run"


@pytest.fixture(scope="module")
def stopped_in_epoch_4(phantom_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was stopped then; tests take a copy."""
    root = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch:
        send_at(patch, 8)
        stopped_run(tiny_values(phantom_folder, root, *LONG), root / "run")
    return root / "run"


@pytest.fixture
def stopped(stopped_in_epoch_4: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    shutil.copytree(stopped_in_epoch_4, folder)
    return folder


# Two batches an epoch, on the fold and when refitted: steps 1 to 14, then 15 to 28.
@pytest.mark.parametrize(
    ("step", "number", "status"),
    [
        pytest.param(1, signal.SIGINT, 130, id="first step", marks=pytest.mark.slow),
        pytest.param(8, signal.SIGTERM, 143, id="mid epoch"),
        pytest.param(11, signal.SIGINT, 130, id="after a write", marks=pytest.mark.slow),
        pytest.param(20, signal.SIGTERM, 143, id="in the refit"),
    ],
)
def test_a_stopped_run_goes_on_to_the_very_weights_of_an_uninterrupted_one(
    tiny: Compose,
    tmp_path: Path,
    kill_at: Callable[..., None],
    uninterrupted: Path,
    step: int,
    number: int,
    status: int,
) -> None:
    folder = tmp_path / "run"
    kill_at(step, number)
    assert stopped_run(tiny(*LONG), folder) == status
    result = run(tiny(*LONG), folder)
    expected, received = weights(uninterrupted), weights(folder)
    assert expected.keys() == received.keys()
    assert all(torch.equal(expected[name], received[name]) for name in expected)
    assert texts(folder) == texts(uninterrupted)
    whole = RunResult.load(uninterrupted / "result.json")
    assert result.validation == whole.validation
    assert result.test == whole.test


def test_random_numbers_of_network_and_augmentation_go_on_to_the_same_bits(
    tiny: Compose, tmp_path: Path, kill_at: Callable[..., None]
) -> None:
    """Three epochs and three more are six."""
    changed = ("augment=scintigraphy", "data.pixels=64", "data.share=0.8")
    values = tiny("trainer.max_epochs=6", "score_epochs=[2]", "test=never", *changed)
    values["model"] = {"_target_": "tests.foreign.Dropping"}
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    whole.mkdir()
    run(values, whole)
    kill_at(7)  # in the fourth epoch
    stopped_run(values, stopped)
    run(values, stopped)
    one, two = (
        torch.load(epoch_checkpoint(folder, 6), weights_only=True)["state_dict"]
        for folder in (whole, stopped)
    )
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert texts(whole) == texts(stopped)


def test_batches_made_anew_train_the_same_network_to_the_bit_stopped_or_not(
    tiny: Compose, tmp_path: Path, kill_at: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a large cohort has them: with augmentation, uptake, both knees, and each view."""
    network = ("model=pooled", "model.depth=1", "model.width=2", "model.uptake=true")
    changed = ("augment=scintigraphy", "data.pixels=32", "data.views=each", "data.share=0.8")
    given = (*network, "model.both_knees=true", *changed, "test=never")
    values = tiny("trainer.max_epochs=4", "score_epochs=[2]", *given)
    held, stopped = tmp_path / "held", tmp_path / "stopped"
    held.mkdir()
    run(values, held)
    monkeypatch.setattr(datamodule, "MOST_BYTES_IN_MEMORY", 0)
    kill_at(6)
    stopped_run(values, stopped)
    run(values, stopped)
    one, two = (
        torch.load(epoch_checkpoint(folder, 4), weights_only=True)["state_dict"]
        for folder in (held, stopped)
    )
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert texts(held) == texts(stopped)


@pytest.mark.slow
def test_a_stopped_run_goes_on_with_the_blocks_that_it_was_started_with(
    tiny: Compose, tmp_path: Path, kill_at: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    monkeypatch.setattr(fusing, "blocks_here", lambda: Blocks(blocks="plain", lanes=None))
    kill_at(8)
    stopped_run(tiny("model.width=16", *LONG), folder)
    monkeypatch.undo()
    result = run(tiny("model.width=16", *LONG), folder)
    assert result.versions["blocks"] == "plain layers"


def test_the_last_finished_epoch_is_written_when_a_run_is_stopped(stopped_in_epoch_4: Path) -> None:
    kept = torch.load(stopped_in_epoch_4 / "checkpoints" / "last.ckpt", weights_only=True)
    assert kept["epoch"] + 1 == 3


def test_what_a_stopped_run_logged_beyond_its_checkpoint_is_not_shown_twice(
    tiny: Compose, stopped: Path
) -> None:
    run(tiny(*LONG, "test=never"), stopped)
    events = EventAccumulator(str(stopped), {"scalars": 0})
    events.Reload()
    assert [event.step for event in events.Scalars("loss/train")] == list(range(1, EPOCHS + 1))


def test_a_second_signal_does_not_disturb_the_writing(
    monkeypatch: pytest.MonkeyPatch, tiny: Compose, tmp_path: Path, kill_at: Callable[..., None]
) -> None:
    def signalled(path: Path, content: Any) -> None:
        if path == tmp_path / "run" / "checkpoints" / "last.ckpt":
            signal.raise_signal(signal.SIGINT)
        write_whole(path, content)

    kill_at(8)
    monkeypatch.setattr("djd.runs.callbacks.checkpoints.write_whole", signalled)
    assert stopped_run(tiny(*LONG), tmp_path / "run") == 130
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()


@pytest.mark.slow
def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(
    tiny: Compose, stopped: Path
) -> None:
    before = (stopped / "checkpoints" / "last.ckpt").read_bytes()
    half = stopped / "checkpoints" / ".last.ckpt.4711"
    half.write_bytes(before[: len(before) // 2])
    assert run(tiny(*LONG, "test=never"), stopped).validation[-1].epoch == EPOCHS


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("model.width=3", r"model\.width=2 \(now 3\)"),
        ("seed=1", r"seed=0 \(now 1\)"),
        ("trainer.precision=bf16", r"trainer\.precision=float32 \(now bf16\)"),
        ("optim=sgd", r"optim\._target_=torch\.optim\.Adam \(now torch\.optim\.SGD\)"),
    ],
)
def test_another_configuration_is_refused_by_name(
    tiny: Compose, stopped: Path, override: str, sentence: str
) -> None:
    before = {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=sentence):
        run(tiny(*LONG, override), stopped)
    assert {path: path.read_bytes() for path in stopped.rglob("*") if path.is_file()} == before


def test_another_cohort_is_refused(
    tiny: Compose, phantom_folder: Path, tmp_path: Path, kill_at: Callable[..., None]
) -> None:
    scans, folder = tmp_path / "scans", tmp_path / "run"
    scans.mkdir()
    for path in phantom_folder.glob("*.mat"):
        link(scans / path.name, path)
    place = ("data=mat", f"data.root='{scans}'", *LONG)
    kill_at(8)
    stopped_run(tiny(*place), folder)
    min(scans.iterdir()).unlink()
    with pytest.raises(InputError, match="expected the cohort of the run"):
        run(tiny(*place), folder)


def test_a_damaged_checkpoint_is_one_sentence(tiny: Compose, stopped: Path) -> None:
    last = stopped / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:500])
    with pytest.raises(InputError, match=r"last\.ckpt: expected .* received a damaged file"):
        run(tiny(*LONG), stopped)


@pytest.mark.parametrize("state", [{}, {"LastEpoch": {"results_version": 3}}])
def test_a_checkpoint_of_an_earlier_version_is_refused(
    tiny: Compose, stopped: Path, state: dict[str, Any]
) -> None:
    last = stopped / "checkpoints" / "last.ckpt"
    kept = torch.load(last, weights_only=True)
    del kept["callbacks"]["LastEpoch"]
    torch.save(kept | {"callbacks": kept["callbacks"] | state}, last)
    with pytest.raises(InputError, match=r"last\.ckpt: expected .* that an earlier version began"):
        run(tiny(*LONG), stopped)


def test_a_run_that_another_process_trains_is_left_alone(tiny: Compose, tmp_path: Path) -> None:

    folder = tmp_path / "run"
    folder.mkdir()
    with lock(folder), pytest.raises(InputError, match=r"in which process \d+ on .* trains"):
        run(tiny(), folder)


@pytest.mark.parametrize("name", ["config.yaml", "split.json"])
def test_a_damaged_file_of_a_stopped_run_is_one_sentence(
    tiny: Compose, stopped: Path, name: str
) -> None:
    path = stopped / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] + b"{:")
    with pytest.raises(InputError, match=rf"{name}: expected .* received a damaged file") as caught:
        run(tiny(*LONG), stopped)
    assert "\n" not in str(caught.value)
