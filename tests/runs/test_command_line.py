import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from djd.runs.command_line import absolute_paths, flags_first, quote_paths


def value_that_hydra_reads(argument: str) -> object:
    override = OverridesParser.create().parse_override(argument)
    assert not override.is_sweep_override()
    return override.value()


@pytest.mark.parametrize(
    "path",
    [
        "/content/drive/My Drive/11",
        "/a path/with spaces, (한글)",
        "/경로",
        "C:\\Users\\kim\\scans\\",
        '/it\'s/a "path"',
        "/a=b/[c]/{d}/#e/~f/&g/h,i/j:k",
        "/ends with a quote'",
        "/with a back\\'slash",
        "1",
        "true",
    ],
)
def test_a_path_arrives_as_the_shell_hands_it_over(path: str) -> None:
    (argument,) = quote_paths([f"data.root={path}"])
    assert value_that_hydra_reads(argument) == path


@pytest.mark.parametrize("key", ["data.second_reader", "data.grade_names"])
def test_a_table_of_readings_or_names_is_a_path_like_any_other(key: str) -> None:
    (argument,) = quote_paths([f"{key}=/읽기 표, (2).csv"])
    assert value_that_hydra_reads(argument) == "/읽기 표, (2).csv"


@given(
    st.text(st.characters(exclude_categories=["C"]), min_size=1).filter(
        lambda path: "${" not in path and path != "null"
    )
)
def test_any_path_arrives_unless_it_is_quoted_already(path: str) -> None:
    (argument,) = quote_paths([f"data.root={path}"])
    received = value_that_hydra_reads(argument)
    assert received in {path, path[1:-1]}


def test_a_path_that_was_quoted_for_hydra_is_left_alone() -> None:
    argument = 'data.root="/경로"'
    assert quote_paths([argument]) == [argument]
    assert value_that_hydra_reads(argument) == "/경로"


def test_other_arguments_are_left_alone() -> None:
    arguments = ["-m", "model.depth=1,2,3", "optim=sgd,adam", "--help", "data.exclude=[0000001]"]
    assert quote_paths(arguments) == arguments


def test_an_empty_value_is_left_to_hydra() -> None:
    assert quote_paths(["data.root="]) == ["data.root="]


def test_a_file_of_excluded_names_is_a_path_and_a_list_of_them_is_not() -> None:
    (argument,) = quote_paths(["data.exclude=/경로, (1)/목록.txt"])
    assert value_that_hydra_reads(argument) == "/경로, (1)/목록.txt"
    assert quote_paths(["data.exclude=[0000001,a]"]) == ["data.exclude=[0000001,a]"]


@pytest.mark.parametrize(
    "names",
    [
        ["1000037"],
        ["0000016", "12e3456", "0x10", "1_000", "007"],
        ["true", "null", "inf", "nan", "off"],
        ["2024-01-01", "1:30", "1.50", "+5", "-0"],
        ["12", "scan (1)", "it's", "뼈", "a=b", "c:d"],
    ],
)
def test_excluded_names_arrive_as_typed(names: list[str]) -> None:
    for key in ("data.exclude", "++data.exclude"):
        (argument,) = quote_paths([f"{key}=[{', '.join(names)}]"])
        assert value_that_hydra_reads(argument) == names
        assert quote_paths([argument]) == [argument]


def test_excluded_names_that_were_quoted_stay_beside_those_that_were_not() -> None:
    (argument,) = quote_paths(["""data.exclude=[7,'a, b',"c]",]"""])
    assert value_that_hydra_reads(argument) == ["7", "a, b", "c]"]


def test_null_is_no_path() -> None:
    assert quote_paths(["data.root=null"]) == ["data.root=null"]


def test_flags_and_their_values_may_stand_anywhere() -> None:
    arguments = ["data=mat", "--config-dir", "my=conf", "-m", "model.depth=1,2", "-cn=own", "a=-1"]
    assert flags_first(arguments) == [
        *("--config-dir", "my=conf", "-m", "-cn=own"),
        *("data=mat", "model.depth=1,2", "a=-1"),
    ]


def test_paths_become_absolute_where_the_command_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/kim")
    data = {"root": "scans", "groups": "/g.csv", "exclude": ["a"], "test_list": None, "views": "b"}
    values = {"data": data, "paths": {"cache": "~/cache"}, "seed": 1}
    assert absolute_paths(values, "/typed") == {
        "data": {**data, "root": "/typed/scans"},
        "paths": {"cache": "/home/kim/cache"},
        "seed": 1,
    }


def test_the_multirun_flag_may_stand_anywhere() -> None:
    arguments = ["data=mat", "-m", "model.depth=1,2"]
    assert flags_first(arguments) == ["-m", "data=mat", "model.depth=1,2"]
    assert flags_first(["model.depth=1"]) == ["model.depth=1"]
