"""Real trainings: slow, and the only tests that ask whether anything is learned."""

from pathlib import Path

import numpy as np
import pytest

from djd.data.phantom.cohort import make_cohort
from tests.conftest import compose_values
from tests.training import run_cell

PATIENTS, EPOCHS = 120, 25


def validation_kappas(scans: Path, root: Path) -> list[float]:
    """Out-of-fold kappa of each of three folds."""
    kappas = []
    for fold in range(3):
        place = root / str(fold)
        place.mkdir()
        values = compose_values(
            "data=mat",
            f"data.root='{scans}'",
            "data.test_count=20",
            "data.folds=3",
            f"data.fold={fold}",
            "model.depth=1",
            "model.width=8",
            f"trainer.max_epochs={EPOCHS}",
            "trainer.accelerator=cpu",
            f"paths.cache='{root / 'cache'}'",
        )
        result = run_cell(values, place)
        assert result is not None
        kappas.append(result.validation[-1].scores["kappa"] or 0.0)
    return kappas


@pytest.mark.slow
def test_a_network_learns_to_grade_phantoms(tmp_path: Path) -> None:
    make_cohort(tmp_path / "scans", patients=PATIENTS, seed=11)
    kappas = validation_kappas(tmp_path / "scans", tmp_path)
    assert np.mean(kappas) > 0.4


@pytest.mark.slow
def test_nothing_is_learned_where_grades_are_unrelated_to_images(
    null_folder: Path, tmp_path: Path
) -> None:
    """With 200 held-out knees in all, chance keeps the mean kappa within 0.25 of zero."""
    kappas = validation_kappas(null_folder, tmp_path)
    assert len(list(null_folder.glob("*.mat"))) == PATIENTS
    assert abs(np.mean(kappas)) < 0.25
