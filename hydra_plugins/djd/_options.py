"""A composed configuration as plain values, with the names of the options that were chosen."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.default_element import ConfigDefault, GroupDefault
from omegaconf import DictConfig, OmegaConf, open_dict

from djd.runs.config import SETTING_GROUPS
from djd.runs.keys import flat

NOT_THE_TASKS = ("hydra", "experiment")
"""Groups that say nothing of a training."""

CHANGEABLE_GROUPS = ("data", *SETTING_GROUPS, "trainer")
"""Groups whose values make a setting another one than its options' files."""


def plain_values(
    cfg: DictConfig, choices: Mapping[str, Any], loader: ConfigLoader
) -> dict[str, Any]:
    """The configuration as plain values, its interpolations resolved: Hydra ends here.

    Args:
        cfg: What Hydra composed.
        choices: Hydra's `runtime.choices`: the chosen option of each group.
        loader: Hydra's.
    """
    with open_dict(cfg):
        for key in NOT_THE_TASKS:
            cfg.pop(key, None)
    values: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    named = {group: str(choices.get(group)) for group in SETTING_GROUPS}
    return values | {"choices": named, "changed": list(changed_keys(values, choices, loader))}


def changed_keys(
    values: Mapping[str, Any], choices: Mapping[str, Any], loader: ConfigLoader
) -> Iterator[str]:
    """Keys whose values are not those of the chosen options' files.

    Args:
        values: The configuration as nested plain values.
        choices: The chosen option of each group.
        loader: Hydra's.
    """
    for group in CHANGEABLE_GROUPS:
        in_files = flat({group: _file_values(group, str(choices.get(group)), loader)})
        for key, value in flat({group: values.get(group) or {}}).items():
            if key not in in_files or _differs(value, in_files[key]):
                yield key


def _differs(value: Any, in_file: Any) -> bool:
    return value != in_file and "${" not in str(in_file)


def _file_values(group: str, option: str, loader: ConfigLoader) -> dict[str, Any]:
    """Values of an option's file and of those in its defaults list."""
    loaded = loader.repository.load_config(f"{group}/{option}")  # type: ignore[attr-defined]
    if loaded is None:
        return {}
    values: dict[str, Any] = {}
    for default in loaded.defaults_list or ():
        if isinstance(default, ConfigDefault) and default.path not in (None, "_self_", option):
            values |= _file_values(group, str(default.path), loader)
        elif isinstance(default, GroupDefault) and isinstance(default.value, str):
            inner = str(default.group)
            values[inner] = _file_values(f"{group}/{inner}", default.value, loader)
    own: Any = OmegaConf.to_container(loaded.config, resolve=False)
    return values | (own or {})


def compose_values(conf: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Plain values of some overrides, without a run: for notebooks, measurements and tests.

    Args:
        conf: The folder of the configuration, as an absolute path.
        overrides: As on the command line.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    with initialize_config_dir(conf, version_base="1.3"):
        cfg = compose("config", overrides=list(overrides), return_hydra_config=True)
        loader = GlobalHydra.instance().config_loader()
        return plain_values(cfg, dict(cfg.hydra.runtime.choices), loader)
