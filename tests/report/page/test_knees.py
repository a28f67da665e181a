"""The knees of the page: which are shown, by which networks, and what happens without them."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from djd.data.cohort import Cohort
from djd.data.datamodule import Batch
from djd.data.split import PatientSplit
from djd.plots.style import figure_png
from djd.report import explaining
from djd.report.knees import KNEES_NAME, ChosenKnee, ShownKnees, choose_knees, shown_knees
from djd.report.page.plots import plots
from djd.report.report import answer_again, with_knees
from djd.runs.reading import read_data
from djd.statistics.held_out import HeldOut
from djd.sweeps.cells import FinishedCell
from djd.sweeps.sweep import read_folder
from tests.report.page.conftest import DrawnPage
from tests.report.page.parsed import parsed
from tests.sweeping import Sweep, rows_of


def held_out(*knees: tuple[int, int, float]) -> HeldOut:
    """Knees by true grade, given grade, and the probability of the given grade."""
    grades, given, chances = (np.array(each) for each in zip(*knees, strict=True))
    probabilities = np.tile(((1 - chances) / 4)[:, None], 5)
    probabilities[np.arange(len(knees)), given] = chances
    names = tuple((f"scan {place}", "right", f"scan {place}") for place in range(len(knees)))
    return HeldOut.of_knees(names, grades, given, probabilities)


def shown(*knees: tuple[int, int, float]) -> list[str]:
    return [each.scan.removeprefix("scan ") for each in choose_knees(held_out(*knees))]


def test_a_typical_knee_has_the_median_probability_of_its_grade() -> None:
    right = [(2, 2, 0.9), (0, 0, 0.5), (2, 2, 0.4), (2, 2, 0.7), (0, 0, 0.6)]
    assert shown(*right) == ["1", "3"]


def test_misses_follow_the_farthest_first_and_six_at_most() -> None:
    near = [(1, 0, 0.5 + place / 100) for place in range(6)]
    assert shown((1, 0, 0.9), (4, 0, 0.3), (0, 3, 0.4), (1, 4, 0.8), *near) == [
        *("1", "3", "2", "0", "9", "8")
    ]


def test_the_knees_are_those_of_the_first_seed() -> None:
    joined = HeldOut.joined([[held_out((0, 0, 0.5))], [held_out((0, 4, 0.9))]])
    (knee,) = choose_knees(joined)
    assert (knee.scan, knee.grade, knee.given) == ("scan 0", 0, 0)
    assert knee.in_words == "scan 0 right: normal, graded normal (50 %)"


def test_the_page_has_its_knees_with_words_for_those_who_cannot_see_them(sweep: Sweep) -> None:
    read = parsed((sweep.folder / "report.html").read_text(encoding="utf-8"))
    chosen = choose_knees(best_of(sweep.folder))
    alts = " ".join(str(each.attributes["alt"]) for each in read.all("img"))
    assert chosen
    assert any(each.grade != each.given for each in chosen)
    for each in chosen:
        assert each.in_words in alts
    assert (sweep.folder / KNEES_NAME).stat().st_size < 500_000
    text = " ".join(each.text for each in read.all("p"))
    assert "graded out of fold, by a network that did not train on its patient" in text
    assert "white" in text


def best_of(folder: Path) -> HeldOut:
    findings = answer_again(read_folder(folder)).findings
    assert findings
    return findings.evidence.held_out[0]


def test_each_knee_is_explained_by_the_fold_that_held_it_out(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    trained, maps = explaining._trained, explaining.attention_of
    used: list[tuple[Path, NDArray[np.int64]]] = []

    def taken(cell: FinishedCell, *given: object) -> object:
        used.append((cell.folder, np.array([])))
        return trained(cell, *given)  # type: ignore[arg-type]

    def drawn(classifier: object, batch: Batch, *given: object) -> object:
        used[-1] = used[-1][0], batch["knee"].numpy()
        return maps(classifier, batch, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(explaining, "_trained", taken)
    monkeypatch.setattr(explaining, "attention_of", drawn)
    findings = answer_again(read_folder(sweep.folder)).findings
    assert findings
    cohort, split = read_data(findings.settings[0].setting.configs[0])
    made, note = shown_knees(tmp_path, findings.evidence, lambda: (cohort, split))
    assert note is None
    assert made
    explained = 0
    for folder, knees in used:
        scans = {row["scan"] for row in rows_of(folder / "predictions.csv")}
        names = {cohort.scans[cohort.scan_index[knee]] for knee in knees}
        assert names <= scans, "held out by this network"
        explained += len(knees)
    assert explained == len(made.knees)
    places = {
        (cohort.scans[scan], side): place
        for place, (scan, side) in enumerate(zip(cohort.scan_index, cohort.side_index, strict=True))
    }
    for each, crops in zip(made.knees, made.crops, strict=True):
        place = places[each.scan, ("right", "left").index(each.side)]
        assert np.array_equal(crops[0], cohort.crops[place, 0])
        assert each.grade == cohort.grades[place]
    assert made.maps.shape == (len(made.knees), 1, 128, 128)
    assert made.maps.max() == 255


def never() -> tuple[Cohort, PatientSplit]:
    raise AssertionError("the scans were read")


def no_room() -> tuple[Cohort, PatientSplit]:
    raise OSError(28, "No space left on device")


def without(name: str) -> Callable[[Path], None]:
    def leave_out(folder: Path) -> None:
        (folder / KNEES_NAME).unlink()
        for path in folder.glob(f"*/{name}"):
            path.unlink()

    return leave_out


def damage(folder: Path) -> None:
    (folder / KNEES_NAME).write_bytes(b"no archive")
    for path in folder.glob("*/checkpoints/*.ckpt"):
        path.write_bytes(b"no weights")


@pytest.fixture
def copied(sweep: Sweep, tmp_path: Path) -> Path:
    return shutil.copytree(sweep.folder, tmp_path / "copy")


def test_kept_knees_are_drawn_again_without_scans_and_weights(copied: Path) -> None:
    for path in copied.glob("*/checkpoints"):
        shutil.rmtree(path)
    contents = read_folder(copied)
    answer = with_knees(contents, answer_again(contents), never)
    drawn = plots(answer, stamp=contents.stamp)
    for name in ("knees-right", "knees-wrong"):
        if name in drawn:
            png = figure_png(drawn[name].figure, width=drawn[name].width)
            assert png == (copied / "figures" / f"{name}.png").read_bytes()
    assert "knees-wrong" in drawn


@pytest.mark.parametrize(
    ("change", "data", "reason"),
    [
        (without("checkpoints/*.ckpt"), never, "has no weights after epoch"),
        (without("nothing"), no_room, "No space left"),
        (damage, None, "expected the weights of a training, received others"),
    ],
)
def test_without_weights_scans_or_room_the_answer_stands_with_a_note(
    copied: Path,
    change: Callable[[Path], None],
    data: Callable[[], tuple[Cohort, PatientSplit]] | None,
    reason: str,
) -> None:
    change(copied)
    contents = read_folder(copied)
    before = answer_again(contents)
    answer = with_knees(contents, before, data)
    assert answer.knees is None
    (note,) = set(answer.notes) - set(before.notes)
    assert note.startswith("no pictures of knees: ")
    assert reason in note
    assert "\n" not in note
    assert answer.findings is before.findings


def test_nothing_is_said_of_knees_where_nothing_was_held_out(copied: Path) -> None:
    contents = read_folder(copied)
    answer = replace(answer_again(contents), findings=None)
    assert with_knees(contents, answer, never) is answer


@pytest.mark.slow
def test_noisy_knees_leave_a_large_page_below_two_megabytes(large: DrawnPage) -> None:
    random = np.random.default_rng(0)
    chosen = choose_knees(held_out(*((g, g, 0.5) for g in range(5)), *[(0, 4, 0.6)] * 6))
    crops = random.poisson(20, (11, 2, 128, 128)).astype(np.uint16)
    maps = random.integers(0, 256, (11, 2, 128, 128)).astype(np.uint8)
    for views in (1, 2):
        knees = shown_of(chosen, crops[:, :views], maps[:, :views])
        drawn = plots(replace(large.answer, findings=None, knees=knees), stamp="PHANTOM")
        names = ("knees-right", "knees-wrong")
        pngs = [figure_png(drawn[name].figure, width=drawn[name].width) for name in names]
        assert len(large.html.encode()) + 4 / 3 * sum(map(len, pngs)) < 2_000_000


def shown_of(
    chosen: list[ChosenKnee], crops: NDArray[np.uint16], maps: NDArray[np.uint8]
) -> ShownKnees:
    views = ("anterior", "posterior")[: crops.shape[1]]
    return ShownKnees(tuple(chosen), crops, maps, views, (), 6, 11)


@pytest.mark.parametrize("views", [1, 2])
def test_knees_without_attention_are_shown_with_a_sentence(large: DrawnPage, views: int) -> None:
    chosen = choose_knees(held_out((1, 1, 0.5), (3, 3, 0.9)))
    crops = np.zeros((2, views, 128, 128), dtype=np.uint16)
    knees = shown_of(chosen, crops, np.zeros((2, 0, 128, 128), dtype=np.uint8))
    knees = replace(knees, wrong=0, unmatched=(2, 4))
    drawn = plots(replace(large.answer, knees=knees), stamp=None)
    assert "knees-right" in drawn
    assert "knees-wrong" not in drawn
    said = ". ".join(knees.sentences)
    assert "its attention can't be shown" in said
    assert "No knee of these grades was graded right: mild, severe" in said
    assert "No knee was graded wrong" in said
