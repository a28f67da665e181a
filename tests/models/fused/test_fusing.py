"""Where the compiled blocks don't apply, plain layers give the same numbers."""

import logging
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from djd.errors import InputError
from djd.models.fused import fused, fusing, passes
from djd.models.fused.fusing import Blocks, can_fuse, trusted, use_blocks
from djd.models.networks import KneeBlock, KneeCNN
from tests.models.fused.builds import FLAGS, built_with, lanes_of

compiled = pytest.mark.skipif(not trusted(torch.float32), reason="no C compiler here")

COMPILED, PLAIN = Blocks(blocks="compiled", lanes=16), Blocks(blocks="plain", lanes=None)


def block_of(channels: int = 16) -> KneeBlock:
    torch.manual_seed(0)
    return KneeBlock(1, channels)


@compiled
def test_the_usual_block_is_compiled() -> None:
    assert can_fuse(torch.rand(2, 1, 128, 128), block_of())


@pytest.mark.parametrize(
    ("crops", "channels"),
    [
        (torch.rand(2, 1, 32, 32), 6),
        (torch.rand(2, 1, 32, 16), 16),
        (torch.rand(2, 1, 15, 15), 16),
        (torch.rand(2, 1, 32, 32).double(), 16),
        (torch.rand(2, 1, 32, 32).bfloat16(), 16),
        (torch.rand(2, 1, 32, 32, device="meta"), 16),
    ],
    ids=["6 channels", "not square", "odd", "other type", "bfloat16", "other device"],
)
def test_what_the_passes_cannot_take_is_left_to_plain_layers(
    crops: torch.Tensor, channels: int
) -> None:
    assert not can_fuse(crops, block_of(channels))


def test_under_autocast_plain_layers_compute() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not can_fuse(torch.rand(2, 1, 32, 32), block_of())


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*:torch.jit.TracerWarning")
def test_a_traced_network_still_depends_on_its_crops() -> None:
    """What the passes do leaves no trace: a graph with them in it would always say the same."""
    block = block_of().eval()
    with torch.no_grad():
        traced = torch.jit.trace(block, torch.rand(2, 1, 32, 32))  # type: ignore[no-untyped-call]
        crops = torch.rand(2, 1, 32, 32)
        torch.testing.assert_close(traced(crops), block(crops))


def test_an_exported_network_still_depends_on_its_crops() -> None:
    block = block_of().eval()
    with torch.no_grad():
        exported = torch.export.export(block, (torch.rand(2, 1, 32, 32),)).module()
        crops = torch.rand(2, 1, 32, 32)
        torch.testing.assert_close(exported(crops), block(crops))


def test_what_has_no_memory_is_left_to_plain_layers() -> None:
    block = block_of()
    block(torch.rand(2, 1, 32, 32))
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert block(torch.empty(2, 1, 32, 32)).shape == (2, 16, 16, 16)


def test_hooks_on_a_blocks_layers_are_called() -> None:
    block, called = block_of(), []
    block[0].register_forward_hook(lambda *given: called.append(given))
    block(torch.rand(2, 1, 32, 32))
    assert len(called) == 1


@compiled
@pytest.mark.parametrize(("channels", "said"), [(16, "compiled blocks"), (5, "plain layers")])
def test_a_network_says_what_it_was_trained_with(channels: int, said: str) -> None:
    network = KneeCNN(depth=2, width=channels, pixels=32)
    assert network.trained_with == "plain layers"
    network(torch.rand(2, 1, 32, 32))
    assert network.trained_with == said


@compiled
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="GNU's OpenMP")
def test_passes_share_pytorchs_threads() -> None:
    assert passes._parallel()


