"""Parsed files for many compositions: parsing is two fifths of a composition's time."""

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

from hydra._internal.config_repository import ConfigRepository
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.config_source import ConfigResult


@contextlib.contextmanager
def files_parsed_once(loader: ConfigLoader) -> Iterator[None]:
    """Let compositions of a loader share what they parse, until the block ends."""
    before = loader.repository  # type: ignore[attr-defined]
    loader.repository = _ParsedFiles(loader.get_search_path())  # type: ignore[attr-defined]
    try:
        yield
    finally:
        loader.repository = before  # type: ignore[attr-defined]


class _ParsedFiles(ConfigRepository):
    """Hands out copies of parsed files, since Hydra changes them as it composes."""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self._parsed: dict[tuple[str, ...], ConfigResult | None] = {}

    def __deepcopy__(self, memo: Any) -> "_ParsedFiles":
        """For one composition, which may search further folders; what was parsed is shared."""
        other = copy.copy(self)
        other.sources = list(self.sources)
        return other

    def load_config(self, config_path: str) -> ConfigResult | None:
        """A parsed file, None where there is none; in other folders a path may be another file."""
        key = (config_path, *(source.path for source in self.sources))
        if key not in self._parsed:
            self._parsed[key] = super().load_config(config_path)
        return copy.deepcopy(self._parsed[key])
