"""How TensorBoard's Custom Scalars tab is laid out: a chart for each question."""

from collections.abc import Mapping, Sequence

from djd.grades import GRADE_NAMES

Charts = Mapping[str, tuple[str, Sequence[str]]]
"""Kind and tags of each chart by its title, as `SummaryWriter.add_custom_scalars` takes them."""

SPEED_TAG = "knees_per_second"


def _lines(*tags: str) -> tuple[str, Sequence[str]]:
    """A chart of these scalars; the tab takes them as patterns that match from the start."""
    return "Multiline", [f"{tag}$" for tag in tags]


def _both(score: str) -> tuple[str, Sequence[str]]:
    return _lines(f"{score}/train", f"{score}/validation")


def _per_grade(score: str) -> tuple[str, Sequence[str]]:
    return _lines(*(f"{score}_{grade}/validation" for grade in GRADE_NAMES))


CHART_LAYOUT: Mapping[str, Charts] = {
    "Does it learn, and does it overfit?": {
        "loss": _both("loss"),
        "kappa": _both("kappa"),
        "accuracy": _both("accuracy"),
    },
    "Which grades does it find, and how far off is it?": {
        "recall of each grade, validation": _per_grade("recall"),
        "precision of each grade, validation": _per_grade("precision"),
        "mean error in grades": _both("mae"),
    },
    "How fast does it train?": {
        "knees a second": _lines(SPEED_TAG),
        "learning rate": _lines("learning_rate"),
    },
}
"""Charts by question. Every training holds it: TensorBoard merges the layouts of all runs that it
finds, and equal charts are shown once, so it is there for one run, one sweep and all of them."""
