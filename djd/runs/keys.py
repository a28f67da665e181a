"""Keys of a configuration: which of them can change a number, and how their values are typed."""

import hashlib
import json
import re
import sys
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from typing import Any

AxisValue = str | int | float | bool | None

FREE_KEYS = frozenset(
    {"paths.cache", "paths.python", "paths.stale_after"}
    | {"data.root", "data.on_error", "data.second_reader"}
    | {"trainer.accelerator", "trainer.threads", "trainer.progress"}
    | {"plots", "test", "keep", "fail_fast", "report", "dry_run"}
)
"""Keys that may differ when a run goes on; none changes the training beyond rounding."""

COHORT_KEYS = frozenset(
    {"data.source", "data.root", "data.format_module", "data.exclude", "data.on_error"}
    | {"data.phantom_patients", "data.phantom_seed", "data.phantom_style"}
    | {"data.labels_from", "data.grade_names", "data.labels", "data.labels_kind"}
    | {"data.groups", "data.test_list", "data.test_count", "data.view_order"}
)
"""Keys that choose the knees and the test patients; the cohort's digest stands for them."""

PRETRAIN = "pretrain"
"""The group of the weights that a training starts from."""

SETTING_GROUPS = ("model", "loss", "augment", "optim", PRETRAIN)
"""Config groups whose chosen options make a setting."""

RECIPE = "recipe"
"""The group whose options choose those of `SETTING_GROUPS`, and values of other keys."""

NEUTRAL_VALUES: Mapping[str, Any] = {
    "data.pixels": 128,
    "data.share": 1.0,
    "optim.weight_decay": 0,
    "optim.warmup": 0,
    "trainer.weight_average": "none",
    "decide": "likeliest",
    "members": 1,
    "winner": "refit",
    "calibrate": "none",
    PRETRAIN: "none",
    f"{PRETRAIN}.source": "none",
}
"""Keys and groups that earlier versions didn't have, with the values that mean what they did.

An identity leaves them out at these values, so that older folders stay known."""

REPEAT_KEYS = ("data.fold", "seed", "data.split_seed")
"""Trainings that differ in these keys alone repeat one setting."""

SHARING_KEYS = frozenset({"decide", "members", "winner", "calibrate"})
"""Keys that train nothing again: settings that differ in these alone share their trainings."""

NUMBERLESS_KEYS = FREE_KEYS | COHORT_KEYS | SHARING_KEYS | {"score_epochs"}
"""Keys that may differ between two trainings of one cell: no number depends on them, or the
cohort's digest does."""

UNNAMED_KEYS = NUMBERLESS_KEYS | {*REPEAT_KEYS, "data.folds", "trainer.max_epochs"}
"""Keys that the name of a setting leaves out; the name gives the epochs separately."""


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values, of plain dicts, by the keys of the command line, such as `model.depth`."""
    pairs: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):  # a check for any Mapping took a third of planning a sweep
            pairs |= flat(value, f"{prefix}{key}.")
        else:
            pairs[sys.intern(f"{prefix}{key}")] = value
    return pairs


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """The reverse of `flat`."""
    whole: dict[str, Any] = {}
    for key, value in values.items():
        *groups, last = key.split(".")
        inner = whole
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[last] = value
    return whole


def differences(
    before: Mapping[str, Any], now: Mapping[str, Any], *, free: Collection[str]
) -> str | None:
    """Keys of `flat` values that differ, except the `free` ones, as text; None where none does."""
    keys = [key for key in dict.fromkeys([*before, *now]) if key not in free]
    before, now = ({**NEUTRAL_VALUES, **values} for values in (before, now))
    different = [key for key in keys if before.get(key) != now.get(key)]
    return ", ".join(f"{key}={before.get(key)} (now {now.get(key)})" for key in different) or None


def value_of(values: Mapping[str, Any], key: str) -> AxisValue:
    """The value at a key; lists and mappings become text."""
    value = values.get(key)
    return value if isinstance(value, str | int | float | bool | None) else json.dumps(value)


def as_typed(value: AxisValue) -> str:
    """A value as on the command line: `true`, `null`, `0.1`, `adam`."""
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)


MOST_NAME_BYTES = 120
"""File systems take 255; Windows takes 260 for a whole path."""

_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
"""Names, with any ending, that Windows keeps for devices."""


def folder_name(words: Mapping[str, AxisValue]) -> str:
    """`depth=2 optim=adam fold=0`, as folders may be named on every system.

    A name that had to lose signs or its end, or that rounds a number, has a digest of the whole.
    """
    whole = " ".join(f"{key}={_exactly(value)}" for key, value in words.items()) or "base"
    pairs = [f"{_portable(key)}={_portable(as_typed(value))}" for key, value in words.items()]
    name = re.sub(r"\.$", "_", " ".join(pairs) or "base")  # Windows drops a dot at the end
    if _DEVICE.match(name):
        name = f"_{name}"
    if name == whole and len(name.encode()) <= MOST_NAME_BYTES:
        return name
    digest = hashlib.sha256(whole.encode(errors="surrogatepass")).hexdigest()[:8]
    start = name.encode()[: MOST_NAME_BYTES - len(digest) - 1].decode(errors="ignore")
    return f"{start}~{digest}"


def _exactly(value: AxisValue) -> str:
    text = as_typed(value)
    return repr(value) if isinstance(value, float) and float(text) != value else text


def _portable(text: str) -> str:
    return re.sub(r"[^\w.+-]+", "_", text)


def free_name(name: str, identity: str, taken: set[str]) -> str:
    """The name, with a part of the identity where another name is spelt alike; now `taken`, too.

    `taken` holds names as from `spelt_alike`.
    """
    if spelt_alike(name) in taken:
        name = f"{name} {identity[:6]}"
    taken.add(spelt_alike(name))
    return name


def spelt_alike(name: str) -> str:
    """The same text for names that macOS or Windows take for one: Unicode form and case differ."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """The last word of each key, or the whole key where several keys end alike.

    Keys of a pretraining are whole: its epochs and its seed are none of the setting's.
    """
    last = {key: key if key.startswith(PRETRAIN) else key.rpartition(".")[2] for key in keys}
    words = list(last.values())
    return {key: word if words.count(word) == 1 else key for key, word in last.items()}
