"""What the page says, section by section."""

from datetime import UTC, datetime
from typing import Any

from djd.comparison.findings.answer import Answer
from djd.comparison.findings.headline import NOTHING_HELD_OUT, headline
from djd.comparison.findings.questions import QUESTIONS, Question, question_sentences
from djd.comparison.findings.reader_sentences import reader_sentences
from djd.comparison.findings.sentences import (
    beside_test_sentences,
    detection_sentence,
    edge_sentence,
    luck_sentences,
)
from djd.comparison.folder import Contents
from djd.comparison.page.provenance import (
    made_how,
    missing_cells,
    openings,
    openings_known,
)
from djd.comparison.page.rows import Row, grades_table, ranking_table, scores_table
from djd.errors import InputError
from djd.grades import GRADE_NAMES
from djd.training.flow import Flow, flow_sentences
from djd.training.summary import count_of

TITLES: dict[Question, str] = {
    "hyperparameters": "Which hyperparameters?",
    "depth": "Which depth?",
    "optimizer": "Which optimizer?",
}

WORDS = (
    ("out of fold", "each development knee graded by the model that did not train on its patient"),
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
    ("minimal disease", "grade 1, which every grader finds hardest"),
    (
        "uptake",
        "a logistic model that knows only how much a knee takes up relative to its leg's shafts",
    ),
    ("majority", "everyone gets the commonest grade"),
    ("setting, cell", "one choice of everything compared; one training of it, on a fold and seed"),
)


def sections(contents: Contents, answer: Answer) -> dict[str, Any]:
    """Everything that the page says, by the names that its template has for it; figures apart."""
    findings = answer.findings
    return {
        "title": _title(contents, answer),
        "stamp": contents.stamp,
        "folder": contents.folder.absolute().name,
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "headline": headline(answer),
        "remarks": _remarks(answer),
        "warnings": _warnings(contents, answer),
        "flow": _flow(contents),
        "questions": [
            {
                "name": question,
                "title": TITLES[question],
                "sentences": question_sentences(question, findings),
            }
            for question in QUESTIONS
            if findings and len(findings.settings) > 1
        ],
        "ranking": ranking_table(findings, answer) if findings else None,
        "grades": grades_table(answer),
        "scores": scores_table(answer),
        "missing": [Row(each) for each in missing_cells(contents)],
        "openings": _openings(contents),
        "made": made_how(contents),
        "words": WORDS,
    }


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
    tested = beside_test_sentences(answer.opened, "The setting") if answer.opened else []
    said = [*tested, *reader_sentences(answer.second_reader)]
    return [*_choice(answer), *(f"{sentence}." for sentence in said)]


def _choice(answer: Answer) -> list[str]:
    findings = answer.findings
    if findings is None or len(findings.settings) == 1:
        return []
    return [f"{each}." for each in (detection_sentence(findings), *luck_sentences(findings))]


def _warnings(contents: Contents, answer: Answer) -> list[str]:
    said = []
    if missing := missing_cells(contents):
        failed = sum(each.state == "failed" for each in missing)
        cells = count_of(len(contents.planned), "cell")
        said.append(
            f"{len(missing)} of {cells} have no result ({failed} failed); settings that lack one "
            "don't compete."
        )
    if answer.findings:
        said += [f"{edge_sentence(edge, answer.findings)}." for edge in answer.edges]
    # Where nothing was held out the headline says so.
    notes = [note for note in answer.notes if note != NOTHING_HELD_OUT]
    return [*said, *(f"{note[:1].upper()}{note[1:]}." for note in notes)]


def _openings(contents: Contents) -> dict[str, Any]:
    found, known = openings(contents), openings_known(contents)
    if not found:
        return {"sentence": "Not by this comparison: the test patients stayed closed.", "rows": []}
    # Those of a folder alone say little: other folders may have opened them before.
    in_all = f", {_times(known)} in all that its machine had counted by then" if known else ""
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
