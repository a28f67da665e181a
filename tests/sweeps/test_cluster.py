"""The queue of a cluster that this test plays itself."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pytest

from djd.errors import InputError
from djd.machine import Stopped
from djd.runs.folder import lock
from djd.sweeps.cells import Job
from djd.sweeps.cluster import call_on_cluster, cells_in_a_job, run_on_cluster
from djd.sweeps.node import NodeJob
from djd.sweeps.processes import Ending, Watcher
from djd.sweeps.queue import Ended, Look, Queue


class PlayedCluster:
    """A cluster on which each look goes one step on.

    Attributes:
        looks: Of each job in turn, such as `[Look(True), Ended()]`; the last one stays.
    """

    name = "Played"
    seconds_between_looks = 0.0

    def __init__(self, looks: Mapping[str, Sequence[Look | Ended | None]] | None = None) -> None:
        self.looks = {name: list(each) for name, each in (looks or {}).items()}
        self.submitted: list[NodeJob] = []
        self.cancelled: list[str] = []

    def submit(self, jobs: Sequence[NodeJob]) -> list[list[str]]:
        first = len(self.submitted)
        self.submitted += jobs
        return [[str(first + index)] for index in range(len(jobs))]

    def look(self, names: Collection[str]) -> Mapping[str, Look | Ended]:
        found = {}
        for name in list(names):
            looks = self.looks.get(name, [Ended()])
            now = looks.pop(0) if len(looks) > 1 else looks[0]
            if now is not None:
                found[name] = now
        return found

    def cancel(self, names: Collection[str]) -> None:
        self.cancelled += names

    def how_to_end(self, names: Collection[str]) -> str:
        return f"end {' '.join(names)}"


class Notes(Watcher):
    """Everything that a watcher is called with."""

    def __init__(self, most: int = 100) -> None:
        self.notes: list[str] = []
        self.most = most

    def started(self, index: int) -> None:
        self.notes.append(f"{index} starts")

    def ended(self, index: int, ending: Ending) -> bool:
        self.notes.append(f"{index} ends{f' ({ending.reason})' if ending.reason else ''}")
        return len(self.notes) < self.most

    def waits_again(self, index: int) -> None:
        self.notes.append(f"{index} waits")


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    names = [f"depth={depth}" for depth in (1, 2, 3)]
    for name in names:
        (tmp_path / name).mkdir()
    return [Job(tmp_path / each, each, "cell", (), epochs=2, seconds=60.0) for each in names]


def run(
    cluster: PlayedCluster, jobs: Sequence[Job], watcher: Watcher | None = None, cells: int = 1
) -> list[Ending | None]:
    queue = Queue(cluster, jobs[0].folder.parent / "jobs")
    calls = NodeJob(print, [(job.name,) for job in jobs])
    return run_on_cluster(queue, jobs, calls, cells_a_job=cells, watcher=watcher or Watcher())


def test_each_call_has_its_own_ending_in_the_order_of_the_calls(jobs: list[Job]) -> None:
    cluster = PlayedCluster(
        {
            "0": [Look(runs=False), Look(runs=True), Ended([Ending(0, 7), Ending(1, error="no")])],
            "1": [Ended([Ending(0, 9)])],
        }
    )
    watcher = Notes()
    assert run(cluster, jobs, watcher, cells=2) == [
        Ending(0, 7),
        Ending(1, error="no"),
        Ending(0, 9),
    ]
    assert [list(job.calls) for job in cluster.submitted] == [
        [("depth=1",), ("depth=2",)],
        [("depth=3",)],
    ]
    assert sorted(watcher.notes) == sorted(
        [f"{index} starts" for index in range(3)] + ["0 ends", "1 ends (no)", "2 ends"]
    )


def test_a_command_that_comes_back_watches_the_jobs_that_are_there_and_submits_the_others(
    jobs: list[Job],
) -> None:
    first = PlayedCluster({"0": [Look(runs=True)], "1": [Look(runs=False)]})

    class Leaves(Watcher):
        def look(self) -> None:
            raise Stopped(2)

    with pytest.raises(Stopped):
        run(first, jobs[:2], Leaves())
    assert not first.cancelled
    second = PlayedCluster({"0": [Look(runs=True), Ended([Ending(0, 1)])], "1": [Look(runs=False)]})
    second.looks["1"] = [Look(runs=False), Look(runs=True), Ended([Ending(0, 2)])]
    second.submitted = list(first.submitted)
    second.looks["2"] = [Ended([Ending(0, 3)])]
    assert [ending and ending.value for ending in run(second, jobs)] == [1, 2, 3]
    assert [job.calls for job in second.submitted[2:]] == [[("depth=3",)]]


def test_what_nobody_watches_is_named_with_the_way_to_end_it(
    jobs: list[Job], capsys: pytest.CaptureFixture[str]
) -> None:
    class Leaves(Watcher):
        def look(self) -> None:
            raise Stopped(2)

    with pytest.raises(Stopped):
        run(PlayedCluster({"0": [Look(runs=True)]}), jobs[:1], Leaves())
    assert "1 job of Played: end 0" in capsys.readouterr().out


def test_jobs_of_another_engine_and_torn_lines_are_not_adopted(jobs: list[Job]) -> None:
    queue = jobs[0].folder.parent / "jobs" / "queue.jsonl"
    queue.parent.mkdir()
    other = json.dumps({"engine": "Other", "job": "7", "cells": ["depth=1"]})
    torn = '{"engine": "Played", "job": "8", "cells": ["dep'
    queue.write_text(f"{other}\n{torn}")
    cluster = PlayedCluster({"7": [Look(runs=True)], "8": [Look(runs=True)]})
    run(cluster, jobs[:1])
    assert len(cluster.submitted) == 1
    written = [line for line in queue.read_text().splitlines() if line.endswith("}")]
    assert json.loads(written[-1]) == {"engine": "Played", "job": "0", "cells": ["depth=1"]}


def test_a_lost_job_blames_no_cell_at_first(jobs: list[Job]) -> None:
    watcher = Notes()
    cluster = PlayedCluster({"0": [Ended(reason="its job 0 ended as FAILED")]})
    assert run(cluster, jobs, watcher, cells=3) == [None, None, None]
    assert watcher.notes == []
    assert not any((job.folder / "error.txt").exists() for job in jobs)


def test_the_cell_that_runs_as_a_job_is_lost_again_has_failed(jobs: list[Job]) -> None:
    cluster = PlayedCluster(
        {str(each): [Look(runs=True), Ended(reason="odd end")] for each in range(2)}
    )
    queue, calls = Queue(cluster, jobs[0].folder.parent / "jobs"), NodeJob(print, [()] * 3)
    for _ in range(2):
        with lock(jobs[0].folder):  # it trains
            run_on_cluster(queue, jobs, calls, cells_a_job=3, watcher=Watcher())
    assert jobs[0].name in queue.suspects
    assert not (jobs[0].folder / "error.txt").exists(), "somebody trains there"
    cluster.looks["2"] = [Ended(reason="odd end")]
    run_on_cluster(queue, jobs[:1], NodeJob(print, [()]), cells_a_job=3, watcher=Watcher())
    assert (jobs[0].folder / "error.txt").read_text().strip() == "odd end"
    assert queue.suspects == {jobs[0].name}


def test_where_a_job_is_lost_twice_before_any_cell_begins_all_cells_say_why(
    jobs: list[Job],
) -> None:
    cluster = PlayedCluster({str(each): [Ended(reason="no python")] for each in range(2)})
    queue, calls = Queue(cluster, jobs[0].folder.parent / "jobs"), NodeJob(print, [()] * 3)
    for _ in range(2):
        run_on_cluster(queue, jobs, calls, cells_a_job=3, watcher=Watcher())
    assert {(job.folder / "error.txt").read_text().strip() for job in jobs} == {"no python"}


def test_memory_is_the_fault_of_the_cell_that_ran_and_the_others_go_on(jobs: list[Job]) -> None:
    (jobs[0].folder / "result.json").write_text("{}")
    watcher = Notes()
    cluster = PlayedCluster({"0": [Ended(reason="out of memory", of="ran")]})
    endings = run(cluster, jobs, watcher, cells=3)
    # The result was there before: this job may not have come to it.
    assert [ending and ending.reason for ending in endings] == ["out of memory", None, None]
    assert not (jobs[0].folder / "error.txt").exists(), "a result is no failure"


def test_a_cancelled_job_is_not_launched_again(jobs: list[Job]) -> None:
    cluster = PlayedCluster({"0": [Ended(reason="its job 0 was cancelled", of="all")]})
    run(cluster, jobs, cells=3)
    assert {(job.folder / "error.txt").read_text().strip() for job in jobs} == {
        "its job 0 was cancelled"
    }


def test_a_preempted_cell_waits_again(jobs: list[Job]) -> None:
    cluster = PlayedCluster()
    cluster.looks["0"] = [Look(runs=True), Look(runs=False), Ended([Ending(0)])]
    watcher = Notes()
    with lock(jobs[0].folder):
        run(cluster, jobs[:1], watcher)
    assert watcher.notes == ["0 starts", "0 waits", "0 starts", "0 ends"]


def test_an_engine_that_is_silent_is_asked_again(jobs: list[Job]) -> None:
    cluster = PlayedCluster({"0": [None, None, Ended([Ending(0, 5)])]})
    assert run(cluster, jobs[:1]) == [Ending(0, 5)]


def test_the_first_failure_cancels_all_jobs_where_the_watcher_says_so(jobs: list[Job]) -> None:
    cluster = PlayedCluster(
        {"0": [Ended([Ending(1, error="no")])], "1": [Look(runs=True)], "2": [Look(runs=False)]}
    )
    assert run(cluster, jobs, Notes(most=2))[1:] == [None, None]
    assert sorted(cluster.cancelled) == ["1", "2"]


def test_one_call_gives_its_value_or_says_why_not() -> None:
    cluster = PlayedCluster({"0": [Look(runs=True), Ended([Ending(0, 5)])]})
    assert call_on_cluster(cluster, NodeJob(print, [()])) == 5
    for ended, reason in (
        (Ended([Ending(1, error="ValueError: no")]), "ValueError: no"),
        (Ended(reason="out of memory"), "out of memory"),
        (Ended(), "it was lost"),
    ):
        cluster = PlayedCluster({str(name): [ended] for name in range(3)})
        with pytest.raises(InputError, match=rf"job \d of Played: {reason}"):
            call_on_cluster(cluster, NodeJob(print, [()]))
        assert len(cluster.submitted) == (1 if ended.endings else 3)
    lost_once = PlayedCluster({"0": [Ended()], "1": [Ended([Ending(0, 6)])]})
    assert call_on_cluster(lost_once, NodeJob(print, [()])) == 6


@pytest.mark.parametrize(
    ("seconds", "at_once", "max_jobs", "cells"),
    [
        (60.0, 1, 1, 3),  # all three in one job: there is one place
        (60.0, 1, 100, 1),  # a place for each
        (200.0, 1, 1, 3),
        (400.0, 1, 1, 2),  # 600 s of 400 s each, rounded
        (9000.0, 1, 1, 1),
        (9000.0, 2, 1, 2),
    ],
)
def test_a_job_has_as_many_cells_as_take_ten_minutes(
    jobs: list[Job], seconds: float, at_once: int, max_jobs: int, cells: int
) -> None:
    long = [Job(job.folder, job.name, "cell", (), 2, seconds) for job in jobs]
    assert cells_in_a_job(long, at_once=at_once, max_jobs=max_jobs) == cells


def test_endings_of_a_job_go_to_its_own_cells_whatever_a_later_command_asks_for(
    jobs: list[Job],
) -> None:
    class Leaves(Watcher):
        def look(self) -> None:
            raise Stopped(2)

    with pytest.raises(Stopped):
        run(PlayedCluster({"0": [Look(runs=True)]}), jobs, Leaves(), cells=3)
    ended = Ended([Ending(0, 1), Ending(1, error="no"), Ending(0, 3)])
    whole = PlayedCluster({"0": [Look(runs=True), ended]})
    assert [each and each.value for each in run(whole, jobs[::-1])] == [3, None, 1]
    (jobs[1].folder / "error.txt").write_text("no")
    part = PlayedCluster({"0": [Look(runs=True), ended]})
    assert run(part, jobs[1:]) == [Ending(0), None], "by the files, not by another cell's ending"


def test_jobs_of_an_engine_that_is_silent_are_not_submitted_again(
    jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(PlayedCluster({"0": [Ended([Ending(0)])]}), jobs[:1])
    slow = PlayedCluster({"0": [None, None, Look(runs=True), Ended([Ending(0, 4)])]})
    assert run(slow, jobs[:1]) == [Ending(0, 4)]
    assert not slow.submitted
    monkeypatch.setattr("djd.sweeps.queue.SECONDS_OF_SILENCE", 0.0)
    with pytest.raises(InputError, match="expected Played to say which of these jobs it still has"):
        run(PlayedCluster({"0": [None]}), jobs[:1])
