import os

import pytest

from djd.machine import let_waiting_threads_sleep


def test_waiting_threads_are_told_to_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    let_waiting_threads_sleep()
    assert os.environ == {"GOMP_SPINCOUNT": "1000"}


@pytest.mark.parametrize("said", [{"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}])
def test_what_the_user_says_of_waiting_stays(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, str]
) -> None:
    monkeypatch.setattr(os, "environ", dict(said))
    let_waiting_threads_sleep()
    assert os.environ == said
