"""The card beside a winner: its figures worked out again, and what it must never say."""

import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, recall_score

from djd.models.model_file import read_content
from djd.report.answer import Answer
from djd.report.model_card import model_card, write_cards
from djd.report.report import answer_again
from djd.sweeps.sweep import read_folder
from djd.sweeps.winner import OpenedRefit
from tests.answers import Told
from tests.sweeping import Sweep, rows_of
from tests.sweeps.invented_answers import leave_run, tell
from tests.test_cli import run_djd

Table = dict[str, list[str]]


def winner(folder: Path) -> Path:
    (below,) = (folder / "winner").iterdir()
    return below


def rows_in(card: str) -> Table:
    """Every line of every table by its first cell."""
    lines = [line[2:-2].split(" | ") for line in card.splitlines() if line.startswith("| ")]
    return {first: rest for first, *rest in lines}


def section(card: str, title: str) -> str:
    return card.partition(f"## {title}\n")[2].partition("\n## ")[0]


@pytest.fixture(scope="module")
def card(sweep: Sweep) -> str:
    return (winner(sweep.folder) / "model_card.md").read_text(encoding="utf-8")


def graded(rows: list[dict[str, str]]) -> tuple[list[int], list[int]]:
    return [int(row["grade"]) for row in rows], [int(row["predicted"]) for row in rows]


def test_scores_of_the_card_come_from_the_predictions(sweep: Sweep, card: str) -> None:
    found = re.fullmatch(r"depth=(\d) epochs=(\d)", winner(sweep.folder).name)
    assert found
    cells = [sweep.folder / f"depth={found[1]} fold={fold}" for fold in range(3)]
    held_out = [row for cell in cells for row in rows_of(cell / "predictions.csv")]
    baselines = sweep.folder / "baselines"
    graders = {
        "this setting, out of fold": [row for row in held_out if row["epoch"] == found[2]],
        "this setting, test": rows_of(winner(sweep.folder) / "predictions.csv"),
        "uptake, out of fold": rows_of(baselines / "uptake" / "predictions.csv"),
        "features, test": rows_of(baselines / "features" / "test_predictions.csv"),
    }
    table = rows_in(card)
    for name, rows in graders.items():
        truth, given = graded(rows)
        kappa = cohen_kappa_score(truth, given, weights="quadratic", labels=range(5))
        accuracy = 100 * np.mean(np.array(truth) == np.array(given))
        assert float(table[name][0].split()[0]) == pytest.approx(kappa, abs=0.00501), name
        assert float(table[name][1].split()[0]) == pytest.approx(accuracy, abs=0.501), name
    truth, given = graded(graders["this setting, out of fold"])
    recalls = recall_score(truth, given, labels=range(5), average=None, zero_division=np.nan)
    for line, recall, knees in zip(
        [each for name, each in table.items() if re.match(r"\d [a-z]+$", name)],
        recalls,
        np.bincount(truth, minlength=5),
        strict=True,
    ):
        assert line[0] == str(knees)
        assert float(line[1].split()[0]) == pytest.approx(100 * recall, abs=0.501)


def test_scores_of_the_card_have_the_intervals_of_the_table(sweep: Sweep, card: str) -> None:
    best, *_ = rows_of(sweep.folder / "settings.csv")
    table = rows_in(card)
    for part, before in (("out of fold", ""), ("test", "test_")):
        ends = [best[f"{before}kappa_{end}"] for end in ("low", "high")]
        said = table[f"this setting, {part}"][0]
        if ends[0] and ends[0] != ends[1]:
            assert said.endswith(f"({float(ends[0]):.2f} to {float(ends[1]):.2f})")


def test_the_card_says_who_was_trained_on(sweep: Sweep, card: str) -> None:
    content, digest = read_content(winner(sweep.folder) / "model.ckpt")
    said = section(card, "Who it was trained on")
    knees = [str(each) for each in content.training.knees_per_grade]
    assert f"| {' | '.join(knees)} |" in said
    assert f"knees of {content.training.patients} patients" in said
    medians = content.training.count_quantiles[:, 4].tolist()
    table = rows_in(said)
    for view, median in zip(("anterior", "posterior"), medians, strict=True):
        assert float(table[view][4]) == pytest.approx(median, abs=0.0501)
    assert f"`{digest}`" in card


def test_the_card_says_what_it_is_not_for(card: str) -> None:
    top = card.partition("\n## ")[0]
    assert "PHANTOM: invented scans, not patients" in top
    assert "Research use only, not a medical device" in top
    assert "no advice on diagnosis or treatment" in card
    assert "grades of real scans mean nothing" in section(card, "What it can't do")
    assert "LEAK" not in card
    assert "None" not in card.replace("=None", "")
    assert "nan" not in card


def test_links_of_the_card_lead_to_files(sweep: Sweep, card: str) -> None:
    links = re.findall(r"\]\(([^)]+)\)", card)
    assert {"config.yaml", "../../report.html"} < set(links)
    assert "../../figures/reliability.png" in links
    for link in links:
        assert (winner(sweep.folder) / link).is_file(), link


