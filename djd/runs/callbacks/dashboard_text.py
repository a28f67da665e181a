"""What TensorBoard's Text tab says of one training."""

from collections.abc import Iterable, Mapping, Sequence

from djd.data.split import PartSummary
from djd.grades import GRADE_NAMES
from djd.runs.config import RunConfig
from djd.runs.rerun_command import command_again
from djd.runs.versions import installed_versions


def dashboard_texts(
    config: RunConfig, parts: Mapping[str, PartSummary], *, stamp: str | None, threads: int
) -> dict[str, str]:
    """Texts by tag, as Markdown: two, since TensorBoard opens the first two and folds the others.

    Args:
        config: What is trained.
        parts: Who is on each part of the split.
        stamp: What has to stand on everything; see `RunConfig.stamp`.
        threads: CPU threads of a training step.
    """
    stamped = f"**{stamp}**. " if stamp else ""
    about = (
        f"{stamped}Research use only, not a medical device.",
        split_table(parts),
        "The same weights again, alone, with the test patients left closed:",
        _as_code(command_again(config, threads=threads)),
        _table(("part", "version"), installed_versions().items()),
    )
    return {"about": "\n\n".join(about), "config": _as_code(config.as_yaml())}


def split_table(parts: Mapping[str, PartSummary]) -> str:
    """Patients and knees per grade on each part, as a Markdown table."""
    rows = [
        (part, len(who.patients), sum(who.knees_per_grade), *who.knees_per_grade)
        for part, who in parts.items()
    ]
    return _table(("part", "patients", "knees", *GRADE_NAMES), rows)


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _as_code(text: str) -> str:
    return "    " + text.replace("\n", "\n    ")
