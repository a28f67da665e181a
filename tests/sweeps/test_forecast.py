import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from djd.errors import InputError
from djd.models.networks import KneeCNN
from djd.runs.config import RunConfig
from djd.runs.duration import Pace, count_values, middle, training_seconds
from djd.sweeps.forecast import PACES_NAME, Forecast, forecast, measured_paces
from djd.sweeps.sweep import Sweep
from djd.wording import in_bytes, in_words
from tests.sweeps.invented_cells import cell, config_with


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(("views", "channels"), [("anterior", 1), ("both", 2)])
def test_values_are_those_of_the_network(depth: int, views: str, channels: int) -> None:
    network = KneeCNN(depth=depth, width=4, views=channels)
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    values = sum(each.numel() for name, each in tensors.items() if "num_batches" not in name)
    config = config_with({"model.depth": depth, "model.width": 4, "data.views": views})
    assert count_values(config) == values


def test_seconds_of_a_training_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("djd.runs.duration.FIT_SECONDS", 3)
    config = config_with({"trainer.max_epochs": 10, "data.batch_size": 20})
    pace = Pace(step=0.5, knee=0.01, epoch=0.2)
    seconds = training_seconds(config, pace, train_knees=101, validation_knees=30)
    assert seconds == pytest.approx(3 + 10 * (6 * 0.5 + 30 * 0.01 + 0.2))
    assert middle([3.0, 1.0, 2.0]) == 2


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.1, "a second"),
        (59, "59 seconds"),
        (90, "1.5 minutes"),
        (1200, "20 minutes"),
        (5400, "1.5 hours"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize(("size", "words"), [(10, "1 MB"), (2.6e6, "3 MB"), (2.94e9, "2.9 GB")])
def test_sizes_in_words(size: float, words: str) -> None:
    assert in_bytes(size) == words


def with_cache(cache: Path, **changes: Any) -> RunConfig:
    return config_with(
        {"paths.cache": str(cache), **{key.replace("__", "."): changes[key] for key in changes}}
    )


@pytest.mark.slow
def test_each_shape_is_measured_once_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = [
        with_cache(tmp_path, model__depth=depth, model__width=2, optim=name)
        for depth in (1, 2)
        for name in ("sgd", "adam")
    ]
    first = measured_paces(configs, at_once=2)
    assert all(0 < pace.step < 10 and 0 < pace.knee < 1 for pace, _ in first)
    assert [values for _, values in first] == [count_values(config) for config in configs]
    assert len(json.loads((tmp_path / PACES_NAME).read_text())) == 2
    monkeypatch.setattr("djd.sweeps.forecast.run_in_processes", None)
    assert measured_paces(configs, at_once=2) == first


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["[1, 2", '{"depth=1": 0.5}', '{"depth=1": [0.5, 9]}'])
def test_times_that_cannot_be_read_are_measured_again(tmp_path: Path, damage: str) -> None:
    (tmp_path / PACES_NAME).write_text(damage)
    ((pace, _),) = measured_paces([with_cache(tmp_path, model__width=2)], at_once=1)
    assert pace.step > 0
    assert len(json.loads((tmp_path / PACES_NAME).read_text())) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model__depth": 9}, r"model\.depth: expected a whole number from 1 to 5, received 9"),
        ({"model": "mine"}, r"model\._target_: expected a class .* received networks\.Mine .*PATH"),
    ],
)
def test_a_network_that_cannot_be_built_is_one_sentence_before_anything_is_trained(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    configs = [with_cache(tmp_path), with_cache(tmp_path, **changes)]
    with pytest.raises(InputError, match=sentence):
        measured_paces(configs, at_once=1)


@pytest.mark.usefixtures("no_timing")
def test_a_step_of_one_precision_is_not_taken_for_that_of_another(tmp_path: Path) -> None:
    configs = [
        with_cache(tmp_path, trainer__precision=each) for each in ("float32", "bf16", "float32")
    ]
    measured_paces(configs, at_once=1)
    assert len(json.loads((tmp_path / PACES_NAME).read_text())) == 2


@pytest.mark.usefixtures("no_timing")
def test_a_pace_of_one_processor_is_not_taken_for_that_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("with AVX-512", "without", "with AVX-512"):
        monkeypatch.setattr("djd.sweeps.forecast.processor", lambda name=name: name)
        measured_paces([with_cache(tmp_path)], at_once=1)
    assert len(json.loads((tmp_path / PACES_NAME).read_text())) == 2


def test_paces_that_another_machine_measured_meanwhile_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(shapes: Iterable[str], at_once: int) -> dict[str, tuple[Pace, int]]:
        (tmp_path / PACES_NAME).write_text('{"of another": [[0.1, 0, 0], 9]}')
        return dict.fromkeys(shapes, (Pace(0.1, 0.0, 0.0), 9))

    monkeypatch.setattr("djd.sweeps.forecast._measure_shapes", measure)
    measured_paces([with_cache(tmp_path)], at_once=1)
    assert len(json.loads((tmp_path / PACES_NAME).read_text())) == 2


@pytest.mark.usefixtures("no_timing")
def test_what_is_left_to_do_is_shared_by_those_that_run_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("djd.sweeps.forecast.CELL_SECONDS", 1)
    monkeypatch.setattr("djd.runs.duration.FIT_SECONDS", 0)
    monkeypatch.setattr("djd.sweeps.forecast.end_seconds", lambda config: 0)

    def knees(config: RunConfig) -> tuple[int, int]:
        return (640, 0) if config.data.fold is None else (320, 0)

    def expect(unfinished: int, **fixed: Any) -> Forecast:
        cells = [
            replace(cell({"model.depth": depth}, paths__cache=str(tmp_path), **fixed), folder=place)
            for depth in range(1, 5)
            for place in [tmp_path / str(depth)]
        ]
        sweep = Sweep(tmp_path, tuple(cells), to_do=tuple(cells[:unfinished]))
        return forecast(sweep, knees, at_once=2)

    expected = expect(4, test="never")
    assert list(expected.seconds.values()) == [101] * 4
    assert expected.total_seconds == 202
    assert expect(1, test="never").total_seconds == 101
    assert expect(1).total_seconds == 101 + 201, "one winner is refitted"
    assert expect(1, test="each").total_seconds == 101 + 4 * 201 / 2
    assert expect(0).total_seconds == 0
    assert expected.bytes_after < expected.bytes_running == expect(1).bytes_running


@pytest.mark.usefixtures("no_timing")
def test_a_job_begins_when_the_first_of_those_before_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("djd.sweeps.forecast.CELL_SECONDS", 0)
    monkeypatch.setattr("djd.runs.duration.FIT_SECONDS", 0)
    monkeypatch.setattr("djd.sweeps.forecast.end_seconds", lambda config: 7)
    knees = {1: 320, 2: 64, 3: 96, 4: 640}  # 100, 20, 30 and 200 seconds
    cells = [
        replace(cell({"model.depth": depth}, paths__cache=str(tmp_path)), folder=tmp_path / name)
        for depth, name in enumerate("abcd", 1)
    ]

    def expect(**fixed: Any) -> float:
        changed = [
            replace(each, config=each.config.model_copy(update={"test": "never"} | fixed))
            for each in cells
        ]
        sweep = Sweep(tmp_path, tuple(changed), to_do=tuple(changed))

        def counted(config: RunConfig) -> tuple[int, int]:
            return knees[config.model.arguments["depth"]], 0

        return forecast(sweep, counted, at_once=2).total_seconds

    assert expect() == 20 + 30 + 200 + 7, "the other process has 100 alone"
    assert expect(test="winner") == expect() + (100 + 20 + 30 + 200) / 4, "any of them may win"


def test_a_finished_sweep_builds_no_network(tmp_path: Path) -> None:
    gone = replace(cell({"model": "mine"}), folder=tmp_path / "mine")
    expected = forecast(Sweep(tmp_path, (gone,)), lambda config: (0, 0), at_once=1)
    assert expected == Forecast({}, 0.0, 0, 0)
