import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from djd.errors import InputError
from djd.models.model import read_model
from djd.runs import graders
from djd.runs.config import RunConfig, read_config
from djd.runs.fit import Fit
from djd.runs.graders import fit_member
from djd.runs.predictions import read_predictions
from djd.runs.prepare import Prepared
from djd.runs.together import networks_to_train, require_together, seeds_together
from djd.statistics.deciding import decided
from tests.conftest import Compose, compose_values
from tests.sweeping import rows_of
from tests.training import run, run_cell, run_refit


def repeats(folds: list[int | None], seeds: list[int], **changes: Any) -> list[RunConfig]:
    values = compose_values("data.folds=3")
    return [
        read_config({**values, **changes, "seed": seed, "data": {**values["data"], "fold": fold}})
        for seed in seeds
        for fold in folds
    ]


@pytest.mark.parametrize(
    ("changes", "folds", "seeds", "sentence"),
    [
        (
            {"members": 3},
            [0],
            [0],
            r"members=3: expected seeds in groups of 3, such as seed=0,1,2, received 1 seed",
        ),
        ({"members": 2}, [0, 1, 2], [0, 1, 2], r"members=2: .*received 3 seeds \(seed=0,1,2\)"),
        ({"decide": "shares"}, [0, 1], [0], r"decide=shares: expected all folds.*fold=0,1; say -m"),
        ({"decide": "shares"}, [None], [0], r"decide=shares: .*received data\.fold=null; say"),
        ({"winner": "folds"}, [0, None], [0], r"winner=folds: expected all folds.*say -m data\.f"),
        ({"calibrate": "temperature"}, [1], [0], r"calibrate=temperature: expected two folds"),
        ({"fitted": {"cuts": {}}}, [0], [0], r"fitted: expected no value, which a sweep sets"),
    ],
)
def test_missing_seeds_or_folds_are_one_sentence(
    changes: dict[str, Any], folds: list[int | None], seeds: list[int], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence) as error:
        require_together(repeats(folds, seeds, **changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "folds", "seeds"),
    [
        ({"decide": "median"}, [0], [0]),
        ({"decide": "shares", "winner": "folds", "calibrate": "temperature"}, [0, 1, 2], [5, 9]),
        ({"members": 2}, [0], [3, 1, 2, 0]),
        ({"calibrate": "temperature"}, [0, 2], [0]),
    ],
)
def test_enough_seeds_and_folds_pass(
    changes: dict[str, Any], folds: list[int | None], seeds: list[int]
) -> None:
    require_together(repeats(folds, seeds, **changes))


def test_seeds_are_together_in_ascending_order_and_the_rest_is_left_out() -> None:
    assert seeds_together([7, 3, 5, 1, 9], 2) == [[1, 3], [5, 7]]
    assert seeds_together([1], 2) == []


def test_only_refits_train_several_networks_or_none() -> None:
    (config,) = repeats([0], [0], members=3)
    refit = config.model_copy(update={"kind": "refit"})
    folds = refit.model_copy(update={"winner": "folds"})
    assert [networks_to_train(each) for each in (config, refit, folds)] == [1, 3, 0]


def test_a_run_shows_and_writes_the_grades_of_its_own_rule(tiny: Compose, tmp_path: Path) -> None:
    values = tiny("decide=median", "test=never", "trainer.max_epochs=1", "optim.lr=1e-6")
    result = run(values, tmp_path / "run")
    ((_, knees),) = read_predictions(tmp_path / "run" / "predictions.csv").items()
    assert knees.predicted.tolist() == decided(knees.probabilities, "median").tolist()
    assert knees.predicted.tolist() != decided(knees.probabilities, "likeliest").tolist()
    assert result.validation[0].confusion == knees.confusion().tolist()
    metrics = rows_of(tmp_path / "run" / "metrics.csv")[-1]
    right = (knees.predicted == knees.grades).mean()
    assert float(metrics["validation_accuracy"]) == pytest.approx(right)


def test_a_cell_of_shares_shows_the_median_and_says_so_once(
    tiny: Compose, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "sweep" / "cell"
    folder.mkdir(parents=True)
    with caplog.at_level("INFO", logger="djd"):
        run_cell(tiny("decide=shares", "data.fold=0"), folder)
    assert caplog.text.count("decide=shares: a fold has no cuts of its own") == 1
    for knees in read_predictions(folder / "predictions.csv").values():
        assert knees.predicted.tolist() == decided(knees.probabilities, "median").tolist()


def probabilities(folder: Path) -> NDArray[np.float64]:
    return read_predictions(folder / "predictions.csv")["2"].probabilities


def test_members_grade_the_test_patients_as_their_networks_one_by_one_would_together(
    tiny: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed = ("data.fold=null", "score_epochs=[]")
    alone = []
    for seed in (0, 4):
        below = tmp_path / "alone" / "winner" / f"seed {seed}"
        below.mkdir(parents=True)
        run_refit(tiny(*fixed, f"seed={seed}"), below)
        alone.append(probabilities(below))
    cuts = [1.8, 1.9, 2.0, 2.1]
    fitted = f"fitted={{seeds:[0,4],cuts:{{2:{cuts}}}}}"
    values = tiny(*fixed, "members=2", "decide=shares", fitted)
    folder = tmp_path / "sweep" / "winner" / "both"
    folder.mkdir(parents=True)

    def stopped(prepared: Prepared, seed: int) -> Fit:
        if seed == 4:
            raise RuntimeError("the machine went down")
        return fit_member(prepared, seed)

    monkeypatch.setattr(graders, "fit_member", stopped)
    with pytest.raises(RuntimeError):
        run_refit(values, folder)
    monkeypatch.setattr(graders, "fit_member", fit_member)
    assert (folder / "seed=0" / "checkpoints" / "last.ckpt").exists(), "the first stays trained"
    (folder / "error.txt").unlink()
    result = run_refit(values, folder)
    assert result
    np.testing.assert_allclose(probabilities(folder), np.mean(alone, axis=0), atol=2e-8)
    knees = read_predictions(folder / "predictions.csv")["2"]
    assert knees.predicted.tolist() == decided(knees.probabilities, "shares", cuts).tolist()
    assert len(read_model(folder / "model.ckpt").networks) == 2
    assert not list(folder.glob("**/checkpoints"))
    openings = (tmp_path / "sweep" / "test_openings.jsonl").read_text().splitlines()
    assert len(openings) == len(list(map(json.loads, openings))) == 1
