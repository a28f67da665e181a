import inspect
import unicodedata
from pathlib import Path

import pytest

from djd.check.cohort_problems import DEFAULT_FOLDS
from djd.check.command import check
from djd.errors import InputError
from djd.files import as_stored
from djd.runs.config import RunConfig, read_config
from djd.runs.keys import COHORT_KEYS, FREE_KEYS
from tests.conftest import compose_values


def test_the_defaults_are_the_base_setting() -> None:
    config = read_config(compose_values())
    assert isinstance(config, RunConfig)
    assert config.setting_name == "model=cnn optim=adam epochs=100"
    assert config.epochs_to_score == (25, 50, 100)
    assert config.data.test_count == 40
    assert (config.data.folds, config.data.fold) == (5, 0)


@pytest.mark.parametrize(
    ("max_epochs", "expected"),
    [(100, (25, 50, 100)), (60, (25, 50, 60)), (25, (25,)), (3, (3,)), (200, (25, 50, 100, 200))],
)
def test_score_epochs_beyond_the_last_fall_away_and_the_last_is_one(
    max_epochs: int, expected: tuple[int, ...]
) -> None:
    config = read_config(compose_values(f"trainer.max_epochs={max_epochs}"))
    assert config.epochs_to_score == expected


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("data.fold=5", r"data.fold: expected null or 0 to 4 \(data.folds - 1\), received 5"),
        ("data.scaling=log", "data.scaling: expected 'counts', 'sqrt' or 'standard', received"),
        ("trainer.threads=0", "expected 'auto' or greater than or equal to 1, received 0"),
        (
            "trainer.precision=16",
            "trainer.precision: expected 'float32', 'tf32' or 'bf16', received",
        ),
        ("data.root=/x", 'python train.py data=mat data.root="/x"'),
        ("data=mat", 'data.root: expected .* data.root="/path/to/scans"'),
        ("optim.lr_times=inf", "optim.lr_times: expected a finite number, received inf"),
        ("optim.lr=0", "optim.lr: expected greater than 0, received 0"),
        ("score_epochs=[0]", "score_epochs.0: expected greater than or equal to 1, received 0"),
        ("data.exclude=null", "data.exclude: expected a list or a path, received None"),
        (
            "data.exclude=[a,14]",
            r"data.exclude: expected each name in quotes, received 14 without them",
        ),
        ("data.exclude=3", "data.exclude: expected each name in quotes, received 3 without them"),
        ("data.exclude=[12e3456]", "expected each name in quotes, received inf without them"),
        ("data.exclude=[true]", "expected each name in quotes, received true without them"),
        ("data.exclude=[null]", "expected each name in quotes, received null without them"),
        ("data.groups=2024", "data.groups: expected a path in quotes, received 2024 without them"),
        ("data.root=''", "data.root: expected a path, received an empty one"),
        (
            "optim.schedule=step",
            "optim.schedule: expected 'constant', 'cosine' or 'one_cycle' or .*'step'",
        ),
        ("loss.class_weights=all", "loss.class_weights: expected 'none' or 'balanced', received"),
        ("test=always", "test: expected 'winner', 'each' or 'never', received 'always'"),
    ],
)
def test_a_wrong_value_is_one_sentence_with_its_key(override: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        read_config(compose_values(override))
    assert "\n" not in str(caught.value)


def test_plain_values_read_back_the_same() -> None:
    config = read_config(compose_values("optim=momentum", "data.fold=null"))
    assert read_config(config.plain()) == config
    assert config.optim.arguments == {"momentum": 0.9, "weight_decay": 0}


def test_the_rate_that_is_used_is_base_times_factor() -> None:
    config = read_config(compose_values("optim=sgd", "optim.lr=0.02", "optim.lr_times=0.1"))
    assert config.optim.learning_rate == pytest.approx(0.002)


@pytest.mark.parametrize(
    "override",
    [
        "model.depth=3",
        "model.width=8",
        "model.clip_logits=true",
        "loss.class_weights=balanced",
        "optim=adamw",
        "optim.lr=0.02",
        "optim.lr_times=10",
        "data.batch_size=16",
        "data.views=both",
        "data.mirror_left=true",
        "data.scaling=counts",
        "+model.dropout=0.5",
        "trainer.max_epochs=50",
        "trainer.gradient_clip_val=1",
        "trainer.precision=tf32",
        "trainer.precision=bf16",
    ],
)
def test_settings_that_differ_have_names_that_differ(override: str) -> None:
    names = {read_config(compose_values(*more)).setting_name for more in ((), (override,))}
    assert len(names) == 2
    assert all("/" not in name for name in names)


def test_a_name_says_the_options_and_what_differs_from_their_files() -> None:
    config = read_config(compose_values("experiment=study", "data.batch_size=16", "seed=3"))
    assert config.setting_name == ("recipe=study batch_size=16 epochs=100")
    usual = read_config(compose_values("model.depth=2", "data.batch_size=32"))
    assert usual.setting_name == read_config(compose_values()).setting_name


@pytest.mark.parametrize("weights", ["/data/w.pt", "w" * 300])
def test_a_name_is_that_of_one_folder(weights: str, tmp_path: Path) -> None:
    name = read_config(compose_values(f"+model.weights={weights}")).setting_name
    (tmp_path / name).mkdir()
    assert "weights=" in name


def test_plots_and_loggers_change_no_setting() -> None:
    with_plots, without = (
        read_config(compose_values(f"plots={value}", f"logger={loggers}"))
        for value, loggers in (("true", "[tensorboard]"), ("false", "[csv,tensorboard]"))
    )
    assert without.setting_name == with_plots.setting_name
    assert "plots" in FREE_KEYS
    assert {**without.by_key(), "plots": True} == with_plots.by_key()


def test_configurations_of_the_version_before_are_read_back() -> None:
    """It knew one network and one loss, and one logger."""
    values = read_config(compose_values("optim=momentum", "model.depth=3")).plain()
    for key in ("choices", "changed", "kind", "augment", "plots"):
        del values[key]
    del values["model"]["_target_"], values["loss"]["_target_"]
    values["optim"]["name"] = "momentum"
    values["logger"] = {"figures": False}
    config = read_config(values)
    assert config.choices == {"model": "cnn", "loss": "cross_entropy", "optim": "momentum"}
    assert config.model.arguments["depth"] == 3
    assert config.optim.arguments == {"momentum": 0.9, "weight_decay": 0}
    assert not config.plots


def test_grades_of_names_change_no_setting_and_folders_older_than_their_key_are_read_back() -> None:
    before, now = (
        read_config(compose_values(f"data.grade_names={value}")) for value in ("null", "'~/a.csv'")
    )
    assert now.data.grade_names == Path.home() / "a.csv"
    assert now.setting_name == before.setting_name
    assert "data.grade_names" in COHORT_KEYS
    values = before.plain()
    assert values["data"].pop("grade_names") is None
    assert read_config(values) == before


def test_a_style_changes_no_setting_and_folders_older_than_its_key_are_plain() -> None:
    plain, soft = (
        read_config(compose_values(*each)) for each in ((), ("data.phantom_style=soft",))
    )
    assert soft.data.phantom_style == "soft"
    assert soft.setting_name == plain.setting_name
    values = plain.plain()
    assert values["data"].pop("phantom_style") == "plain"
    assert read_config(values) == plain
    with pytest.raises(InputError, match=r"^data\.phantom_style: expected 'plain', .*'hard'$"):
        read_config(compose_values("data.phantom_style=hard"))


def test_a_path_typed_in_one_unicode_form_is_found_in_the_other(tmp_path: Path) -> None:
    whole, apart = (unicodedata.normalize(form, "뼈 스캔") for form in ("NFC", "NFD"))
    (tmp_path / apart).mkdir()
    (tmp_path / apart / f"{whole}.csv").touch()
    root, groups = f"{tmp_path}/{whole}", f"{tmp_path}/{whole}/{apart}.csv"
    config = read_config(
        compose_values("data=mat", f"data.root='{root}'", f"data.groups='{groups}'")
    )
    assert config.data.root
    assert config.data.groups
    assert config.data.root.is_dir()
    assert config.data.groups.is_file()
    assert as_stored(Path(root) / "new" / whole) == tmp_path / apart / "new" / whole
    (tmp_path / whole).mkdir(exist_ok=True)
    assert as_stored(Path(root)).samefile(root), "what was typed comes first"


def test_a_tilde_is_the_home_folder() -> None:
    config = read_config(compose_values("data=mat", "data.root='~/scans'", "paths.cache='~/c'"))
    assert config.data.root == Path.home() / "scans"
    assert config.paths.cache == Path.home() / "c"


def test_the_check_command_looks_at_cohorts_as_training_would() -> None:
    data = read_config(compose_values()).data
    options = inspect.signature(check).parameters
    assert options["test_count"].default == data.test_count
    assert options["labels_from"].default == data.labels_from
    assert options["crop"].default == data.crop
    assert options["on_error"].default == data.on_error
    assert options["grade_names"].default is data.grade_names is None
    assert options["labels"].default is data.labels is None
    assert options["labels_kind"].default is data.labels_kind is None
    assert options["format_module"].default is data.format_module is None
    assert (data.folds, data.fold, data.split_seed) == (DEFAULT_FOLDS, 0, 0)
