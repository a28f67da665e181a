"""What the page says, section by section."""

from datetime import UTC, datetime
from typing import Any

from djd.data.cohort_flow import Flow, flow_sentences
from djd.errors import InputError
from djd.grades import GRADE_NAMES
from djd.report.answer import Answer
from djd.report.headline import NOTHING_FINISHED, NOTHING_HELD_OUT, headline
from djd.report.page.drawings import other_tested
from djd.report.page.provenance import (
    made_how,
    missing_cells,
    openings,
    openings_known,
)
from djd.report.page.rows import Row, grades_table, ranking_table, scores_table
from djd.report.questions import QUESTIONS, Question, question_sentences
from djd.report.reader_sentences import reader_sentences
from djd.report.sentences import (
    beside_test_sentences,
    detection_sentence,
    edge_sentence,
    luck_sentences,
)
from djd.report.wording import capital
from djd.runs.test_ledger import LEDGER_NAME
from djd.sweeps.cells import AxisValue
from djd.sweeps.folder import Contents
from djd.wording import count_of

TITLES: dict[Question, str] = {
    "hyperparameters": "Which hyperparameters?",
    "depth": "Which depth?",
    "optimizer": "Which optimizer?",
}

WORDS = (
    ("out of fold", "development knees graded by a model that did not train on their patients"),
    ("test", "patients whom nothing was chosen on, graded by a model refitted on all others"),
    (
        "kappa",
        "quadratic weighted kappa: agreement beyond chance, where a miss by two grades costs four "
        "times one by one; 1 is perfect, 0 a constant guess",
    ),
    (
        "95 % interval",
        "of 100 such intervals 95 hold the true figure; a patient, not a knee, is one observation",
    ),
    ("can't be told apart", "the difference is within what chance makes of so many patients"),
    ("minimal disease", "grade 1, the hardest in most published work"),
    (
        "uptake",
        "a logistic model that knows only how much a knee takes up relative to its leg's shafts",
    ),
    ("majority", "everyone gets the commonest grade"),
    ("grid", "all combinations of the values that were compared"),
    ("out of bag", "chosen on some patients, scored on the others, again and again"),
    ("balanced accuracy, macro F1", "means over grades: rare grades count as much as common ones"),
    (
        "AUROC",
        "chance that a diseased knee gets a higher probability of disease than a normal one",
    ),
    (
        "MAE, Brier score, ranked probability score",
        "how far grades, or probabilities, are from the truth: the lower the better",
    ),
    ("setting, cell", "one choice of everything compared; one training of it, on a fold and seed"),
)


def sections(contents: Contents, answer: Answer) -> dict[str, Any]:
    """Everything that the page says, by the names that its template has for it; figures apart."""
    findings, leaks = answer.findings, _leaks(contents)
    return {
        "title": _title(contents, answer),
        "stamp": contents.stamp,
        "folder": contents.folder.absolute().name,
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "headline": headline(answer, nothing=_why_nothing(contents)),
        "remarks": _remarks(answer),
        "warnings": _warnings(contents, answer),
        "flow": _flow(contents),
        "questions": [
            {
                "name": question,
                "title": TITLES[question],
                "sentences": question_sentences(question, findings, _planned_values(contents)),
            }
            for question in QUESTIONS
            if findings and len(findings.settings) > 1
        ],
        "ranking": ranking_table(findings, answer) if findings else None,
        "grades": grades_table(answer),
        "scores": scores_table(answer),
        "missing": [Row(each) for each in missing_cells(contents)],
        "openings": _openings(contents, opened=answer.opened is not None),
        "made": made_how(contents),
        "words": _words(leaks=leaks, reader=answer.second_reader is not None),
        "refitted_on": "all patients, test patients too" if leaks else "all development patients",
    }


def _planned_values(contents: Contents) -> dict[str, list[AxisValue]]:
    """Values of each compared axis that were asked for."""
    values: dict[str, dict[AxisValue, None]] = {}
    for cell in contents.cells:
        for axis, value in cell.setting_axes.items():
            values.setdefault(axis, {})[value] = None
    return {axis: list(there) for axis, there in values.items()}


