"""`pretrain=phantom` in words, seconds and the cache. Nothing here imports torch."""

import hashlib
import json
from collections.abc import Sequence
from importlib.machinery import PathFinder
from importlib.metadata import version
from pathlib import Path

from djd.data.cohort_cache import CACHE_VERSION
from djd.data.phantom.cohort import PHANTOM_VERSION, phantom_folder
from djd.errors import InputError
from djd.grades import SIDES
from djd.machine import usable_cores
from djd.runs.config import PretrainConfig, RunConfig
from djd.runs.duration import Pace, training_seconds
from djd.runs.keys import NUMBERLESS_KEYS, PRETRAIN
from djd.runs.result import RESULTS_VERSION

PRETRAIN_VERSION = 1
"""Raised whenever weights are stored in another way. Where they come about in another way,
`RESULTS_VERSION` is raised."""

SECONDS_A_PATIENT = 0.13
"""Of one core, of inventing a patient and reading the scan (2026-11-30)."""

_UNUSED = NUMBERLESS_KEYS | {"data.fold", "data.folds", "data.split_seed", "data.share"}
_UNUSED |= {"data.leak", f"{PRETRAIN}.source"}


def pretraining_of(config: RunConfig) -> RunConfig:
    """The training on invented patients that a configuration's trainings start from.

    Everything that chooses the cohort and its split is replaced; nothing is held out.
    """
    given = config.pretrain
    phantoms = {
        "source": "phantom",
        "root": None,
        "phantom_patients": given.patients,
        "phantom_seed": given.seed,
        "phantom_style": given.style,
        "format_module": None,
        "labels_from": "ids",
        "on_error": "stop",
        "test_count": 1,  # which trains, too
        "fold": None,
        "exclude": (),
        **dict.fromkeys(("groups", "test_list", "second_reader")),
        **dict.fromkeys(("grade_names", "labels", "labels_kind")),
    }
    warmup = min(config.optim.warmup, given.epochs - 1)
    return config.model_copy(
        update={
            "data": config.data.model_copy(update=phantoms),
            "optim": config.optim.model_copy(update={"warmup": warmup}),
            "trainer": config.trainer.model_copy(update={"max_epochs": given.epochs}),
            "seed": given.seed,
            PRETRAIN: PretrainConfig(),
            "score_epochs": (),
            "decide": "likeliest",
            "fitted": None,
            "logger": {},
            "plots": False,
            "kind": "cell",
        }
    )


def weights_place(config: RunConfig) -> Path:
    """The file in the cache of the weights; its name is a digest of all that can change them.

    The hardware is not among it, as in no identity.
    """
    training = pretraining_of(config)
    numbers = {key: each for key, each in training.by_key().items() if key not in _UNUSED}
    code = {key: _code(str(each)) for key, each in numbers.items() if key.endswith("_target_")}
    patients = config.pretrain.model_dump()
    versions = (RESULTS_VERSION, PRETRAIN_VERSION, PHANTOM_VERSION, CACHE_VERSION, version("torch"))
    written = json.dumps([versions, patients, numbers, code], sort_keys=True)
    digest = hashlib.sha256(written.encode()).hexdigest()[:24]
    return config.paths.cache / "pretrained" / f"{digest}.ckpt"


def _code(target: str) -> str:
    """Digest of the file of a class or function, which a person may change; "" where none is found.

    Nothing is imported.
    """
    names, places, file = target.split(".")[:-1], None, None
    for end in range(1, len(names) + 1):
        spec = PathFinder.find_spec(".".join(names[:end]), places)
        if spec is None:
            return ""
        places, file = spec.submodule_search_locations, spec.origin
    try:
        return hashlib.sha256(Path(file or "").read_bytes()).hexdigest()
    except OSError:
        return ""


def invented_folder(config: RunConfig) -> Path:
    """The place in the cache of the scans of a pretraining."""
    given = config.pretrain
    return phantom_folder(
        config.paths.cache, patients=given.patients, seed=given.seed, style=given.style
    )


def pretraining_seconds(config: RunConfig, pace: Pace) -> float:
    """Seconds of making the weights; 0 where they are there or not wanted."""
    given = config.pretrain
    if given.source == "none" or weights_place(config).exists():
        return 0.0
    there = invented_folder(config).is_dir()
    training = training_seconds(
        pretraining_of(config),
        pace,
        train_knees=len(SIDES) * given.patients,
        validation_knees=0,
    )
    return training + (0 if there else SECONDS_A_PATIENT * given.patients / usable_cores())


def require_pretrain(configs: Sequence[RunConfig]) -> None:
    """Raise InputError where values of a pretraining were typed and no configuration has one."""
    typed = [key for key in configs[0].changed if key.startswith(f"{PRETRAIN}.")]
    if typed and all(config.pretrain.source == "none" for config in configs):
        raise InputError(f"{typed[0]}: expected pretrain=phantom beside it, received pretrain=none")


def pretrained_sentences(configs: Sequence[RunConfig], *, phantom: bool) -> list[str]:
    """What stands beside the figures of networks that began with pretrained weights."""
    pretrained = [each.pretrain for each in configs if each.pretrain.source != "none"]
    sentences = []
    for each in dict.fromkeys((each.patients, each.style) for each in pretrained):
        who = f"{each[0]:,} invented patients (style {each[1]})"
        if phantom:
            sentences.append(
                f"Pretrained on {who}. On an invented cohort this flatters: the same program drew "
                "both, and real scans may gain less, or nothing"
            )
        else:
            sentences.append(f"Pretrained: started from weights trained on {who}")
    return sentences
