"""What the tabs of TensorBoard beside its scalars and pictures hold after a whole small run."""

import re
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams import metadata
from tensorboard.util.tensor_util import make_ndarray

from djd.grades import GRADE_NAMES
from djd.runs.callbacks.hparams import HPARAM_METRICS
from tests.conftest import Compose
from tests.finished_run import FinishedRun
from tests.runs.test_hparams import columns_of, session_of
from tests.sweeping import rows_of
from tests.training import run_cell


def loaded(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), {"tensors": 0, "scalars": 0})
    events.Reload()
    return events


@pytest.fixture(scope="module")
def events(finished: FinishedRun) -> EventAccumulator:
    return loaded(finished.folder)


def text_of(events: EventAccumulator, tag: str) -> str:
    (text,) = events.Tensors(f"{tag}/text_summary")
    return str(text.tensor_proto.string_val[0].decode())


def test_each_chart_has_scalars_that_were_logged(events: EventAccumulator) -> None:
    (record,) = events.Tensors("custom_scalars__config__")
    layout = Layout.FromString(record.tensor_proto.string_val[0])
    charts = {chart.title: chart.multiline.tag for each in layout.category for chart in each.chart}
    tags = events.Tags()["scalars"]
    shown = {
        title: [tag for tag in tags if any(re.match(pattern, tag) for pattern in patterns)]
        for title, patterns in charts.items()
    }
    assert shown["loss"] == ["loss/train", "loss/validation"]
    assert shown["kappa"] == ["kappa/train", "kappa/validation"]
    assert set(shown["recall of each grade, validation"]) == {
        f"recall_{grade}/validation" for grade in GRADE_NAMES
    }
    assert shown["learning rate"] == ["learning_rate"]
    assert shown["knees a second"] == ["knees_per_second"]


def test_the_speed_is_knees_over_the_seconds_of_each_epoch(
    finished: FinishedRun, events: EventAccumulator
) -> None:
    seconds = [float(row["seconds"]) for row in rows_of(finished.folder / "metrics.csv")]
    knees = int(text_of(events, "about").partition("| train | ")[2].split(" | ")[1])
    speeds = [event.value for event in events.Scalars("knees_per_second")]
    assert speeds == pytest.approx(knees / np.diff([0, *seconds]))


def test_a_run_is_a_row_at_each_of_its_score_epochs(
    finished: FinishedRun, events: EventAccumulator
) -> None:
    first, last = session_of(finished.folder / "epochs=1"), session_of(finished.folder)
    assert first.hparams["epochs"].number_value == 1
    assert last.hparams["epochs"].number_value == 2
    assert first.group_name != last.group_name
    scored = {scores.epoch: scores.scores for scores in finished.result.validation}
    for epoch, there in ((1, loaded(finished.folder / "epochs=1")), (2, events)):
        for score in HPARAM_METRICS:
            shown = there.Scalars(f"{score}/validation")[-1]
            assert shown.step == epoch
            assert shown.value == pytest.approx(scored[epoch][score])


def test_a_single_run_has_its_columns(finished: FinishedRun) -> None:
    columns = {info.name: info for info in columns_of(finished.folder).hparam_infos}
    groups = {"model", "optim"}
    assert set(columns) == groups | {"model.depth", "learning_rate", "data.batch_size", "epochs"}
    assert [value.number_value for value in columns["epochs"].domain_discrete.values] == [1, 2]


def test_a_refit_holds_nothing_out_and_is_no_row(finished: FinishedRun) -> None:
    assert metadata.SESSION_START_INFO_TAG not in loaded(finished.winner).Tags()["tensors"]
    assert not list(finished.winner.glob("epochs=*"))


def test_the_curve_of_any_disease_has_the_predictions_of_its_epoch(
    finished: FinishedRun, events: EventAccumulator
) -> None:
    curves = events.Tensors("any_djd/validation")
    assert [curve.step for curve in curves] == [1, 2]
    for curve in curves:
        rows = [
            row
            for row in rows_of(finished.folder / "predictions.csv")
            if int(row["epoch"]) == curve.step
        ]
        diseased = np.array([int(row["grade"]) > 0 for row in rows])
        found = np.array([1 - float(row["p0"]) for row in rows]) >= 0.5
        hits, false_alarms = make_ndarray(curve.tensor_proto)[:2, 63]  # of 127, from 0 to 1
        assert hits == (found & diseased).sum()
        assert false_alarms == (found & ~diseased).sum()


def test_the_curve_of_the_test_patients_is_in_the_winners_folder_alone(
    finished: FinishedRun, events: EventAccumulator
) -> None:
    assert "any_djd/test" not in events.Tags()["tensors"]
    (curve,) = loaded(finished.winner).Tensors("any_djd/test")
    counts = np.array(finished.result.test[0].confusion)
    assert make_ndarray(curve.tensor_proto)[:2, 0].tolist() == [counts[1:].sum(), counts[0].sum()]


def test_the_text_tells_who_was_on_each_part_and_the_command(
    finished: FinishedRun, events: EventAccumulator
) -> None:
    about = text_of(events, "about")
    knees = finished.result.validation[0].knees
    patients = finished.result.validation[0].patients
    assert f"| validation | {patients} | {knees} |" in about
    assert f"| torch | {finished.result.versions['torch']} |" in about
    assert "    python train.py data=phantom recipe=none model=cnn" in about
    assert "data.fold=0" in about
    assert "test=never" in about


def test_a_cell_that_is_trained_anew_shows_one_training(tiny: Compose, tmp_path: Path) -> None:
    folder = tmp_path / "cell"
    folder.mkdir()
    run_cell(tiny("score_epochs=[]"), folder)
    run_cell(tiny("score_epochs=[1]"), folder)
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1
    assert session_of(folder / "epochs=1").hparams["epochs"].number_value == 1
    assert [event.step for event in loaded(folder).Scalars("kappa/validation")] == [1, 2]