def test_no_folder_of_the_machine_is_in_the_card_but_in_the_command(
    sweep: Sweep, card: str
) -> None:
    made = section(card, "How it was made")
    command = made.split("```")[1].strip()
    assert shlex.split(command)[:2] == ["python", "train.py"]
    assert str(sweep.folder.parent) not in card.replace(command, "")
    assert str(Path.home()) not in card.replace(command, "")


def test_the_line_of_the_card_names_the_model(sweep: Sweep, card: str) -> None:
    usage = section(card, "How to use it")
    words = shlex.split(usage.split("```")[1])
    assert words[:2] == ["djd", "predict"]
    assert (sweep.folder.parent / words[2]).samefile(winner(sweep.folder) / "model.ckpt")


@pytest.mark.slow
def test_djd_report_writes_the_card_again(
    sweep: Sweep, card: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / sweep.folder.name
    shutil.copytree(sweep.folder, folder)
    (winner(folder) / "model_card.md").write_text("an older card")
    assert run_djd(monkeypatch, "report", folder) == 0
    assert (winner(folder) / "model_card.md").read_text(encoding="utf-8") == card


def test_a_model_that_cannot_be_read_costs_its_own_sections_alone(
    sweep: Sweep, card: str, tmp_path: Path
) -> None:
    folder = tmp_path / sweep.folder.name
    shutil.copytree(sweep.folder, folder)
    (winner(folder) / "model.ckpt").write_bytes(b"damaged")
    contents = read_folder(folder)
    write_cards(contents, answer_again(contents))
    written = (winner(folder) / "model_card.md").read_text(encoding="utf-8")
    assert "The model file can't be read: model.ckpt: expected a model file" in written
    assert "Not known" in section(written, "Who it was trained on")
    assert section(written, "How well it grades") == section(card, "How well it grades")
    assert str(tmp_path) not in written


def test_a_winner_without_a_model_file_has_no_card(sweep: Sweep, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    shutil.copytree(sweep.folder, folder)
    for name in ("model.ckpt", "model_card.md"):
        (winner(folder) / name).unlink()
    contents = read_folder(folder)
    write_cards(contents, answer_again(contents))
    assert not (winner(folder) / "model_card.md").exists()


def opened(told: Told) -> OpenedRefit:
    contents, answer = told
    assert answer.findings
    best = answer.findings.settings[0].setting
    scores = best.cells[0].result.validation[-1]
    return OpenedRefit(best.name, contents.folder / "winner" / best.name, scores)


def test_what_is_not_known_is_a_sentence(compared: Told, answer: Answer) -> None:
    contents, _ = compared
    refit = opened(compared)
    whole = model_card(contents, answer, refit)
    assert "are not known" not in section(whole, "How well it grades")
    nothing = model_card(contents, replace(answer, findings=None, tested=None), refit)
    said = section(nothing, "How well it grades")
    assert "Scores out of fold are not known" in said
    assert "Scores test are not known" in said
    assert "|" not in said
    without = section(model_card(contents, replace(answer, tested=None), refit), "Calibration")
    assert "| Brier score | " in without
    assert "test" not in without


def test_a_setting_that_is_no_longer_the_best_has_its_own_scores(
    compared: Told, answer: Answer
) -> None:
    contents, _ = compared
    assert answer.findings
    *_, last = answer.findings.settings
    refit = replace(opened(compared), name=last.setting.name)
    said = section(model_card(contents, answer, refit), "How well it grades")
    kappa = rows_in(said)["this setting, out of fold"][0]
    assert float(kappa.split()[0]) == pytest.approx(last.scores["kappa"].value, abs=0.00501)
    assert "beats" not in said
    assert "Scores test are not known" in said


def test_a_leak_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    leave_run(folder, data__leak=True)
    contents, answer = tell(folder, tested=0.7)
    card = model_card(contents, answer, opened((contents, answer)))
    assert "LEAK" in card.partition("\n## ")[0]
    assert "trained on the test patients" in section(card, "What it can't do")


def test_the_card_of_a_run_leads_to_what_was_typed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    leave_run(folder)
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "overrides.yaml").write_text("- seed=1\n")
    contents, answer = tell(folder, tested=0.7)
    refit = opened((contents, answer))
    made = section(model_card(contents, answer, refit), "How it was made")
    (link,) = [each for each in re.findall(r"\]\(([^)]+)\)", made) if "overrides" in each]
    assert (refit.folder / link).is_file()
    assert "python train.py -" not in made


def test_names_in_the_card_are_text(tmp_path: Path) -> None:
    folder = tmp_path / "<b>a``b```c [x](javascript:1)"
    leave_run(folder, data__test_list=Path("<img src=x onerror=alert(1)>[a](b)`|"))
    contents, answer = tell(folder, tested=0.7)
    card = model_card(contents, answer, opened((contents, answer)))
    assert f"In the folder that holds ```` {folder.name} ````:" in card
    assert "\n````\ndjd predict " in card
    of_code = re.sub(r"(?ms)^(`{3,})[a-z]*\n.*?^\1$", "", card)
    text = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", of_code)
    assert "&#60;img src=x onerror=alert(1)&#62;&#91;a&#93;(b)&#96;&#124;" in text
    assert not re.search(r"<|`|\]\(b\)|javascript", text)
