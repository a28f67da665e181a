"""Cells of a sweep, each trained by itself, for measurements of them."""

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from djd.runs.result import RunResult


def train_cell(folder: Path, overrides: Sequence[str]) -> "RunResult":
    """Train one cell in this process, without a word.

    Args:
        folder: Of the cell; it does not exist yet.
        overrides: What differs from the base setting.
    """
    import train as command
    from djd.runs.config import read_config
    from djd.runs.train import train
    from hydra_plugins.djd._composing import compose_values

    config = read_config(compose_values(command.CONF, overrides) | {"kind": "cell"})
    folder.mkdir()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        result = train(config, folder)
    assert result, "another process has the folder"
    return result


def bytes_beside_weights(folder: Path) -> int:
    """Bytes of all files of a cell except its weights."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".ckpt"]
    return sum(path.stat().st_size for path in files)
