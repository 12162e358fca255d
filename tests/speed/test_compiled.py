"""Compiled blocks: how many graphs, that they give the same, and when they are made."""

import copy
import shutil

import pytest
import torch
from adapted_model import adapted_transformer, inputs_of, loss_and_gradients
from diffusers.models.transformers.ace_step_transformer import AceStepTransformerBlock
from torch._dynamo.testing import CompileCounterWithBackend

from acestep.speed.compiled import Work, choose_compile, compile_blocks, missing_compiler
from acestep.speed.levels import apply_level

CPU = torch.device("cpu")
# Patches and condition tokens, some of which happen to agree with each other or with a window
ALONE = [((50,), (50,)), ((300,), (33,)), ((128,), (128,)), ((257,), (9,)), ((1000,), (384,))]
TOGETHER = [((60, 40, 7), (11, 30, 30)), ((300, 300), (20, 20)), ((200, 129), (50, 128))]


@pytest.fixture(autouse=True)
def _forget():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def differences(transformer, compiled_one, cases):
    """The largest relative difference of losses and gradients."""
    worst = 0.0
    for case in cases:
        (loss, gradients), (ours, our_gradients) = (
            loss_and_gradients(each, *case) for each in (transformer, compiled_one)
        )
        worst = max(worst, abs(ours - loss).item() / loss.item())
        for gradient, our_gradient in zip(gradients, our_gradients, strict=True):
            worst = max(worst, ((our_gradient - gradient).norm() / gradient.norm()).item())
    return worst


def test_three_graphs_for_any_depth_and_any_length_with_dropout_and_checkpointing():
    transformer = adapted_transformer(layers=5, dropout=0.1, adapter="rslora")
    counter = CompileCounterWithBackend("eager")
    twin = copy.deepcopy(transformer)
    compile_blocks(twin, together=False, backend=counter)
    apply_level(twin, "full")
    assert differences(transformer, twin, ALONE) < 1e-5
    assert counter.frame_count == 3


def test_padded_batches_of_any_number_are_one_graph_more():
    transformer = adapted_transformer(layers=1)
    counter = CompileCounterWithBackend("eager")
    twin = copy.deepcopy(transformer)
    compile_blocks(twin, together=True, backend=counter)
    assert differences(transformer, twin, TOGETHER) < 1e-5
    assert counter.frame_count == 1


def test_only_passes_that_train_are_compiled():
    transformer = adapted_transformer(layers=2)
    counter = CompileCounterWithBackend("eager")
    twin = copy.deepcopy(transformer)
    compile_blocks(twin, together=False, backend=counter)
    inputs = inputs_of((200,), (11,))
    with torch.no_grad():
        ours, theirs = (each(**inputs, return_dict=False)[0] for each in (twin, transformer))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    twin.eval()
    loss_and_gradients(twin)
    assert counter.frame_count == 0


def test_half_precision_under_autocast():
    transformer = adapted_transformer(layers=1, dtype=torch.bfloat16)
    twin = copy.deepcopy(transformer)
    compile_blocks(twin, together=False, backend="eager")
    (loss, gradients), (ours, our_gradients) = (
        loss_and_gradients(each, (150,), (20,), torch.bfloat16) for each in (transformer, twin)
    )
    assert abs(ours - loss) < 2**-7 * loss
    flat, our_flat = (torch.cat([g.flatten() for g in each]) for each in (gradients, our_gradients))
    assert torch.cosine_similarity(flat, our_flat, dim=0) > 0.999


@pytest.mark.skipif(not shutil.which("g++"), reason="there is no compiler")
def test_torchs_own_compiler_gives_the_same():
    transformer = adapted_transformer(layers=1)
    twin = copy.deepcopy(transformer)
    compile_blocks(twin, together=False)
    assert differences(transformer, twin, ALONE[:2]) < 1e-5
    code = AceStepTransformerBlock.forward.__code__
    assert len(torch._dynamo.eval_frame._debug_get_cache_entry_list(code)) == 1


def work(steps, **more):
    return Work(**{"passes": steps, "layers": 24, "width": 2048, "patches": 750.0} | more)


def test_it_is_chosen_for_long_runs():
    short = work(2, layers=4, width=192, patches=150)
    assert not choose_compile("auto", CPU, short).value
    assert "times as long" in choose_compile("auto", CPU, short).why
    assert not choose_compile("auto", CPU, work(0)).value
    assert choose_compile("on", CPU, short).value
    assert choose_compile("auto", CPU, work(4000)).value


def test_a_minute_of_music_pays_on_a_gpu_after_so_many_steps():
    assert work(1250).share("cuda") == 1.0
    assert work(313, patches=3000).share("cuda") > 1
    assert work(1250, patches=100).share("cuda") == 1.0  # what is issued costs the same


def test_what_stands_in_the_way_is_said():
    choice = choose_compile("on", CPU, work(4000), "the base is split")
    assert (choice.value, choice.why, choice.slower) == (False, "the base is split", True)
    assert "Triton" in missing_compiler(torch.device("cuda")) or torch.cuda.is_available()
    assert "mps" in missing_compiler(torch.device("mps"))
    # not monkeypatch: it would leave the setting deleted
    with torch._inductor.config.patch({"cpp.cxx": ("no-such-compiler",)}):
        choice = choose_compile("on", CPU, work(4000))
    assert not choice.value and choice.slower and "g++" in choice.why
