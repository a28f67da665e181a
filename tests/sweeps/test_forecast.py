import json
from pathlib import Path
from typing import Any

import pytest

from djd.models.networks import KneeCNN
from djd.runs.duration import middle, training_seconds
from djd.sweeps.forecast import STEP_TIMES_NAME, Forecast, forecast, parameters, step_seconds
from djd.wording import in_bytes, in_words
from tests.sweeps.invented_cells import cell, config_with


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("views", "channels"), [("anterior", 1), ("both", 2)])
def test_parameters_are_those_of_the_network(depth: int, views: str, channels: int) -> None:
    network = KneeCNN(depth=depth, width=4, views=channels)
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    values = sum(each.numel() for name, each in tensors.items() if "num_batches" not in name)
    config = config_with({"model.depth": depth, "model.width": 4, "data.views": views})
    assert parameters(config) == values


def test_seconds_of_a_training_by_hand() -> None:
    config = config_with({"trainer.max_epochs": 10, "data.batch_size": 20})
    seconds = training_seconds(config, 0.5, train_knees=100, validation_knees=30)
    assert seconds == pytest.approx(10 * (100 + 30 / 3) / 20 * 0.5)
    assert middle([3.0, 1.0, 2.0]) == 2


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.1, "a second"), (59, "59 seconds"), (90, "2 minutes"), (5400, "1.5 hours")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize(("size", "words"), [(10, "1 MB"), (2.6e6, "3 MB"), (2.94e9, "2.9 GB")])
def test_sizes_in_words(size: float, words: str) -> None:
    assert in_bytes(size) == words


@pytest.mark.slow
def test_each_shape_is_timed_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configs = [
        config_with({"model.depth": depth, "model.width": 2, "optim": name})
        for depth in (1, 2)
        for name in ("sgd", "adam")
    ]
    first = step_seconds(configs, at_once=2, cache=tmp_path)
    assert all(0 < seconds < 10 for seconds in first)
    assert len(json.loads((tmp_path / STEP_TIMES_NAME).read_text())) == 2
    monkeypatch.setattr("djd.sweeps.forecast.run_in_processes", None)
    assert step_seconds(configs, at_once=2, cache=tmp_path) == first


@pytest.mark.slow
def test_damaged_times_are_measured_again(tmp_path: Path) -> None:
    (tmp_path / STEP_TIMES_NAME).write_text("[1, 2")
    assert step_seconds([config_with({"model.width": 2})], at_once=1, cache=tmp_path)[0] > 0
    assert len(json.loads((tmp_path / STEP_TIMES_NAME).read_text())) == 1


@pytest.mark.usefixtures("no_timing")
def test_a_step_of_one_precision_is_not_taken_for_that_of_another(tmp_path: Path) -> None:
    configs = [config_with({"trainer.precision": each}) for each in ("float32", "bf16", "float32")]
    step_seconds(configs, at_once=1, cache=tmp_path)
    assert len(json.loads((tmp_path / STEP_TIMES_NAME).read_text())) == 2


@pytest.mark.usefixtures("no_timing")
def test_what_is_left_to_do_is_shared_by_those_that_run_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("djd.sweeps.forecast.OVERHEAD_SECONDS", 1)

    def expect(cells: int, unfinished: int, refits: int, **fixed: Any) -> Forecast:
        there = [cell({"seed": seed}, paths__cache=str(tmp_path), **fixed) for seed in range(cells)]
        return forecast(
            there,
            there[:unfinished],
            knees=[(320, 0)] * unfinished,
            refits=there[:refits],
            refit_knees=640,
            at_once=2,
        )

    expected = expect(8, 4, 0)
    assert list(expected.seconds.values()) == [101] * 4
    assert expected.total_seconds == 202
    assert expect(8, 1, 0).total_seconds == 101
    assert expect(8, 1, 3).total_seconds == 101 + 201, "one winner is refitted"
    assert expect(8, 1, 3, test="each").total_seconds == 101 + 3 * 201 / 2
    assert expect(8, 0, 0).total_seconds == 0
    assert expected.bytes_after < expected.bytes_running == expect(8, 1, 0).bytes_running
