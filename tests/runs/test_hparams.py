from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.api_pb2 import Experiment
from tensorboard.plugins.hparams.plugin_data_pb2 import SessionStartInfo

from djd.runs.callbacks.hparams import (
    HPARAM_METRICS,
    SCORE_RUNS,
    HParamValue,
    Sessions,
    forget_events,
    group_name,
    setting_hparams,
    write_hparam_columns,
    write_score_run,
)
from djd.runs.config import RunConfig, read_config
from tests.conftest import compose_values


def config(*overrides: str) -> RunConfig:
    return read_config(compose_values(*overrides))


def loaded(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def session_of(folder: Path) -> SessionStartInfo:
    record = loaded(folder).SummaryMetadata(metadata.SESSION_START_INFO_TAG)
    return metadata.parse_session_start_info_plugin_data(record.plugin_data.content)


def columns_of(folder: Path) -> Experiment:
    record = loaded(folder).SummaryMetadata(metadata.EXPERIMENT_TAG)
    return metadata.parse_experiment_plugin_data(record.plugin_data.content)


def training(
    folder: Path, *overrides: str, fingerprint: str = "cohort", stamp: str | None = None
) -> Sessions:
    return Sessions(config(*overrides), folder, fingerprint, stamp)


def row(folder: Path, *overrides: str, epochs: int = 25, fingerprint: str = "cohort") -> str:
    return group_name(training(folder, *overrides, fingerprint=fingerprint), epochs)


def test_folds_and_seeds_of_a_setting_are_one_row() -> None:
    cells = Path("multirun/sweep")
    rows = {
        row(cells / "fold=0"),
        row(cells / "fold=1", "data.fold=1", "seed=4", "data.split_seed=1"),
        row(cells / "elsewhere", "paths.cache=/elsewhere", "test=never"),
    }
    assert len(rows) == 1


@pytest.mark.parametrize(
    "other",
    ["model.depth=3", "optim.lr_times=2", "data.folds=4", "optim.weight_decay=0.1"],
)
def test_what_makes_a_setting_makes_a_row(other: str) -> None:
    folder = Path("multirun/sweep/fold=0")
    assert row(folder, other) != row(folder)


def test_epochs_cohorts_and_comparisons_make_rows() -> None:
    here, there = Path("multirun/here/fold=0"), Path("multirun/there/fold=0")
    rows = [row(here), row(here, epochs=50), row(here, fingerprint="other"), row(there)]
    assert len(set(rows)) == 4


def test_what_has_to_stand_on_everything_stands_on_rows(tmp_path: Path) -> None:
    stamp = config("data.leak=true").stamp(phantom=True)
    name = group_name(training(tmp_path, "data.leak=true", stamp=stamp), 25)
    assert name.startswith("LEAK PHANTOM model=cnn ")


def test_numbers_are_numbers_and_null_is_left_out() -> None:
    values = setting_hparams(config("optim=sgd", "optim.lr_times=10"), 25)
    assert values["epochs"] == 25
    assert values["optim"] == "sgd"
    assert values["learning_rate"] == float(values["optim.lr"]) * 10
    assert values["data.leak"] is False
    assert "trainer.gradient_clip_val" not in values
    assert not {"data.fold", "seed", "paths.cache", "score_epochs"} & set(values)


def test_an_earlier_score_epoch_is_a_finished_session_with_its_scores(tmp_path: Path) -> None:
    scalars = {"kappa/validation": 0.5, "mae/validation": 1.25}
    write_score_run(training(tmp_path), 25, scalars)
    run = tmp_path / "epochs=25"
    session = session_of(run)
    assert session.group_name == row(tmp_path)
    assert session.hparams["model.depth"].number_value == 2
    assert session.hparams["optim"].string_value == "adam"
    events = loaded(run)
    shown = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in scalars}
    assert shown == {tag: [(25, value)] for tag, value in scalars.items()}


def test_columns_have_their_values_and_those_compared_come_first(tmp_path: Path) -> None:
    values: dict[str, list[HParamValue]] = {
        "model.depth": [2, 1],
        "optim": ["sgd", "adam"],
        "data.mirror_left": [True, False],
    }
    write_hparam_columns(tmp_path, values, compared=["optim"])
    columns = columns_of(tmp_path)
    domains = {
        info.name: [
            value.string_value or value.number_value or value.bool_value
            for value in info.domain_discrete.values
        ]
        for info in columns.hparam_infos
    }
    assert domains == {
        "model.depth": [1, 2],
        "optim": ["adam", "sgd"],
        "data.mirror_left": [False, True],
    }
    assert [info.name for info in columns.hparam_infos if info.differs] == ["optim"]
    assert [info.display_name for info in columns.hparam_infos][:2] == ["depth", "optim"]
    assert [metric.name.tag for metric in columns.metric_infos] == [
        f"{score}/validation" for score in HPARAM_METRICS
    ]


def test_many_numbers_are_a_range(tmp_path: Path) -> None:
    write_hparam_columns(tmp_path, {"seedlings": list(range(12)), "none": [None, 1]}, compared=[])
    many, few = columns_of(tmp_path).hparam_infos
    assert (many.domain_interval.min_value, many.domain_interval.max_value) == (0, 11)
    assert [value.number_value for value in few.domain_discrete.values] == [1]


def test_a_later_record_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    for depths in ([1, 2], [1, 2, 3]):
        write_hparam_columns(tmp_path, {"model.depth": depths}, compared=["model.depth"])
    (column,) = columns_of(tmp_path).hparam_infos
    assert [value.number_value for value in column.domain_discrete.values] == [1, 2, 3]


def test_events_of_an_earlier_training_are_forgotten_and_columns_stay(tmp_path: Path) -> None:
    write_hparam_columns(tmp_path, {"model.depth": [1]}, compared=[])
    write_score_run(training(tmp_path), 25, {})
    growing = tmp_path / "events.out.tfevents.1700000000.host.1.0"
    growing.touch()
    forget_events(tmp_path, runs_below=SCORE_RUNS)
    assert not growing.exists()
    assert not (tmp_path / "epochs=25").exists()
    assert columns_of(tmp_path).hparam_infos
