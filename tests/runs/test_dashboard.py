import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.finished_run import FinishedRun


@pytest.fixture(scope="module")
def events(finished: FinishedRun) -> EventAccumulator:
    loaded = EventAccumulator(str(finished.folder), {"tensors": 0, "scalars": 0})
    loaded.Reload()
    return loaded


def test_losses_and_scores_are_logged_once_an_epoch(events: EventAccumulator) -> None:
    tags = set(events.Tags()["scalars"])
    assert {
        *(f"{score}/{stage}" for score in ("loss", "kappa", "accuracy", "balanced_accuracy")
          for stage in ("train", "validation")),
        "recall_minimal/validation",
        "learning_rate",
    } <= tags  # fmt: skip
    assert not {tag for tag in tags if "step" in tag or "hp_metric" in tag or tag == "epoch"}
    for tag in ("loss/train", "kappa/validation"):
        assert [event.step for event in events.Scalars(tag)] == [1, 2]


def test_the_kappa_shown_is_the_kappa_of_the_result(
    finished: FinishedRun, events: EventAccumulator
) -> None:
    shown = [event.value for event in events.Scalars("kappa/validation")]
    kept = [scores.scores["kappa"] for scores in finished.result.validation]
    assert shown == pytest.approx(kept)


def test_the_configuration_and_the_stamp_are_there_as_text(events: EventAccumulator) -> None:
    texts = {
        tag: events.Tensors(f"{tag}/text_summary")[0].tensor_proto.string_val[0].decode()
        for tag in ("config", "about")
    }
    assert "max_epochs: 2" in texts["config"]
    assert "PHANTOM" in texts["about"]
    assert "Research use only" in texts["about"]