def _why_nothing(contents: Contents) -> str:
    """Why there is no finding, where there is none."""
    finished = contents.states.finished
    if not finished:
        return NOTHING_FINISHED
    if not any(each.result.validation for each in finished):
        return NOTHING_HELD_OUT
    return (
        "Nothing can be compared: no setting has readable predictions of all the folds that it was "
        "to hold out"
    )


def _words(*, leaks: bool, reader: bool) -> list[tuple[str, str]]:
    told = dict(WORDS)
    if reader:
        told["second reader"] = "somebody else who graded these knees: what can be hoped for"
    if leaks:
        told["test"] = "patients who were trained on, too (data.leak=true): not a test of anything"
    return list(told.items())


def _leaks(contents: Contents) -> bool:
    return any(cell.config.data.leak for cell in contents.cells)


def _title(contents: Contents, answer: Answer) -> str:
    if contents.run:
        return f"Knee DJD grading: {contents.run.setting}"
    count = len(answer.findings.settings) if answer.findings else 0
    return f"Knee DJD grading: {count_of(count, 'setting')} compared"


def _flow(contents: Contents) -> dict[str, Any] | None:
    """Who was in it, as training wrote it down; None where it didn't, or the file is damaged."""
    try:
        flow = Flow.load(contents.folder)
    except InputError:
        return None
    if flow is None:
        return None
    sides = {"development": flow.development, "test": flow.test}
    return {
        # The lines of the two sides are the table.
        "lines": [f"{sentence}." for sentence in flow_sentences(flow)[:-2]],
        "head": ["part", "patients", "knees", *GRADE_NAMES],
        "rows": [
            Row([name, *map(str, (side.patients, side.knees, *side.knees_per_grade))])
            for name, side in sides.items()
        ],
    }


def _remarks(answer: Answer) -> list[str]:
    tested = (
        beside_test_sentences(answer.opened, capital(other_tested(answer) or "the setting"))
        if answer.opened
        else []
    )
    said = [*tested, *reader_sentences(answer.second_reader)]
    return [*_choice(answer), *(f"{sentence}." for sentence in said)]


def _choice(answer: Answer) -> list[str]:
    findings = answer.findings
    if findings is None or len(findings.settings) == 1:
        return []
    return [f"{each}." for each in (detection_sentence(findings), *luck_sentences(findings))]


def _warnings(contents: Contents, answer: Answer) -> list[str]:
    said = []
    if _leaks(contents):
        said.append(
            "Leak: the test patients were trained on (data.leak=true), to see what that is worth. "
            "Their scores here say nothing about other patients."
        )
    if missing := missing_cells(contents):
        failed = sum(each.state == "failed" for each in missing)
        cells = count_of(len(contents.cells), "cell")
        said.append(
            f"{len(missing)} of {cells} have no result ({failed} failed); settings that lack one "
            "don't compete."
        )
    if answer.findings:
        said += [f"{edge_sentence(edge, answer.findings)}." for edge in answer.edges]
    # Where nothing was held out the headline says so.
    notes = [note for note in answer.notes if note != NOTHING_HELD_OUT]
    return [*said, *(f"{capital(note)}." for note in notes)]


def _openings(contents: Contents, *, opened: bool) -> dict[str, Any]:
    found = openings(contents)
    known = openings_known(contents)
    if not found and opened:
        return {
            "sentence": f"It isn't known: {LEDGER_NAME} is missing or damaged, though there are "
            "scores of the test patients.",
            "rows": [],
        }
    if not found:
        return {"sentence": "Not by this comparison: the test patients stayed closed.", "rows": []}
    # Those of a folder alone say little: other folders may have opened them before.
    counted = _times(max(known, len(found)))
    in_all = f", {counted} in all that its machine had counted by then" if known else ""
    return {
        "sentence": f"From this folder {_times(len(found))}{in_all}. Every look at them makes the "
        "next one worth less; test=never keeps them closed while one is still trying things.",
        "rows": [
            Row((each.when.replace("T", " ").removesuffix("+00:00"), each.setting))
            for each in found
        ],
    }


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
