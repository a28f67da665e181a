import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, strategies
from scipy.special import expit, softmax
from scipy.stats import norm
from torch import Tensor

from djd.errors import InputError
from djd.models.losses import Loss
from djd.models.ordered import Corn, ExpectedGrade, Ordinal, SoftLabels

LOSSES: list[type[Any]] = [Ordinal, Corn, SoftLabels, ExpectedGrade]
GRADES = torch.tensor([0, 1, 2, 3, 4, 4, 0])
WEIGHTS = [1.0, 2.0, 0.5, 3.0, 0.25]


def outputs_for(loss: Loss, knees: int = len(GRADES)) -> Tensor:
    return torch.randn(knees, loss.outputs, generator=torch.Generator().manual_seed(0)).double() * 2


def entropy(chances: Any, truths: Any) -> Any:
    return -np.where(truths, np.log(chances), np.log1p(-chances))


def expected_terms(loss: Loss, outputs: Any, grades: Any) -> tuple[Any, Any]:
    """Terms (knee, term) and which of them count, by NumPy alone."""
    if isinstance(loss, SoftLabels):
        labels = softmax(-1.5 * np.abs(np.arange(5) - grades[:, None]), axis=1)
        terms = -(labels * np.log(softmax(outputs, axis=1))).sum(axis=1, keepdims=True)
        return terms, np.ones_like(terms)
    if isinstance(loss, ExpectedGrade):
        terms = (outputs + 2 - grades[:, None]) ** 2
        return terms, np.ones_like(terms)
    above = grades[:, None] > np.arange(4)
    if isinstance(loss, Corn):
        return entropy(expit(outputs), above), grades[:, None] >= np.arange(4)
    terms = entropy(expit(outputs - np.array([-1.5, -0.5, 0.5, 1.5])), above)
    return terms, np.ones_like(terms)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("kind", LOSSES)
def test_losses_are_those_of_their_formulas(kind: type[Any], weights: list[float] | None) -> None:
    loss = kind(class_weights=weights)
    outputs = outputs_for(loss)
    terms, there = expected_terms(loss, outputs.numpy(), GRADES.numpy())
    each = there * np.array(weights or [1.0] * 5)[GRADES.numpy()][:, None]
    expected = (each * terms).sum() / each.sum()
    assert loss(outputs, GRADES).item() == pytest.approx(expected, rel=1e-6)


def test_probabilities_are_those_of_their_formulas() -> None:
    ordinal, corn, soft, expected_grade = (kind() for kind in LOSSES)
    one, four, five = (outputs_for(loss).numpy() for loss in (ordinal, corn, soft))
    cuts = np.array([-np.inf, -1.5, -0.5, 0.5, 1.5, np.inf])
    logistic = np.diff(expit(cuts - one), axis=1)
    stops = np.column_stack([1 - expit(four), np.ones(len(four))])
    reached = np.cumprod(np.column_stack([np.ones(len(four)), expit(four)]), axis=1)
    normal = norm.pdf(np.arange(5), loc=one + 2, scale=0.7)
    for loss, expected in (
        (ordinal, logistic),
        (corn, reached * stops),
        (soft, softmax(five, axis=1)),
        (expected_grade, normal / normal.sum(axis=1, keepdims=True)),
    ):
        received = loss.probabilities(outputs_for(loss)).detach().numpy()
        np.testing.assert_allclose(received, expected, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", LOSSES)
@given(strategies.lists(strategies.floats(-1e4, 1e4, width=32), min_size=20, max_size=20))
def test_any_outputs_give_probabilities_a_finite_loss_and_gradient(
    kind: type[Any], dtype: torch.dtype, values: list[float]
) -> None:
    loss = kind()
    if isinstance(loss, Ordinal):
        with torch.no_grad():  # whatever a training makes of the cuts
            loss.first_cut.fill_(values[-1])
            loss.steps.copy_(torch.tensor(values[-4:-1]))
    size = 4 * loss.outputs
    outputs = torch.tensor(values[:size], dtype=dtype).view(4, -1).requires_grad_()
    shares = loss.probabilities(outputs).detach()
    assert float(shares.min()) >= 0
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(4, dtype=dtype))
    above = 1 - shares.cumsum(dim=1)
    assert (above.diff(dim=1) <= 0).all(), "a grade above k + 1 is a grade above k"
    loss(outputs, torch.tensor([0, 2, 4, 1])).backward()
    for values_in in (outputs, *loss.parameters()):
        assert values_in.grad is not None
        assert values_in.grad.isfinite().all()


def test_cuts_stay_in_order_and_are_learned() -> None:
    """A large share of grade 2 moves its cuts apart."""
    loss = Ordinal()
    assert loss.cuts.tolist() == pytest.approx([-1.5, -0.5, 0.5, 1.5])
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.1)
    grades = torch.tensor([0, 2, 2, 2, 2, 2, 2, 4])
    for _ in range(200):
        optimizer.zero_grad()
        loss(torch.zeros(8, 1), grades).backward()
        optimizer.step()
    assert (loss.cuts.diff() > 0).all()
    expected = torch.tensor([1 / 8, 0, 6 / 8, 0, 1 / 8])
    torch.testing.assert_close(
        loss.probabilities(torch.zeros(1, 1))[0], expected, atol=0.05, rtol=0
    )


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan, "1", True, None])
def test_a_width_of_labels_or_of_the_expected_grade_is_a_number_above_0(value: Any) -> None:
    with pytest.raises(InputError, match=r"^loss\.sharpness: expected a number above 0, received"):
        SoftLabels(sharpness=value)
    with pytest.raises(InputError, match=r"^loss\.deviation: expected a number above 0, received"):
        ExpectedGrade(deviation=value)
