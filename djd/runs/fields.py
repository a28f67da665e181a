"""Types of values that people type: paths, names, numbers."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from djd.files import as_stored, cache_folder
from djd.runs.keys import as_typed


def _require_some_path(path: object) -> object:
    if path == "":  # an unset variable of a shell; Path("") is the working directory
        raise ValueError("expected a path, received an empty one")
    if isinstance(path, int | float):
        raise ValueError(f"expected a path in quotes, received {as_typed(path)} without them")
    return path


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:  # no home, or no such user
        raise ValueError(f"expected a path, received {path} ({error})") from error


def or_users_own(path: object) -> object:
    """The user's cache folder where no path is given."""
    return cache_folder() if path is None else path


def require_names(names: object) -> object:
    """Names that YAML left as text; raises ValueError for others, whose spelling is lost."""
    each_name = names if isinstance(names, list | tuple) else [names]
    for name in each_name if names is not None else ():
        if not isinstance(name, str | Path):
            received = as_typed(name) if isinstance(name, int | float | None) else "no name"
            raise ValueError(
                f"expected each name in quotes, received {received} without them (YAML reads "
                '0000016 as 14, 12e3456 as inf): exclude: ["0000016"] in a file, '
                "'data.exclude=[\"0000016\"]' on the command line"
            )
    return names


UserPath = Annotated[
    Path,
    BeforeValidator(_require_some_path),
    AfterValidator(_expanded),
    AfterValidator(as_stored),
]
"""A path as it is stored, with its tilde expanded: shells leave that in `data.root=~/scans`."""

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
