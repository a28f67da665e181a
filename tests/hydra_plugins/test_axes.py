from typing import Any

import pytest
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException

from djd.errors import InputError
from hydra_plugins.djd._axes import Axes, read_axes


def read(*arguments: str, loader: ConfigLoader, **params: Any) -> Axes:
    return read_axes(
        {key.replace("__", "."): value for key, value in params.items()}, arguments, loader
    )


def test_values_with_commas_are_compared_and_others_fixed(loader: ConfigLoader) -> None:
    axes = read("model.depth=1,2,3", "optim=sgd,adam", "seed=3", loader=loader)
    assert axes.values == {"model.depth": ("1", "2", "3"), "optim": ("sgd", "adam")}
    assert axes.fixed == ("seed=3",)


def test_the_command_line_cuts_widens_and_adds_axes_of_the_file(loader: ConfigLoader) -> None:
    params = {"optim": "sgd,adam", "data__fold": "0,1,2"}
    axes = read("optim=sgd", "data.fold=0,1", "seed=0,1", loader=loader, **params)
    assert axes.values == {"optim": ("sgd",), "data.fold": ("0", "1"), "seed": ("0", "1")}
    assert axes.fixed == ()


def test_a_value_said_twice_is_compared_once(loader: ConfigLoader) -> None:
    assert read("seed=1,2,1", loader=loader).values == {"seed": ("1", "2")}


def test_a_key_that_is_added_is_compared_under_its_own_name(loader: ConfigLoader) -> None:
    axes = read("++seed=0,1", "+optim.weight_decay=0,0.1", "+optim.betas=[0.9,0.99]", loader=loader)
    assert axes.values == {"seed": ("0", "1"), "optim.weight_decay": ("0", "0.1")}
    assert axes.override("optim.weight_decay", "0.1") == "+optim.weight_decay=0.1"
    assert axes.fixed == ("+optim.betas=[0.9,0.99]",)


def test_ranges_and_globs_are_values(loader: ConfigLoader) -> None:
    axes = read("data.fold=range(3)", "optim=glob(ad*)", loader=loader)
    assert axes.values["data.fold"] == ("0", "1", "2")
    assert set(axes.values["optim"]) == {"adagrad", "adam", "adamw"}


def test_score_epochs_are_all_scored_out_of_one_training(loader: ConfigLoader) -> None:
    for said in ("score_epochs=10,20", "score_epochs=[10,20]"):
        axes = read(said, loader=loader)
        assert axes.values == {}
        assert axes.fixed == ("score_epochs=[10,20]",)


def test_several_loggers_are_those_of_all_cells(loader: ConfigLoader) -> None:
    axes = read("logger=[tensorboard,csv]", "seed=0,1", loader=loader)
    assert axes.values == {"seed": ("0", "1")}
    assert axes.fixed == ("logger=[tensorboard,csv]",)


def test_one_score_epoch_needs_no_brackets(loader: ConfigLoader) -> None:
    assert read("score_epochs=20", loader=loader).fixed == ("score_epochs=[20]",)


def test_a_key_that_is_said_twice_is_one_sentence(loader: ConfigLoader) -> None:
    with pytest.raises(InputError, match=r"model\.depth: expected once, received model\.depth=1,2"):
        read("model.depth=1,2", "model.depth=2", loader=loader)


def test_a_number_alone_in_the_file_is_an_axis_of_one_value(loader: ConfigLoader) -> None:
    assert read(loader=loader, seed=3, data__fold=None).values == {
        "seed": ("3",),
        "data.fold": ("null",),
    }


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        (
            "model.depth=[1,2,3]",
            r"model\.depth: expected values with commas .*model\.depth=1,2,3\)",
        ),
        ("experiment=matrix,study", "experiment: expected one experiment a command"),
        ("+experiment=matrix,study", "experiment: expected one experiment a command"),
        ("data=mat,phantom", "data: expected one value, since all cells .* the same patients"),
        ("data.leak=true,false", r"data\.leak: expected one value"),
        ("data.test_count=8,9", r"data\.test_count: expected one value"),
        ("++data.phantom_seed=0,1", r"data\.phantom_seed: expected one value"),
        ("test=winner,never", "test: expected one value, since it changes no result"),
        (
            "logger=tensorboard,csv",
            r"logger: expected the loggers .* in brackets \(logger=\[tensorboard,csv\]\)",
        ),
        ("logger.csv.folder=a,b", r"logger\.csv\.folder: expected one value, since it changes no"),
        ("trainer.threads=1,2", r"trainer\.threads: expected one value"),
        ("kind=refit", "kind: expected no value, since a sweep sets it"),
        ("model.depth=interval(1,3)", r"model\.depth: expected values with commas"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(
    loader: ConfigLoader, argument: str, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        read(argument, loader=loader)
    assert "\n" not in str(caught.value)


def test_a_list_in_the_file_is_one_sentence(loader: ConfigLoader) -> None:
    with pytest.raises(InputError, match=r"model\.depth: expected values with commas"):
        read(loader=loader, model__depth=[1, 2, 3])


def test_what_the_grammar_refuses_is_hydras_error(loader: ConfigLoader) -> None:
    assert GlobalHydra.instance().is_initialized()
    with pytest.raises(HydraException):
        read("model.depth=1,(", loader=loader)
