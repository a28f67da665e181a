from collections.abc import Iterator

import pytest
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig

import train


@pytest.fixture
def loader() -> Iterator[ConfigLoader]:
    """Hydra's, over our configuration."""
    with initialize_config_dir(train.CONF, version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


@pytest.fixture
def master(loader: ConfigLoader) -> DictConfig:
    """What Hydra hands a sweeper."""
    return loader.load_configuration("config", [], run_mode=RunMode.MULTIRUN)
