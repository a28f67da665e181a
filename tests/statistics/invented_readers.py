"""Held-out knees that nobody held out."""

import numpy as np

from djd.statistics.held_out import HeldOut


def reader(seed: int, *, patients: int = 20, knees: int = 2, skill: float = 0.5) -> HeldOut:
    """One setting's knees; the true grades are the same for every seed."""
    grades = np.random.default_rng(patients).integers(0, 5, patients * knees)
    generator = np.random.default_rng([seed, patients])
    logits = generator.normal(size=(len(grades), 5)) + 4 * skill * np.eye(5)[grades]
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return HeldOut(
        patient=np.repeat(np.arange(patients), knees),
        repeat=np.zeros(len(grades), dtype=np.int64),
        grades=grades,
        predicted=chances.argmax(axis=1),
        probabilities=chances,
        patients=patients,
    )


def together(*repeats: HeldOut) -> HeldOut:
    """The same setting trained several times."""
    return HeldOut(
        patient=np.concatenate([each.patient for each in repeats]),
        repeat=np.repeat(np.arange(len(repeats)), [len(each.grades) for each in repeats]),
        grades=np.concatenate([each.grades for each in repeats]),
        predicted=np.concatenate([each.predicted for each in repeats]),
        probabilities=np.concatenate([each.probabilities for each in repeats]),
        patients=repeats[0].patients,
        repeats=len(repeats),
    )
