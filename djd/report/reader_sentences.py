"""A second reader's agreement in words."""

import math

from djd.report.readers import Agreement, SecondReader
from djd.report.wording import scored
from djd.wording import count_of


def reader_sentences(reader: SecondReader | None) -> list[str]:
    """How far a second reader agrees with the grades, and what that means for a network.

    Args:
        reader: What was worked out; None where no second reader was given.
    """
    if reader is None:
        return []
    told = [
        f"A second reader agrees with the grades at {_agreement(agreement, what)}"
        for agreement, what in ((reader.held_out, "held-out"), (reader.test, "test"))
        if agreement
    ]
    if not told:
        return ["The second reader graded none of these knees"]
    # Not that none could do better: a network is fitted to the grades, the reader isn't.
    return [*told, "A network that reaches this agrees with the grades as well as that reader does"]


def _agreement(agreement: Agreement, what: str) -> str:
    kappa = f"kappa {scored(agreement.kappa)}, "
    if math.isnan(agreement.kappa.value):
        kappa = "an undefined kappa, since all knees have one grade, and "
    return (
        f"{kappa}accuracy {scored(agreement.accuracy, percent=True)} on {agreement.knees} of the "
        f"{agreement.asked} {what} knees ({count_of(agreement.patients, 'patient')}; 95 % "
        "intervals)"
    )
