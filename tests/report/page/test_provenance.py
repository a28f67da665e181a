"""How a page came about: what one needs to make it again, and what is missing from it."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from djd.report.page.page import missing_cells, openings, openings_known
from djd.report.page.rows import made_how
from djd.runs.folder import lock
from djd.runs.result import RunResult
from djd.sweeps.folder import plan_and_save
from djd.sweeps.sweep import read_folder
from tests.answers import Told
from tests.sweeps.invented_answers import contents_of, leave_run
from tests.sweeps.invented_cells import DIGEST, cell, leave_comparison


def made(folder: Path) -> dict[str, str]:
    told = made_how(contents_of(folder))
    assert len(dict(told)) == len(told), "a name stands there twice"
    return dict(told)


def test_cells_without_a_result_are_told_with_their_state_and_reason(tmp_path: Path) -> None:
    planned = leave_comparison(
        tmp_path, {"model.depth": (1, 2)}, untrained=["depth=1 fold=1", "depth=2 fold=0"]
    )
    folders = {each.folder.name: each.folder for each in planned}
    failed = folders["depth=1 fold=0"]
    (failed / "result.json").unlink()
    error = 'Traceback (most recent call last):\n  File "a.py", line 1\nValueError: <no> & why\n'
    (failed / "error.txt").write_text(error, encoding="utf-8")
    (folders["depth=1 fold=2"] / "result.json").write_bytes(b"{")
    busy = folders["depth=2 fold=0"]
    busy.mkdir()
    with lock(busy):
        told = missing_cells(read_folder(tmp_path))
    assert {row.cells for row in told} == {
        ("depth=1 fold=0", "failed", "ValueError: <no> & why"),
        ("depth=1 fold=1", "not trained", ""),
        ("depth=1 fold=2", "unusable", "its result.json is damaged, or of another training"),
        ("depth=2 fold=0", "running elsewhere", ""),
    }
    assert told[0].cells[1] == "failed", "the worst stands first"


def test_a_whole_comparison_lacks_nothing(compared: Told) -> None:
    assert missing_cells(compared[0]) == []


def test_the_command_can_be_typed_again(tmp_path: Path) -> None:
    arguments = ("-m", "model.depth=1,2", "data.root=/my scans/'한글'", "optim=adam;sgd")
    plan_and_save(tmp_path, [cell({"model.depth": 1})], digest=DIGEST, arguments=arguments)
    command = made(tmp_path)["command"]
    assert shlex.split(command) == ["python", "train.py", *arguments]


def test_a_comparison_tells_how_it_was_made(compared: Told) -> None:
    told = dict(made_how(compared[0]))
    assert told["cells"] == "12 of 12 finished"
    assert told["scans"].startswith("invented (seed ")
    assert told["test patients"] == "the last 40 by file name"
    assert told["folds held out"] == "0, 1, 2 (3 folds, split seed 0)"
    assert told["seeds"] == "0"
    assert told["views, crop, scaling"] == "anterior, study, standard"
    assert told["epochs"] == "fixed beforehand: 25, 50, 100"
    assert told["trained on"] == "cpu, 1 thread"
    assert told["time of training"] == "12 seconds"
    assert told["cohort"] == "f" * 16


def test_several_seeds_devices_and_versions_are_each_told_once(tmp_path: Path) -> None:
    planned = leave_comparison(tmp_path, {"model.depth": (1,), "seed": (3, 1), "data.fold": (0,)})
    for place, each in enumerate(planned):
        path = each.folder / "result.json"
        record = json.loads(path.read_text(encoding="utf-8"))
        record |= {"device": f"cuda:{place}", "threads": 2, "versions": {"torch": f"2.{place}"}}
        path.write_text(json.dumps(record), encoding="utf-8")
    told = made(tmp_path)
    assert told["seeds"] == "1, 3"
    assert told["folds held out"] == "0 (3 folds, split seed 0)"
    assert told["trained on"] == "cuda:0, 2 threads; cuda:1, 2 threads"
    assert told["versions"] == "torch 2.0, torch 2.1"


def test_a_run_tells_of_itself_and_has_no_command_of_a_sweep(tmp_path: Path) -> None:
    leave_run(tmp_path, data__fold=2, seed=7)
    told = made(tmp_path)
    assert "command" not in told
    assert told["cells"] == "1 of 1 finished"
    assert told["folds held out"] == "2 (5 folds, split seed 0)"
    assert told["seeds"] == "7"


@pytest.mark.parametrize(
    ("precisions", "told"),
    [
        (("float32",), None),
        (("tf32",), "tf32"),
        (("bf16",), "bf16"),
        (("tf32", "bf16", "float32"), "bf16, float32, tf32"),
    ],
)
def test_every_precision_but_float32_alone_is_named(
    tmp_path: Path, precisions: tuple[str, ...], told: str | None
) -> None:
    leave_comparison(tmp_path, {"trainer.precision": precisions, "data.fold": (0,)})
    assert made(tmp_path).get("precision of training steps") == told


def test_where_nothing_was_held_out_no_fold_is_named(tmp_path: Path) -> None:
    leave_run(tmp_path, data__fold=None)
    assert made(tmp_path)["folds held out"] == "none (5 folds, split seed 0)"


def test_a_plan_that_is_damaged_meanwhile_costs_nothing(tmp_path: Path) -> None:
    leave_comparison(tmp_path, {"model.depth": (1,)})
    contents = read_folder(tmp_path)
    (tmp_path / "comparison.json").write_bytes(b"\xff")
    told = dict(made_how(contents))
    assert told["command"] == "python train.py"
    assert told["cells"] == "3 of 3 finished"


def test_nothing_planned_is_told_as_nothing(compared: Told) -> None:
    contents = compared[0]
    told = dict(made_how(replace(contents, cells=(), finished=())))
    assert told["cells"] == "0 of 0 finished"
    assert "cohort" not in told


GOOD = {"when": "2026-01-02T03:04:05+00:00", "setting": "depth=1 epochs=25", "test_scans": []}


@pytest.mark.parametrize(
    "damage", [b"{", b"[]", b"3", b'"a"', b"null", b'{"when": 1}', b"", b'{"setting": "x"}']
)
def test_damaged_lines_of_the_ledger_cost_themselves_alone(
    compared: Told, tmp_path: Path, damage: bytes
) -> None:
    good = json.dumps(GOOD).encode()
    (tmp_path / "test_openings.jsonl").write_bytes(b"\n".join([good, damage, good]))
    found = openings(replace(compared[0], folder=tmp_path))
    assert found == [("2026-01-02 03:04:05", "depth=1 epochs=25")] * 2


def test_a_ledger_that_can_not_be_read_is_survived(compared: Told, tmp_path: Path) -> None:
    contents = replace(compared[0], folder=tmp_path)
    assert openings(contents) == []
    path = tmp_path / "test_openings.jsonl"
    path.write_bytes(b"\xff\xfe")
    assert openings(contents) == []
    path.unlink()
    path.mkdir()
    assert openings(contents) == []


def leave_openings(folder: Path, count: int | None) -> None:
    leave_run(folder, score_epochs=())
    result = RunResult.load(folder / "result.json")
    result.model_copy(update={"test_openings": count}).save(folder / "result.json")


def test_openings_that_the_machine_knew_of_are_the_most_that_a_winner_was_told(
    tmp_path: Path,
) -> None:
    leave_comparison(tmp_path, {"model.depth": (1,), "data.fold": (0,)})
    assert openings_known(read_folder(tmp_path)) == 0
    for name, count in (("a", 3), ("b", 12), ("c", None)):
        leave_openings(tmp_path / "winner" / name, count)
    (tmp_path / "winner" / "d").mkdir()
    (tmp_path / "winner" / "d" / "result.json").write_bytes(b"{")
    assert openings_known(read_folder(tmp_path)) == 12


def test_openings_that_a_run_knew_of_are_its_own(tmp_path: Path) -> None:
    leave_openings(tmp_path, 4)
    assert openings_known(contents_of(tmp_path)) == 4
    leave_openings(tmp_path, None)
    assert openings_known(contents_of(tmp_path)) == 0
