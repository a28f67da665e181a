"""What became of each cell, for `cells.csv`."""

from collections.abc import Mapping, Sequence

from djd.errors import InputError
from djd.report.scoreboard import figures_of
from djd.report.tables import Row, axis_columns, score_columns, written
from djd.runs.predictions import Predictions, held_out_of, patients_of
from djd.runs.result import PartScores
from djd.statistics.bootstrap import FEW_DRAWS, draw_patients
from djd.statistics.intervals import Estimate
from djd.statistics.scoring import score_settings_draws
from djd.sweeps.cells import Cell, FinishedCell
from djd.sweeps.evidence import predictions_at
from djd.sweeps.states import UNUSABLE_RESULT, States, has_unusable_result


def cell_rows(states: States) -> list[Row]:
    """A row for each cell at each of its score epochs; one alone for a cell without a result.

    Intervals are those of one fold's patients, by fewer draws than a setting's.
    """
    rows = [
        {**_head(cell, state), "reason": reason}
        for state, cell, reason in (
            *(("failed", cell, reason) for cell, reason in states.failed),
            *(("running elsewhere", cell, "") for cell in states.elsewhere),
            *(_to_do(cell) for cell in states.to_do),
        )
    ]
    return [*_finished_rows(states.finished), *rows]


def _to_do(cell: Cell) -> tuple[str, Cell, str]:
    if has_unusable_result(cell):
        return "unusable", cell, UNUSABLE_RESULT
    return "not trained", cell, ""


def _head(cell: Cell, state: str) -> Row:
    config = cell.config
    return {
        "cell": cell.folder.name,
        "state": state,
        "reason": "",
        **axis_columns(cell.axes),
        "learning_rate": written(config.optim.learning_rate),
        "fold": "" if config.data.fold is None else config.data.fold,
        "seed": config.seed,
        "split_seed": config.data.split_seed,
    }


def _finished_rows(finished: Sequence[FinishedCell]) -> list[Row]:
    """Rows of finished cells, scored together where they held out the same knees."""
    rows: list[Row] = []
    alike: dict[tuple[tuple[str, str], ...], list[tuple[Row, Predictions]]] = {}
    for each in finished:
        head = _head(each, "finished")
        try:
            by_epoch = predictions_at(each.folder, each.result.validation)
        except InputError as error:
            rows.append({**head, "state": "unusable", "reason": str(error)})
            continue
        if not by_epoch:  # nothing was held out
            rows.append({**head, "fit_seconds": written(each.result.fit_seconds)})
        for scores in each.result.validation:
            row = {**head, **_of_epoch(scores), "fit_seconds": written(each.result.fit_seconds)}
            predictions = by_epoch[scores.epoch]
            alike.setdefault(predictions.knees, []).append((row, predictions))
            rows.append(row)
    for group in alike.values():
        for (row, _), scored in zip(group, _scored([each for _, each in group]), strict=True):
            row |= score_columns(scored)
    return rows


def _of_epoch(scores: PartScores) -> Row:
    return {"epoch": scores.epoch, "patients": scores.patients, "knees": scores.knees}


def _scored(predictions: Sequence[Predictions]) -> Sequence[Mapping[str, Estimate]]:
    patients = patients_of(predictions)
    graders = [held_out_of([[each]], patients) for each in predictions]
    weights = draw_patients(len(patients), draws=FEW_DRAWS)
    figures = figures_of(graders, score_settings_draws(graders, weights), weights)
    return [each.scores for each in figures]
