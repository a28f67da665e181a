"""Training steps captured as a CUDA graph, against the same steps launched one operator at a time.

A measurement alone: the package captures no steps.
"""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from bench.gpu_settings import RECIPES, Rehearsed, Steps, Take
from bench.gpu_steps import WARM_UPS, or_why, time_steps
from djd.data.datamodule import Batch
from djd.runs.hardware import use_precision


def captured(settings: Rehearsed) -> None:
    """Print a step launched operator by operator and one captured, and how far losses differ."""
    if settings.rehearsal:
        print("(a CPU captures nothing: `captured` is the same step, launched again)\n")
    print("At a constant rate, without augmentation and dropout:\n", flush=True)
    for name, recipe in RECIPES.items():
        print(f"- {name}: {or_why(_captured, settings, recipe)}", flush=True)


def _captured(settings: Rehearsed, recipe: tuple[str, ...]) -> str:
    dropout = () if recipe else ("model.dropout=0",)
    config = settings.config(*recipe, *dropout)
    use_precision(config.trainer.precision)
    # With their steps counted on the GPU; other optimizers take no such argument.
    on_gpu = not settings.rehearsal and "Adam" in str(config.optim.target)
    changed = {"capturable": True} if on_gpu else {}
    record = record_nothing if settings.rehearsal else record_graph
    timed = []
    for arguments, is_captured in (({}, False), ({}, False), (changed, False), (changed, True)):
        steps = Steps.of(config, settings.device)
        optimizer = steps.optimizer(**arguments)
        take = capture(steps, optimizer, record) if is_captured else steps.launch(optimizer)
        timed.append(time_steps(settings, steps, take))
    (usual, losses), (_, again), (ready, others), (graph, replayed) = timed
    return (
        f"launched {1e3 * usual:.2f} ms, with a capturable optimizer {1e3 * ready:.2f} ms, "
        f"captured {1e3 * graph:.2f} ms ({usual / graph:.1f} times as fast as launched); "
        f"{len(losses)} losses: captured at most {_apart(others, replayed):.1e} from the same "
        f"steps launched, launched steps at most {_apart(losses, again):.1e} from themselves"
    )


def _apart(losses: Tensor, others: Tensor) -> float:
    """The largest relative difference."""
    return float(((losses - others).abs() / losses.abs()).max())


Record = Callable[[Callable[[], Tensor]], Callable[[], Tensor]]
"""Runs a step a few times, on tensors that keep their places; gives what runs it again."""


def capture(steps: Steps, optimizer: torch.optim.Optimizer, record: Record) -> Take:
    """The same step as one CUDA graph, from the present weights and an unused optimizer."""
    kept = {name: each.clone() for name, each in steps.classifier.state_dict().items()}
    static = {name: cast(Tensor, each).clone() for name, each in steps.batches[0].items()}
    take = steps.launch(optimizer)
    replay = record(lambda: take(cast(Batch, static)))
    with torch.no_grad():
        for name, each in steps.classifier.state_dict().items():
            each.copy_(kept[name])
        for state in optimizer.state.values():  # moments and counts start at 0
            for each in state.values():
                if isinstance(each, Tensor):
                    each.zero_()

    def copy_and_replay(batch: Batch) -> Tensor:
        for name, each in batch.items():
            static[name].copy_(cast(Tensor, each))
        return replay().clone()

    return copy_and_replay


def record_graph(take: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """As PyTorch's notes on CUDA graphs: some steps in a stream of their own, then one captured."""
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UPS):
            take()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = take()

    def replay() -> Tensor:
        graph.replay()
        return loss

    return replay


def record_nothing(take: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """In place of `record_graph` on a CPU."""
    for _ in range(WARM_UPS):
        take()
    return take
