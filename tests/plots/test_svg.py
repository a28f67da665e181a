import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from djd.plots.confusion import confusion_figure
from djd.plots.confusion_multiples import confusion_multiples_figure
from djd.plots.curves import learning_curves_figure
from djd.plots.ranking import ranking_figure
from djd.plots.style import figure_pixels, figure_svg, save_figure
from djd.statistics.intervals import Estimate

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
RANDOM = np.random.default_rng(0)
LABEL = "depth=3 optim=momentum lr_times=0.123456 batch_size=16 epochs=100"


def ranking(label: str = LABEL, count: int = 36) -> Figure:
    rows = {f"{label} {i}": Estimate(0.9 - i / 50, -0.123456, 0.95) for i in range(count)}
    best_set = list(rows)[:9]
    return ranking_figure(
        rows, {}, best_set=best_set, distance=0.2, title="Settings", stamp="PHANTOM"
    )


def multiples() -> Figure:
    counts = RANDOM.integers(0, 9, (36, 5, 5))
    return confusion_multiples_figure(counts, ["1 *\n0.62"] * 36, title="All")


def curves() -> Figure:
    columns = ("train_loss", "validation_loss", "validation_kappa")
    runs = [
        {"epoch": np.arange(100.0), **{name: RANDOM.random(100) for name in columns}}
        for _ in range(5)
    ]
    return learning_curves_figure(runs, score_epochs=[50], title="Curves")  # type: ignore[arg-type]


def test_an_svg_is_one_element_that_scales_and_is_named() -> None:
    svg = figure_svg(ranking(), name="ranking", alt='Kappa of "36" settings & <more>')
    assert svg.startswith("<svg ")
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'Kappa of "36" settings & <more>'
    assert not {"width", "height"} & set(root.keys())
    width, height = (72 * float(inches) for inches in ranking().get_size_inches())
    box = [float(number) for number in root.get("viewBox", "").split()]
    assert box == pytest.approx([0, 0, width, height], abs=0.01)


def test_words_of_an_svg_are_text_and_stay_as_they_are() -> None:
    label = f"{LABEL} $x$ <&> id=\"a\" d='0.98765'"
    root = ElementTree.fromstring(figure_svg(ranking(label, 1), name="a", alt=""))
    words = " ".join("".join(element.itertext()) for element in root.iter(f"{SVG}text"))
    for word in label.split():
        assert word in words
    assert "PHANTOM" in words


@pytest.mark.parametrize("draw", [ranking, multiples, curves])
def test_figures_on_one_page_share_no_ids_and_refer_to_their_own(
    draw: Callable[[], Figure],
) -> None:
    figure = draw()
    ids = []
    for name in ("first", "second"):
        root = ElementTree.fromstring(figure_svg(figure, name=name, alt=""))
        own = [element.get("id", "") for element in root.iter() if element.get("id")]
        used = {
            link
            for element in root.iter()
            for value in element.attrib.values()
            for link in re.findall(r"(?:url\()?#([\w-]+)\)?$", value)
            if not re.fullmatch(r"[0-9a-f]{6}", link)
        }
        assert used == set(own)
        assert all(id_.startswith(f"{name}-") for id_ in own)
        ids += own
    assert ids
    assert len(ids) == len(set(ids))


def test_an_svg_refers_to_nothing_outside_and_styles_nothing_but_itself() -> None:
    for figure in (ranking(), multiples(), curves()):
        svg = figure_svg(figure, name="a", alt="")
        root = ElementTree.fromstring(svg)
        links = [element.get(LINK, "#") for element in root.iter()]
        assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
        assert "<style" not in svg
        assert "<metadata" not in svg
        assert set(re.findall(r"https?://[^\"]*", svg)) == {
            "http://www.w3.org/2000/svg",
            "http://www.w3.org/1999/xlink",
        }


def test_the_same_figure_is_the_same_text_whatever_was_drawn_of_it_before(tmp_path: Path) -> None:
    matrix = np.eye(5, dtype=np.int64)
    draws: list[Callable[[], Figure]] = [
        ranking,
        lambda: confusion_figure(matrix, title="x", stamp="PHANTOM"),
    ]
    for draw in draws:
        figure = draw()
        figure_pixels(figure)
        save_figure(figure, tmp_path / "x.png")
        texts = {figure_svg(figure, name="a", alt="") for _ in range(2)}
        assert {figure_svg(draw(), name="a", alt="")} == texts


def test_the_figures_of_a_report_are_small() -> None:
    for figure in (ranking(), multiples(), curves()):
        assert len(figure_svg(figure, name="a", alt="").encode()) < 40_000


def test_shortened_coordinates_still_trace_the_curve() -> None:
    """Paths that leave out the sign of a line go through the same points as the data."""
    figure = Figure(figsize=(1, 1))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, 72), ylim=(72, 0))
    points = np.array([[10.123, 20.456], [30.5, 11.25], [60.0, 71.999]])
    axes.plot(*points.T, color="#123456")
    root = ElementTree.fromstring(figure_svg(figure, name="a", alt=""))
    (path,) = [path for path in root.iter(f"{SVG}path") if "#123456" in path.get("style", "")]
    numbers = np.array(re.findall(r"[\d.]+", path.get("d", "")), dtype=float)
    np.testing.assert_allclose(numbers.reshape(-1, 2), points, atol=0.02)


def test_lines_after_a_bend_stay_lines() -> None:
    figure = Figure(figsize=(1, 1))
    box = FancyBboxPatch((0.3, 0.3), 0.4, 0.4, boxstyle="round", facecolor="#123456")
    figure.add_artist(box)
    root = ElementTree.fromstring(figure_svg(figure, name="a", alt=""))
    (path,) = [path for path in root.iter(f"{SVG}path") if "#123456" in path.get("style", "")]
    assert re.sub(r"[^A-Z]", "", path.get("d", "")) == "MLQLQLQLQ"


def test_no_font_of_this_machine_is_named() -> None:
    svg = figure_svg(ranking(), name="a", alt="")
    assert set(re.findall(r'font-family[:=] ?"?([^";]*)', svg)) == {
        "'DejaVu Sans', Verdana, sans-serif"
    }


def test_a_file_is_what_its_name_ends_with(tmp_path: Path) -> None:
    matrix = np.eye(5, dtype=np.int64)
    for name in ("a.svg", "b.SVG"):
        save_figure(confusion_figure(matrix, title="Validation 한글"), tmp_path / name)
        root = ElementTree.parse(tmp_path / name).getroot()
        assert root.tag == f"{SVG}svg"
        assert root.get("width", "").endswith("pt")
        assert "Validation 한글: 5 knees" in "".join(root.itertext())
    save_figure(confusion_figure(matrix, title="Validation"), tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