def test_in_evaluation_gradients_can_be_asked_for() -> None:
    crops = torch.rand(2, 1, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(block_of().eval()(crops).sum(), crops)
    assert gradient.abs().max() > 0


@compiled
@pytest.mark.parametrize("training", [True, False])
def test_without_a_compiler_the_numbers_are_the_same(
    monkeypatch: pytest.MonkeyPatch, training: bool
) -> None:
    crops = torch.rand(3, 1, 32, 32)
    with torch.no_grad():
        ours = block_of().train(training)(crops)
        monkeypatch.setattr(fusing, "library", lambda in_double: None)
        trusted.cache_clear()
        assert not trusted(torch.float32)
        theirs = block_of().train(training)(crops)
    trusted.cache_clear()
    torch.testing.assert_close(ours, theirs)


@compiled
@pytest.mark.parametrize("size", [32, 256])
def test_without_openmp_one_thread_does_the_same(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Of many values, which threads share, and of few."""
    crops = torch.rand(3, 1, size, size)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with torch.no_grad():
        ours = block_of()(crops)
        monkeypatch.setattr(passes, "_parallel", lambda: 0)
        assert torch.equal(ours, block_of()(crops))
    torch.set_num_threads(before)


@compiled
@pytest.mark.parametrize(
    ("wrong", "results"),
    [
        ("first_forward", 1),
        ("forward", 1),
        ("first_backward", 3),
        ("backward", 3),
        ("head", 1),
        ("head_backward", 1),
    ],
)
def test_passes_that_were_compiled_wrongly_are_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, wrong: str, results: int
) -> None:
    right = getattr(passes, wrong)
    for off in range(results):

        def slightly_off(*given: Any, off: int = off) -> Any:
            results = right(*given)
            (results if wrong.startswith("head") else results[off]).mul_(1.1)
            return results

        monkeypatch.setattr(passes, wrong, slightly_off)
        trusted.cache_clear()
        with caplog.at_level(logging.WARNING, logger="djd"):
            assert not trusted(torch.float32)
        trusted.cache_clear()
    assert len(caplog.messages) == results
    assert all("the layers are used" in message for message in caplog.messages)


@compiled
@pytest.mark.parametrize("wrong", ["first_score", "score"])
def test_a_wrong_evaluation_is_not_used(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    """Every reported score would be wrong."""
    right = getattr(passes, wrong)
    monkeypatch.setattr(passes, wrong, lambda *given: 1.1 * right(*given))
    trusted.cache_clear()
    assert not trusted(torch.float32)
    trusted.cache_clear()


@compiled
@pytest.mark.parametrize("wrong", ["first_forward", "forward"])
@pytest.mark.parametrize("statistic", ["running_mean", "running_var"])
def test_running_statistics_that_move_wrongly_are_not_used(
    monkeypatch: pytest.MonkeyPatch, wrong: str, statistic: str
) -> None:
    right = getattr(passes, wrong)

    def slightly_off(maps: torch.Tensor, layers: Any, norm: Any) -> Any:
        results = right(maps, layers, norm)
        getattr(norm, statistic).mul_(1.1)
        return results

    monkeypatch.setattr(passes, wrong, slightly_off)
    trusted.cache_clear()
    assert not trusted(torch.float32)
    trusted.cache_clear()


@compiled
def test_looking_whether_they_agree_draws_no_random_numbers() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    trusted.cache_clear()
    assert trusted(torch.float32)
    assert torch.equal(torch.get_rng_state(), before)


@compiled
def test_agreement_can_be_looked_at_while_nothing_is_tracked() -> None:
    trusted.cache_clear()
    with torch.inference_mode():
        block_of().eval()(torch.rand(1, 1, 32, 32))
    assert trusted(torch.float32)
    assert fused.FusedBlock is not None


@compiled
@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize("dtype", fusing.TOLERANCES)
def test_passes_for_every_width_of_registers_agree_with_plain_layers(
    flag: str, dtype: torch.dtype
) -> None:
    with built_with(flag):
        assert trusted(dtype)


@compiled
def test_a_pass_works_on_as_many_channels_as_a_register_holds() -> None:
    assert lanes_of("-mno-avx") == 4
    assert lanes_of("-mno-avx512f") in (4, 8)
    assert lanes_of("") in (4, 8, 16)


@compiled
@pytest.mark.parametrize("channels_in", [1, 16])
def test_builds_for_all_widths_give_the_same_to_rounding(channels_in: int) -> None:
    crops = torch.rand(3, channels_in, 32, 32)
    outcomes = []
    for flag in FLAGS:
        with built_with(flag):
            torch.manual_seed(0)
            block = KneeBlock(channels_in, 32)
            out = block(crops)
            out.square().mean().backward()
            assert block.trained_compiled
            outcomes.append([out, *(each.grad for each in block.parameters()), *block.buffers()])
    for other in outcomes[1:]:
        torch.testing.assert_close(other, outcomes[0], rtol=1e-4, atol=1e-5)


@compiled
@pytest.mark.parametrize(
    ("lanes", "plain_blocks"), [(16, 0), (8, 0), (4, 0), (32, 1), (64, 2), (None, 5)]
)
def test_the_recorded_lanes_say_which_blocks_are_compiled(
    tmp_path: Path, lanes: int | None, plain_blocks: int
) -> None:
    """Whatever the lanes of this processor are: blocks of 16, 32, 64, 128 and 256 channels."""
    blocks = Blocks(blocks="compiled" if lanes else "plain", lanes=lanes)
    (tmp_path / "blocks.json").write_text(blocks.model_dump_json())
    use_blocks(tmp_path)
    network = KneeCNN(depth=5)
    network(torch.rand(2, 1, 128, 128))
    taken = [block.trained_compiled for block in network.blocks]
    assert taken == [at >= plain_blocks for at in range(5)]


@compiled
def test_channels_that_were_no_multiple_of_the_recorded_lanes_stay_plain(tmp_path: Path) -> None:
    (tmp_path / "blocks.json").write_text(COMPILED.model_dump_json())
    with built_with("-mno-avx"):
        assert can_fuse(torch.rand(2, 1, 32, 32), block_of(8))
        use_blocks(tmp_path)
        assert not can_fuse(torch.rand(2, 1, 32, 32), block_of(8))
        assert can_fuse(torch.rand(2, 1, 32, 32), block_of(16))


@pytest.mark.parametrize(("first", "later"), [(COMPILED, PLAIN), (PLAIN, COMPILED)])
def test_what_a_folder_records_is_taken_whatever_the_machine_would_choose_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: Blocks, later: Blocks
) -> None:
    monkeypatch.setattr(fusing, "blocks_here", lambda: first)
    assert use_blocks(tmp_path) == first
    monkeypatch.setattr(fusing, "blocks_here", lambda: later)
    fusing._in_use.clear()
    assert use_blocks(tmp_path) == first
    assert can_fuse(torch.rand(2, 1, 32, 32), block_of()) == (
        first == COMPILED and trusted(torch.float32)
    )


def test_where_recorded_blocks_are_not_available_one_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "blocks.json").write_text(COMPILED.model_dump_json())
    monkeypatch.setattr(fusing, "trusted", lambda dtype: False)
    with caplog.at_level(logging.WARNING, logger="djd"):
        use_blocks(tmp_path)
    (message,) = caplog.messages
    assert "results differ by rounding" in message
    assert not can_fuse(torch.rand(2, 1, 32, 32), block_of())


@pytest.mark.parametrize("damaged", ["", '{"blocks":', '{"blocks": "some", "lanes": 8}'])
def test_a_damaged_record_is_named(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "blocks.json").write_text(damaged)
    with pytest.raises(InputError, match=r"blocks\.json: expected a record .* received a damaged"):
        use_blocks(tmp_path)
