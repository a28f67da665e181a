"""The page that a sweep leaves: every figure on it worked out again from predictions alone."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
    mean_absolute_error,
    precision_score,
    recall_score,
    roc_auc_score,
)

from djd.plots.style import ORANGE
from tests.report.page.parsed import Element, columns_of, lines_of, parsed, require_figure
from tests.report.page.test_page import require_sound
from tests.sweeping import Sweep, rows_of

Rows = list[dict[str, str]]
GRADES = ("normal", "minimal", "mild", "moderate", "severe")


@pytest.fixture(scope="module")
def html(sweep: Sweep) -> str:
    return (sweep.folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def read(html: str) -> Element:
    return parsed(html)


def held_out(sweep: Sweep, depth: str, epochs: str) -> Rows:
    return [
        row
        for fold in range(3)
        for row in rows_of(sweep.folder / f"depth={depth} fold={fold}" / "predictions.csv")
        if row["epoch"] == epochs
    ]


def winner(sweep: Sweep) -> Path:
    (folder,) = (sweep.folder / "winner").iterdir()
    return folder


def opened(sweep: Sweep) -> Rows:
    return rows_of(winner(sweep) / "predictions.csv")


def baseline(sweep: Sweep, name: str, *, test: bool = False) -> Rows:
    file = "test_predictions.csv" if test else "predictions.csv"
    return rows_of(sweep.folder / "baselines" / name / file)


def grades_and_guesses(rows: Rows) -> tuple[list[int], list[int]]:
    return [int(row["grade"]) for row in rows], [int(row["predicted"]) for row in rows]


def kappa(rows: Rows) -> float:
    return float(cohen_kappa_score(*grades_and_guesses(rows), weights="quadratic", labels=range(5)))


def accuracy(rows: Rows) -> float:
    return float(accuracy_score(*grades_and_guesses(rows)))


def recall(rows: Rows, grade: int) -> float:
    truth, guess = grades_and_guesses(rows)
    return float(recall_score(truth, guess, labels=[grade], average="macro", zero_division=np.nan))


def precision(rows: Rows, grade: int) -> float:
    truth, guess = grades_and_guesses(rows)
    return float(
        precision_score(truth, guess, labels=[grade], average="macro", zero_division=np.nan)
    )


def test_the_page_of_a_sweep_is_sound(html: str, read: Element) -> None:
    require_sound(read, html)
    assert len(read.all("img")) > 5


def test_every_figure_of_the_ranking_comes_from_the_predictions(
    sweep: Sweep, read: Element
) -> None:
    columns = columns_of(lines_of(read, "settings"))
    (minimal,) = [name for name in columns if name.startswith("minimal recall")]
    scored = {(depth, epochs): held_out(sweep, depth, epochs) for depth in "12" for epochs in "12"}
    graders = [
        scored[place] for place in zip(columns["depth"][:4], columns["epochs"][:4], strict=True)
    ]
    assert len(graders) == len({id(each) for each in graders}) == 4
    assert columns["rank"][4:] == ["majority", "uptake", "features"]
    graders += [baseline(sweep, name) for name in ("majority", "uptake", "features")]
    for place, rows in enumerate(graders):
        require_figure(columns["kappa"][place], kappa(rows))
        require_figure(columns["accuracy"][place], accuracy(rows))
        require_figure(columns[minimal][place], recall(rows, 1))
    assert minimal == f"minimal recall ({sum(row['grade'] == '1' for row in graders[0])} knees)"
    kappas = [kappa(rows) for rows in graders[:4]]
    assert kappas == sorted(kappas, reverse=True)
    first, *others, majority, uptake, features = columns["test kappa"]
    assert set(others) == {"-"}
    require_figure(first, kappa(opened(sweep)))
    require_figure(majority, kappa(baseline(sweep, "majority", test=True)))
    require_figure(uptake, kappa(baseline(sweep, "uptake", test=True)))
    require_figure(features, kappa(baseline(sweep, "features", test=True)))
    best = f"depth={columns['depth'][0]} epochs={columns['epochs'][0]}"
    assert winner(sweep).name == best


def best_rows(sweep: Sweep) -> Rows:
    found = re.fullmatch(r"depth=(\d) epochs=(\d)", winner(sweep).name)
    assert found
    return held_out(sweep, found[1], found[2])


def test_recall_and_precision_of_every_grade_come_from_the_predictions(
    sweep: Sweep, read: Element
) -> None:
    head, *lines = lines_of(read, "grades")
    assert head == [
        "grade",
        *(f"out of fold: {column}" for column in ("knees", "recall", "precision")),
        *(f"test: {column}" for column in ("knees", "recall", "precision")),
    ]
    assert [line[0] for line in lines] == [f"{grade} {name}" for grade, name in enumerate(GRADES)]
    for grade, line in enumerate(lines):
        for cells, rows in ((line[1:4], best_rows(sweep)), (line[4:7], opened(sweep))):
            assert cells[0] == str(sum(row["grade"] == str(grade) for row in rows))
            require_figure(cells[1], recall(rows, grade))
            require_figure(cells[2], precision(rows, grade))


def by_hand(rows: Rows) -> dict[str, float]:
    """Scores that scikit-learn has, or that are a line of arithmetic."""
    truth, guess = (np.array(each) for each in grades_and_guesses(rows))
    chances = np.array([[float(row[f"p{grade}"]) for grade in range(5)] for row in rows])
    sick, called = truth > 0, guess > 0
    groups = np.array([0, 1, 1, 2, 2])
    at_most = chances.cumsum(axis=1)[:, :4]
    return {
        "quadratic kappa": kappa(rows),
        "accuracy": accuracy(rows),
        "balanced accuracy": balanced_accuracy_score(truth, guess),
        "macro F1": f1_score(
            truth, guess, average="macro", labels=np.unique(truth), zero_division=0
        ),
        "mean error in grades (MAE)": mean_absolute_error(truth, guess),
        "off by one grade at most": float((abs(truth - guess) <= 1).mean()),
        "none or any disease: sensitivity": recall_score(sick, called),
        "none or any disease: specificity": recall_score(~sick, ~called),
        "none or any disease: AUROC": roc_auc_score(sick, 1 - chances[:, 0]),
        "none, minimal to mild, moderate to severe: kappa": cohen_kappa_score(
            groups[truth], groups[guess], weights="quadratic", labels=range(3)
        ),
        "none, minimal to mild, moderate to severe: accuracy": accuracy_score(
            groups[truth], groups[guess]
        ),
        "Brier score": float(((chances - np.eye(5)[truth]) ** 2).sum(axis=1).mean()),
        "ranked probability score": float(
            ((at_most - (np.arange(4) >= truth[:, None])) ** 2).mean()
        ),
    }


def test_every_score_of_the_best_and_of_uptake_comes_from_the_predictions(
    sweep: Sweep, read: Element
) -> None:
    columns = columns_of(lines_of(read, "scores"))
    graders = {
        "out of fold": best_rows(sweep),
        "test": opened(sweep),
        "uptake, out of fold": baseline(sweep, "uptake"),
        "uptake, test": baseline(sweep, "uptake", test=True),
    }
    assert list(columns) == ["score", *graders]
    for name, rows in graders.items():
        told = dict(zip(columns["score"], columns[name], strict=True))
        expected = by_hand(rows)
        assert set(told) - set(expected) == {
            "minimal disease found at 90 % specificity",
            "knees, patients",
        }
        for score, value in expected.items():
            require_figure(told[score], value)
        patients = len({row["patient"] for row in rows})
        assert told["knees, patients"] == f"{len(rows)}, {patients}"


def test_confusion_matrices_say_how_many_knees_were_graded_right(
    sweep: Sweep, read: Element
) -> None:
    told = " ".join(str(each.attributes["alt"]) for each in read.all("img"))
    for part, rows in (("out of fold", best_rows(sweep)), ("test", opened(sweep))):
        counts = confusion_matrix(*grades_and_guesses(rows), labels=range(5))
        right = int(100 * np.trace(counts) / len(rows) + 0.5)
        words = f"Confusion matrix, {part}: {right} % of {len(rows)} knees graded right."
        assert words in told


def test_the_headline_has_the_figures_of_the_tables(sweep: Sweep, read: Element) -> None:
    said = [each.text for each in read.all("p") if each.has_class("answer")]
    columns = columns_of(lines_of(read, "settings"))
    assert f"{columns['kappa'][0]} out of fold, {columns['test kappa'][0]} on the 8 test" in said[0]
    assert f"whose kappa is {columns['kappa'][-2]}." in said[1]
    assert not [each for each in said if "Only" in each], "all folds were held out"


def test_who_was_in_it_is_who_was_graded(sweep: Sweep, read: Element) -> None:
    columns = columns_of(lines_of(read, "flow"))
    assert columns["part"] == ["development", "test"]
    for place, rows in enumerate((best_rows(sweep), opened(sweep))):
        assert columns["patients"][place] == str(len({row["patient"] for row in rows}))
        assert columns["knees"][place] == str(len(rows))
        for grade, name in enumerate(GRADES):
            assert columns[name][place] == str(sum(row["grade"] == str(grade) for row in rows))


def test_a_sweep_tells_the_opening_of_its_test_patients_and_its_command(
    sweep: Sweep, read: Element
) -> None:
    head, (when, setting) = lines_of(read, "openings")
    assert head == ["when (UTC)", "setting"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", when)
    result = json.loads((winner(sweep) / "result.json").read_text(encoding="utf-8"))
    assert setting == result["setting"]
    made = read.with_id("made")
    assert made.text == "How this was made"
    terms = {
        each.first("dt").text: each.first("dd").text for each in read.all("div") if each.all("dt")
    }
    assert terms["cells"] == "6 of 6 finished"
    assert "model.depth=1,2" in terms["command"]
    assert terms["command"].startswith("python train.py -m ")
    assert "torch " in terms["versions"]


def test_everything_that_the_page_shows_is_stamped(sweep: Sweep, read: Element) -> None:
    stamp = "PHANTOM: invented scans, not patients"
    assert stamp in (sweep.folder / "settings.tex").read_text(encoding="utf-8")
    pictures = list((sweep.folder / "figures").iterdir())
    assert {path.suffix for path in pictures} == {".png"}
    assert len(pictures) == len(read.all("img"))
    for path in pictures:
        pixels = np.asarray(Image.open(path).convert("RGB"), dtype=np.int64)
        corner = pixels[: len(pixels) // 8, pixels.shape[1] // 2 :]
        of_stamp = np.abs(corner - np.array(to_rgb(ORANGE)) * 255).max(axis=-1) < 20
        assert of_stamp.sum() > 200, path.name
