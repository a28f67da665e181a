"""What a run by itself says at its end: what its scores mean, and where everything is."""

from pathlib import Path

from djd.errors import InputError
from djd.report.report import answer_lines, answer_now, missing_sentences, report_line, write_answer
from djd.runs.config import RunConfig
from djd.runs.folder import MODEL_NAME, WINNER
from djd.runs.reading import read_data
from djd.runs.result import RunResult
from djd.runs.summary import openings_sentence, say, tensorboard_line
from djd.sweeps.setting_scores import gather, score_settings
from djd.sweeps.sweep import sweep_of_run
from djd.sweeps.winner import sweep_opened


def report_run(config: RunConfig, folder: Path, result: RunResult) -> None:
    """Print the answer of a run as that of a comparison of one setting, and write tables and page.

    A disk that takes no more costs tables and baselines, not the run.

    Args:
        config: Of the run.
        folder: Of the run.
        result: What came of it.
    """
    contents = sweep_of_run(folder, result)
    settings, incomplete = score_settings(contents.cells, contents.finished)
    evidence = gather(settings)
    refits = sweep_opened(contents, evidence.settings)
    notes = missing_sentences(contents, settings, incomplete)
    cohort, split = read_data(config)
    answer = answer_now(folder, evidence, refits, cohort=cohort, split=split, notes=notes)
    for line in answer_lines(answer):
        say(line)
    try:
        write_answer(contents, answer, with_page=config.report)
    except OSError as error:
        say(f"warning: {error.filename or folder}: can't be written ({error.strerror or error})")
    except InputError as error:
        say(f"warning: {error}")
    else:
        if config.report:
            say(report_line(folder))
    if result.test_openings:
        say(openings_sentence(result.test_openings))
        say(f"Model of all development patients: {folder / WINNER / result.setting / MODEL_NAME}")
    say(". ".join(filter(None, (contents.stamp, "Research use only"))))
    say(f"Everything is in {folder}")
    say(f"Dashboard: {tensorboard_line(folder)}")
