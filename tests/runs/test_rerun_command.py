import shlex
import subprocess

import pytest

from djd.runs.command_line import MOST_CHARACTERS, rerun_command
from djd.runs.config import read_config
from tests.conftest import compose_values
from tests.ordinary_user import posix


def again(*overrides: str) -> tuple[dict[str, object], dict[str, object]]:
    """A configuration, and that of the command which is said to repeat it, flat."""
    config = read_config(compose_values(*overrides))
    command = rerun_command(config, threads=1).replace("\\\n", "")
    _, _, *arguments = shlex.split(command)
    repeated = read_config(compose_values(*arguments))
    return config.by_key(), repeated.by_key()


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("optim=momentum", "optim.momentum=0.5", "optim.weight_decay=0.01", "data.fold=null"),
        ("experiment=study", "data.leak=true", "seed=3", "trainer.gradient_clip_val=1.5"),
        ("data=mat", "data.root='/뼈 scans, (1)=[x]'", "data.exclude=[0000001,a b]"),
        ("trainer.precision=bf16",),
        ("model._target_=torch.nn.Flatten", "~model.width", "optim.schedule=cosine"),
        ("optim.schedule={_target_: torch.optim.lr_scheduler.StepLR, step_size: 5}",),
        ("+model.name='0.5'", r"+model.words='a, \'b\' = c\\'", "+model.none=null"),
        ("model.depth=3", "optim.lr=1e-5", "score_epochs=[2,7]", "loss.class_weights=balanced"),
    ],
)
def test_the_command_says_everything_that_changes_a_number(overrides: tuple[str, ...]) -> None:
    config, repeated = again(*overrides)
    differing = {key for key in config if config[key] != repeated[key]}
    assert differing <= {"trainer.threads", "trainer.progress", "test"}
    assert repeated["trainer.threads"] == 1
    assert repeated["test"] == "never"


@posix
def test_the_command_is_short_lines_that_a_shell_takes_as_one() -> None:
    config = read_config(compose_values("data=mat", "data.root='/my scans'"))
    command = rerun_command(config, threads=2)
    assert max(map(len, command.splitlines())) <= MOST_CHARACTERS
    script = command.replace("python train.py", "printf '%s\\n'", 1)
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert "data.root=/my scans" in said.stdout.splitlines()
    assert said.stdout.splitlines()[-2:] == ["trainer.threads=2", "test=never"]
