"""What a person sees who types the line that a sweep prints at its end."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest

from djd.runs.callbacks.hparams import (
    HPARAM_METRICS,
    HParamValue,
    Sessions,
    write_hparam_columns,
    write_score_run,
)
from djd.runs.callbacks.tensorboard import CHART_LAYOUT
from djd.runs.config import read_config
from djd.runs.result import RunResult
from djd.runs.summary import tensorboard_line
from tests.conftest import compose_values
from tests.dashboard_browser import Page, started_driver, tensorboard
from tests.sweeping import Sweep

pytestmark = pytest.mark.slow

CELLS = [f"depth={depth} fold={fold}" for depth in (1, 2) for fold in (0, 1, 2)]

ROW = "PHANTOM model="
"""How every row of the HParams tab begins."""

TABLE = "tf-hparams-table-view"
CHART = "tf-custom-scalar-multi-line-chart-card"


@pytest.fixture(scope="module")
def driver() -> Iterator[object]:
    with started_driver() as started:
        yield started


@pytest.fixture(scope="module")
def page(driver: object, sweep: Sweep) -> Iterator[Page]:
    """The dashboard of the sweep, opened by its own line."""
    with tensorboard(tensorboard_line(sweep.folder)) as address:
        yield Page(driver, address)


@pytest.fixture(scope="module")
def page_of_all(
    driver: object, sweep: Sweep, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    """The dashboard of the sweep and one beside it, as `--logdir multirun` opens them."""
    multirun = tmp_path_factory.mktemp("multirun")
    shutil.copytree(sweep.folder, multirun / sweep.folder.name)
    leave_other_sweep(multirun / "other")
    with tensorboard(tensorboard_line(multirun)) as address:
        yield Page(driver, address)


def leave_other_sweep(folder: Path) -> None:
    """A sweep over another axis, of which one setting has scores."""
    cell = folder / "scaling=counts fold=0"
    cell.mkdir(parents=True)
    values: dict[str, list[HParamValue]] = {
        "data.scaling": ["counts", "sqrt"],
        "epochs": [1, 2],
        "model.depth": [3],
    }
    write_hparam_columns(folder, values, compared=["data.scaling", "epochs"])
    config = read_config(compose_values("model.depth=3", "data.scaling=counts"))
    scalars = {f"{score}/validation": 0.5 for score in HPARAM_METRICS}
    stamp = config.stamp(phantom=True)
    write_score_run(Sessions(config, cell, "of other scans", stamp), 1, scalars)


def rows_of_table(page: Page) -> dict[str, list[str]]:
    """Rows of the HParams table by setting: epochs, depth ... and scores, as the page has them."""
    (texts,) = page.texts(TABLE) or [[]]
    starts = [place for place, text in enumerate(texts) if text.startswith(ROW)]
    ends = [*starts, len(texts)][1:]
    return {texts[start]: texts[start + 1 : end] for start, end in zip(starts, ends, strict=True)}


def mean_scores(sweep: Path, depth: int, epoch: int) -> list[float]:
    """Scores of a setting as TensorBoard has them, the mean over its folds."""
    results = [RunResult.load(sweep / f"depth={depth} fold={f}" / "result.json") for f in range(3)]
    folds = [next(s.scores for s in each.validation if s.epoch == epoch) for each in results]
    means = []
    for score in HPARAM_METRICS:
        values = [fold[score] for fold in folds]
        means.append(float(np.mean([value for value in values if value is not None])))
    return means


def columns_of_table(page: Page) -> list[str]:
    (texts,) = page.texts(TABLE)
    return texts[: next(place for place, text in enumerate(texts) if text.startswith(ROW))]


def test_every_setting_is_a_row_with_all_its_scores(page: Page, sweep: Sweep) -> None:
    page.open("hparams")
    rows = page.wait_for(lambda: rows_of_table(page), lambda rows: len(rows) == 4)
    page.keep("hparams")
    columns = columns_of_table(page)
    assert columns[:4] == ["Trial ID", "Show Metrics", "epochs", "depth"]
    assert columns[-5:] == list(HPARAM_METRICS.values())
    seen = {(int(float(row[1])), int(float(row[0]))): row[-5:] for row in rows.values()}
    assert sorted(seen) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    for (depth, epoch), scores in seen.items():
        expected = mean_scores(sweep.folder, depth, epoch)
        assert [float(score) for score in scores] == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_numbers_can_be_ticked(page: Page) -> None:
    page.open("hparams")
    pane = page.wait_for(
        lambda: page.all_texts("tf-hparams-query-pane"), lambda texts: "depth" in texts
    )
    start = pane.index("epochs")
    assert pane[start : start + 6] == ["epochs", "1.0000", "2.0000", "depth", "1.0000", "2.0000"]


@pytest.mark.parametrize("where", ["page", "page_of_all"])
def test_charts_are_laid_out_by_question(
    where: str, request: pytest.FixtureRequest, sweep: Sweep
) -> None:
    page: Page = request.getfixturevalue(where)
    prefix = "" if where == "page" else f"{sweep.folder.name}/"
    page.open("custom_scalars")
    titles = [title for charts in CHART_LAYOUT.values() for title in charts]
    charts = page.wait_for(
        lambda: page.texts(CHART),
        lambda charts: (
            len(charts) == len(titles)
            and all(f"({prefix}depth=2 fold=2)" in " ".join(chart) for chart in charts)
        ),
    )
    page.keep(f"custom-scalars-{where}")
    assert [chart[0] for chart in charts] == titles
    shown = page.all_texts("tf-category-paginated-view")
    assert set(CHART_LAYOUT) <= set(shown)
    for stage in ("train", "validation"):
        for cell in CELLS:
            assert f"loss/{stage} ({prefix}{cell})" in charts[0]
    recall = charts[titles.index("recall of each grade, validation")]
    assert any(text.startswith("recall_minimal/validation (") for text in recall)
    assert not [text for text in recall if text.startswith("precision")]


def test_kappa_shown_is_the_kappa_logged(page: Page, sweep: Sweep) -> None:
    page.open("timeseries", query="?tagFilter=%5Ekappa%2Fvalidation")

    def shown() -> list[str]:
        return page.all_texts("scalar-card")

    texts = page.wait_for(shown, lambda texts: "depth=1 fold=0" in texts)
    page.keep("time-series")
    row = texts[texts.index("depth=1 fold=0") :]
    with (sweep.folder / "depth=1 fold=0" / "metrics.csv").open(newline="") as file:
        logged = [float(line["validation_kappa"]) for line in csv.DictReader(file)]
    assert texts[:2] == ["kappa", "/validation"]
    assert float(row[2].replace("−", "-")) == pytest.approx(logged[-1], rel=1e-3, abs=1e-4)
    assert row[3] == "2"


def test_texts_tell_what_was_trained_on_whom_and_how_to_do_it_again(page: Page) -> None:
    page.open("text")

    def shown() -> str:
        return " ".join(page.all_texts("tf-text-dashboard"))

    expected = (
        "PHANTOM",
        "max_epochs: 2",
        "python train.py data=phantom recipe=none model=cnn",
        "part patients knees normal minimal mild moderate severe train",
        "lightning",
    )
    text = page.wait_for(shown, lambda text: all(words in text for words in expected))
    page.keep("text")
    assert not [words for words in expected if words not in text]


def test_curves_of_any_disease_are_there_at_the_score_epochs(page: Page, sweep: Sweep) -> None:
    page.open("pr_curves")
    cards = page.wait_for(
        lambda: page.texts("tf-pr-curve-card"), lambda cards: sum(map(len, cards)) > 60
    )
    page.keep("pr-curves")
    by_title = {card[0]: " ".join(card) for card in cards}
    assert set(by_title) == {"any_djd/validation", "any_djd/test"}
    assert all(f"{cell} is at step 2" in by_title["any_djd/validation"] for cell in CELLS)
    assert "winner/" in by_title["any_djd/test"]
    query = "run=depth%3D1%20fold%3D0&tag=any_djd/validation"
    with urlopen(f"{page.address}/data/plugin/pr_curves/pr_curves?{query}") as answer:
        curves = json.load(answer)["depth=1 fold=0"]
    assert [curve["step"] for curve in curves] == [1, 2]
    counts = np.array(
        RunResult.load(sweep.folder / "depth=1 fold=0" / "result.json").validation[-1].confusion
    )
    diseased, knees = counts[1:].sum(), counts.sum()
    assert curves[-1]["recall"][0] == 1
    assert curves[-1]["precision"][0] == pytest.approx(diseased / knees)


def test_a_cell_that_finishes_meanwhile_is_there_after_a_reload(
    driver: object, sweep: Sweep, tmp_path: Path
) -> None:
    shutil.copy(next(sweep.folder.glob("events.out.tfevents*")), tmp_path)
    shutil.copytree(sweep.folder / CELLS[0], tmp_path / CELLS[0])
    with tensorboard(tensorboard_line(tmp_path)) as address:
        page = Page(driver, address)
        page.open("hparams")
        assert len(page.wait_for(lambda: rows_of_table(page), lambda rows: len(rows) == 2)) == 2
        shutil.copytree(sweep.folder / CELLS[3], tmp_path / CELLS[3])

        def after_reload() -> dict[str, list[str]]:
            page.driver.execute_script("document.querySelector('app-header-reload button').click()")
            return rows_of_table(page)

        rows = page.wait_for(after_reload, lambda rows: len(rows) == 4)
    assert {row[1] for row in rows.values()} == {"1.0000", "2.0000"}


def test_all_settings_are_rows_where_all_sweeps_are_opened(page_of_all: Page) -> None:
    page_of_all.open("hparams")
    rows = page_of_all.wait_for(lambda: rows_of_table(page_of_all), lambda rows: len(rows) == 5)
    page_of_all.keep("hparams-of-all")
    assert len(rows) == 5
    assert all(len(row) == len(columns_of_table(page_of_all)) - 2 for row in rows.values())
    (other,) = (row for name, row in rows.items() if "scaling=counts" in name)
    assert other[-5:] == ["0.50000"] * 5
