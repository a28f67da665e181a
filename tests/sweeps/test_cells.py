import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from djd.runs.keys import MOST_NAME_BYTES, AxisValue, spelt_alike
from djd.sweeps.cells import axes_name, identity_of
from tests.sweeps.invented_cells import cell

DEVICES = {
    "con",
    "prn",
    "aux",
    "nul",
    *(f"{port}{n}" for port in ("com", "lpt") for n in "0123456789"),
}

DIGEST = "0123456789abcdef"


def test_a_cell_is_named_by_its_axes_alone() -> None:
    axes: dict[str, AxisValue] = {"model.depth": 2, "optim": "adam", "optim.lr_times": 1.0}
    assert axes_name({**axes, "data.fold": 0}) == "depth=2 optim=adam lr_times=1 fold=0"
    assert axes_name({"data.fold": None, "model.clip_logits": True}) == "fold=null clip_logits=true"
    assert axes_name({}) == "base"


def test_keys_that_end_alike_are_written_out() -> None:
    assert axes_name({"optim.lr": 0.1, "other.lr": 2}) == "optim.lr=0.1 other.lr=2"


@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=80).map("data.{}".format),
        st.text(max_size=300) | st.integers() | st.floats(allow_nan=False) | st.none(),
        max_size=6,
    )
)  # fmt: skip
def test_values_of_any_kind_make_a_folder_name(axes: dict[str, Any]) -> None:
    name = axes_name({key: value for key, value in axes.items() if "/" not in key})
    assert 0 < len(name.encode()) <= MOST_NAME_BYTES
    values = [word.partition("=")[2] for word in name.split(" ")]
    assert not any("/" in value or "\\" in value or "'" in value for value in values)
    assert not set(':*?"<>|') & set(name)
    assert name.isprintable()
    assert not name.endswith((".", " "))
    assert name.partition(".")[0].lower() not in DEVICES


@pytest.mark.parametrize(
    ("axes", "start"),
    [
        ({"data.groups": "a:b"}, "groups=a_b~"),
        ({"data.groups": 'a"?<b>|*'}, "groups=a_b_~"),
        ({"data.groups": "C:\\x\n"}, "groups=C_x_~"),
        ({"model.name": "a."}, "name=a_~"),
        ({"model.kernel": [3, 5]}, "kernel=_3_5_~"),
        ({"aux.lr": 1, "optim.lr": 2}, "_aux.lr=1 optim.lr=2~"),
        ({"COM1.lr": 1, "optim.lr": 2}, "_COM1.lr=1 optim.lr=2~"),
        ({"optim.lr": 0.12345678}, "lr=0.123457~"),
    ],
)
def test_a_name_that_some_system_refuses_is_changed_and_marked(
    axes: dict[str, Any], start: str
) -> None:
    name = axes_name(axes)
    assert name.startswith(start)
    assert len(name) == len(start) + 8


@given(st.lists(st.text(min_size=1, max_size=200), min_size=2, max_size=2, unique=True))
def test_names_of_two_settings_differ(values: list[str]) -> None:
    one, other = (axes_name({"model.name": value}) for value in values)
    assert one != other


def test_names_that_macos_and_windows_take_for_one_are_spelt_alike() -> None:
    assert spelt_alike("optim=Adam") == spelt_alike("optim=adam")
    assert spelt_alike("model=가") == spelt_alike(unicodedata.normalize("NFD", "model=가"))
    assert spelt_alike("optim=adam") != spelt_alike("optim=adamw")


def test_long_names_that_differ_stay_different() -> None:
    one, other = (axes_name({"data.exclude": "x" * 200 + end}) for end in ("1", "2"))
    assert one != other


@pytest.mark.parametrize(
    "changes",
    [
        {"paths__cache": "/elsewhere"},
        {"trainer__accelerator": "cpu"},
        {"trainer__threads": 3},
        {"trainer__progress": "study"},
        {"plots": False},
        {"score_epochs": [7]},
        {"test": "never"},
        {"keep": "all"},
        {"fail_fast": True},
        {"data__phantom_seed": 4},
        {"data__phantom_style": "soft"},
        {"data__second_reader": "/readings.csv"},
    ],
)
def test_what_changes_no_number_is_no_part_of_the_identity(changes: dict[str, Any]) -> None:
    axes = {"model.depth": 1}
    assert identity_of(cell(axes, **changes).config, DIGEST) == identity_of(
        cell(axes).config, DIGEST
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"data__fold": 1},
        {"data__split_seed": 1},
        {"data__batch_size": 16},
        {"data__scaling": "counts"},
        {"data__leak": True},
        {"trainer__max_epochs": 50},
        {"trainer__gradient_clip_val": 1.0},
        {"trainer__precision": "bf16"},
        {"optim__lr": 0.5},
        {"optim": "sgd"},
        {"loss__class_weights": "balanced"},
        {"model__width": 8},
    ],
)
def test_what_changes_a_number_is_another_cell(changes: dict[str, Any]) -> None:
    axes = {"model.depth": 1}
    assert identity_of(cell(axes, **changes).config, DIGEST) != identity_of(
        cell(axes).config, DIGEST
    )
    assert identity_of(cell(axes).config, "another cohort") != identity_of(
        cell(axes).config, DIGEST
    )


def test_a_value_that_is_typed_in_another_way_is_the_same_cell() -> None:
    one, other = cell({"optim.lr_times": 1}), cell({"optim.lr_times": 1.0})
    assert identity_of(one.config, DIGEST) == identity_of(other.config, DIGEST)
