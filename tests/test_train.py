"""The loop: it learns, its numbers are the original's, it stops, saves and refuses as it says."""

import errno
import json
import shutil
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from training_data import TINY, tiny_tensors

import acestep.training.session as session_module
from acestep.adapters.attach import trainable_parameters
from acestep.config import TrainConfig
from acestep.errors import ModelError, RunError, TensorError
from acestep.events import Evaluation, Finished, Notice, Saved, Started, Step, Stopped
from acestep.train import resume_command, train
from acestep.training.evaluate import losses_by_song
from acestep.training.run import RunFolder
from acestep.training.session import open_session
from acestep.training.step import optimizer_step, summed_loss

KNOBS = {"rank": 4, "epochs": 3, "save_every": 2, "device": "cpu", "learning_rate": 1e-3}


@pytest.fixture
def tensors(tmp_path):
    return tiny_tensors(tmp_path / "tensors")


def run(tensors, output, **knobs):
    return list(train(TrainConfig(tensors=tensors, output=output, **(KNOBS | knobs))))


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def weights(run_folder, name):
    stored = load_file(run_folder / "checkpoints" / name / "adapter_model.safetensors")
    return {key: tensor.clone() for key, tensor in stored.items()}  # no longer mapped to the file


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_a_run_leaves_everything_it_promises(tensors, tmp_path):
    output = tmp_path / "runs" / "jazz"
    events = run(tensors, output)
    assert isinstance(events[0], Started) and isinstance(events[-1], Finished)
    assert [event.step for event in of(Step, events)] == list(range(1, 13))
    assert [Path(event.path).name for event in of(Saved, events)] == ["epoch_2", "epoch_3"]
    for name in ("epoch_2", "epoch_3"):
        files = {path.name for path in (output / "checkpoints" / name).iterdir()}
        assert {"adapter_config.json", "adapter_model.safetensors", "training_state.pt"} <= files
    settings = json.loads((output / "config.json").read_text())
    assert settings["config"]["rank"] == 4 and settings["plan"]["law"]["shift"] == 3.0
    assert (
        len(settings["modules"]) == 4 * 2 * 4 and "layers.0.self_attn.to_q" in settings["modules"]
    )
    assert (output / "loss.png").stat().st_size > 5000
    assert list((output / "tensorboard").iterdir())
    log = RunFolder(output).read_events()
    assert log == events


def test_learning_lowers_the_loss_that_is_measured(tensors, tmp_path):
    events = run(tensors, tmp_path / "run", epochs=60, learning_rate=5e-3, validate_every=20)
    results = of(Evaluation, events)
    assert [event.epoch for event in results] == [0, 20, 40, 60]
    assert len({event.base_loss for event in results}) == 1
    steps = of(Step, events)
    first, last = (sum(s.loss for s in part) / len(part) for part in (steps[:20], steps[-20:]))
    assert last < 0.9 * first


def test_before_the_first_step_the_adapter_is_the_base(tensors, tmp_path):
    start = of(Evaluation, run(tensors, tmp_path / "run"))[0]
    assert start.step == 0 and start.loss == start.base_loss
    assert start.songs.keys() == {f"song{n}" for n in range(4)}


def test_the_same_seed_gives_the_same_adapter_and_another_seed_another(tensors, tmp_path):
    first, again, other = (tmp_path / name for name in ("a", "b", "c"))
    run(tensors, first)
    torch.manual_seed(12345)
    run(tensors, again)
    run(tensors, other, seed=43)
    assert same(weights(first, "epoch_3"), weights(again, "epoch_3"))
    assert not same(weights(first, "epoch_3"), weights(other, "epoch_3"))


def test_evaluating_and_saving_more_often_changes_nothing(tensors, tmp_path):
    run(tensors, tmp_path / "a", validate_every=1, save_every=1)
    run(tensors, tmp_path / "b", validate_every=50, save_every=50)
    assert same(weights(tmp_path / "a", "epoch_3"), weights(tmp_path / "b", "epoch_3"))


def test_golden_lora_steps(tmp_path, monkeypatch):
    """Upstream's five AdamW steps: losses, gradients, norm and weights."""
    golden = load_file(Path(__file__).parent / "golden" / "training_lora.safetensors")
    folder = tiny_tensors(tmp_path / "tensors", lengths=(48, 48))
    for number in range(2):
        record = torch.load(folder / f"sample_{number}.pt", weights_only=True)
        for ours, theirs in (
            ("target_latents", "target_latents"),
            ("context_latents", "context_latents"),
            ("encoder_hidden_states", "encoder_hidden_states"),
        ):
            record[ours] = golden[f"batch.{theirs}"][number].clone()
        torch.save(record, folder / f"sample_{number}.pt")
    config = TrainConfig(
        tensors=folder,
        output=tmp_path / "run",
        rank=4,
        alpha=8,
        dropout=0,
        batch_size=2,
        epochs=5,
        validation=0,
        device="cpu",
        max_grad_norm=1e9,
    )
    session, _ = open_session(config, ExitStack())
    names = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out.0": "o_proj"}

    def original(name):
        for ours, theirs in names.items():
            name = name.replace(f".{ours}.", f".{theirs}.")
        return name

    start = load_file(
        Path(__file__).parent / "golden/adapters/upstream_peft_attn_r4_a8/adapter_model.safetensors"
    )
    parameters = trainable_parameters(session.transformer)
    assert len(parameters) == golden["n_trainable_tensors"].item()
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(start[original(name)])
    gradients = {}
    fixed_draws(monkeypatch, golden)
    session.optimizer.register_step_pre_hook(
        lambda *_: (
            gradients.update({original(n): p.grad.clone() for n, p in parameters.items()})
            if not gradients
            else None
        )
    )
    norms = []
    for step in range(5):
        loss, norm = optimizer_step(session, step, 1e-2)
        norms.append(norm.item())
        assert loss.item() == pytest.approx(golden["losses"][step].item(), abs=2e-5)
    assert norms[0] == pytest.approx(golden["step0.grad_norm"].item(), rel=1e-5)
    for key, value in golden.items():
        if key.startswith("step0.grad."):
            assert torch.allclose(gradients[key.removeprefix("step0.grad.")], value, atol=2e-5), key
        if key.startswith("after5."):
            found = {original(name): parameter for name, parameter in parameters.items()}
            assert torch.allclose(found[key.removeprefix("after5.")], value, atol=1e-4), key


def fixed_draws(monkeypatch, golden):
    """Feed the stored times and noises to the loop, in the order of the batch."""
    import sys

    from acestep.training.draws import Draw

    module = sys.modules["acestep.training.step"]

    def stored(law, shape, condition_dropout, seed, step, position):
        return Draw(
            golden["timestep"][step, position : position + 1],
            golden["noise_x1"][step, position][None],
            False,
        )

    monkeypatch.setattr(module, "draw_sample", stored)
    monkeypatch.setattr(module, "epoch_order", lambda *_: [0, 1])


def test_a_sample_in_a_batch_has_the_loss_and_gradient_it_has_alone(tensors, tmp_path):
    def session(name, **knobs):
        config = TrainConfig(tensors=tensors, output=tmp_path / name, **(KNOBS | knobs))
        return open_session(config, ExitStack())[0]

    batch = session("batch", batch_size=4, validation=0)
    alone = session("alone", batch_size=4, validation=0)
    captured = {}
    batch.optimizer.register_step_pre_hook(
        lambda *_: captured.update({n: p.grad.clone() for n, p in batch.parameters.items()})
    )
    batch.config = batch.config.model_copy(update={"max_grad_norm": 1e9})
    loss, _ = optimizer_step(batch, 0, 1e-3)
    from acestep.training.draws import epoch_order

    order = epoch_order(42, 0, 4)
    alone.transformer.train()
    total, sums = 0.0, {name: torch.zeros_like(p) for name, p in alone.parameters.items()}
    for position in range(len(order)):
        single = summed_loss(alone, order, [position], 0)
        gradients = torch.autograd.grad(single, list(alone.parameters.values()))
        total += single.item() / 4
        for name, gradient in zip(sums, gradients, strict=True):
            sums[name] += gradient / 4
    assert loss.item() == pytest.approx(total, rel=1e-6)
    assert all(torch.allclose(captured[name], sums[name], atol=1e-7) for name in sums)
    assert {clip.latents.shape[1] for clip in batch.split.train} == {24, 30, 17}


def test_accumulation_is_a_larger_batch_and_the_rest_of_an_epoch_counts_fully(tensors, tmp_path):
    run(tensors, tmp_path / "a", batch_size=3)
    run(tensors, tmp_path / "b", gradient_accumulation=3)
    assert same(weights(tmp_path / "a", "epoch_3"), weights(tmp_path / "b", "epoch_3"))


@pytest.mark.parametrize("more", [{}, {"teach_guidance": 2.0}, {"condition_dropout": 0.5}])
def test_clips_that_go_together_teach_what_they_teach_alone(tensors, tmp_path, more):
    """Songs of 24, 30 and 17 frames in one padded batch; only rounding differs."""
    knobs = {"batch_size": 3, "dropout": 0.0, "learning_rate": 1e-3, **more}
    alone, together = (
        run(tensors, tmp_path / str(count), patches_at_once=count, **knobs) for count in (0, 1000)
    )
    losses = [[e.loss for e in events if isinstance(e, Step)] for events in (alone, together)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) and losses[0] != losses[1]
    a, b = (weights(tmp_path / str(count), "epoch_3") for count in (0, 1000))
    assert all(torch.allclose(a[name], b[name], atol=1e-5) for name in a)


def test_gradient_checkpointing_changes_no_bit(tensors, tmp_path):
    run(tensors, tmp_path / "a", gradient_checkpointing="on", dropout=0.2)
    run(tensors, tmp_path / "b", gradient_checkpointing="off", dropout=0.2)
    assert same(weights(tmp_path / "a", "epoch_3"), weights(tmp_path / "b", "epoch_3"))


def test_dropout_acts_in_training_and_not_in_evaluation(tensors, tmp_path):
    with_dropout = run(tensors, tmp_path / "a", dropout=0.5)
    without = run(tensors, tmp_path / "b", dropout=0.0)
    assert of(Step, with_dropout)[-1].loss != of(Step, without)[-1].loss
    session, _ = open_session(
        TrainConfig(tensors=tensors, output=tmp_path / "c", **KNOBS, dropout=0.5), ExitStack()
    )
    once, again = (losses_by_song(session.measure().held_out) for _ in range(2))
    assert once == again


def test_dropped_conditions_are_the_learned_null(tensors, tmp_path):
    config = TrainConfig(tensors=tensors, output=tmp_path / "run", condition_dropout=1.0, **KNOBS)
    session, _ = open_session(config, ExitStack())
    seen = []
    session.transformer.register_forward_pre_hook(
        lambda _, __, kwargs: seen.append(kwargs["encoder_hidden_states"]), with_kwargs=True
    )
    optimizer_step(session, 0, 1e-3)
    null = load_file(Path(__file__).parent / "golden/condition.safetensors")["null_condition_emb"]
    assert torch.equal(seen[0], null.expand_as(seen[0]))


def test_guidance_is_taught_in_the_loss_and_in_what_is_measured(tensors, tmp_path):
    plain = run(tensors, tmp_path / "plain", epochs=2, dropout=0.0)
    taught = run(tensors, tmp_path / "taught", epochs=2, dropout=0.0, teach_guidance=2.0)
    one = run(tensors, tmp_path / "one", epochs=2, dropout=0.0, teach_guidance=1.0)
    first = [of(Step, events)[0].loss for events in (plain, one, taught)]
    assert first[0] == first[1] != first[2]
    bases = [of(Evaluation, events)[0].base_loss for events in (plain, one, taught)]
    assert bases[0] == bases[1] != bases[2]
    assert of(Evaluation, taught)[0].loss == pytest.approx(bases[2])  # before the first step
    assert not same(weights(tmp_path / "plain", "epoch_2"), weights(tmp_path / "taught", "epoch_2"))


@pytest.mark.parametrize("variant", ["turbo", "base"])
def test_variant_settles_times_shift_and_condition_dropout(tensors, tmp_path, variant, monkeypatch):
    from dataclasses import replace

    real = session_module.find_model
    monkeypatch.setattr(
        session_module,
        "find_model",
        lambda name, **how: replace(real(name, **how), variant=variant),
    )
    session, _ = open_session(
        TrainConfig(tensors=tensors, output=tmp_path / "run", model=str(TINY), **KNOBS),
        ExitStack(),
    )
    plan = session.plan
    expected = ("turbo", 3.0, 0.0) if variant == "turbo" else ("continuous", 1.0, 0.15)
    assert (plan.law.kind, plan.law.shift, plan.condition_dropout) == expected


def test_adapter_and_optimizer_are_float32_over_a_bfloat16_base(tensors, tmp_path):
    config = TrainConfig(tensors=tensors, output=tmp_path / "run", precision="bfloat16", **KNOBS)
    session, _ = open_session(config, ExitStack())
    optimizer_step(session, 0, 1e-3)
    assert {p.dtype for p in session.parameters.values()} == {torch.float32}
    states = [v for state in session.optimizer.state.values() for v in state.values() if v.ndim]
    assert {state.dtype for state in states} == {torch.float32}
    frozen = [p for n, p in session.transformer.named_parameters() if not p.requires_grad]
    assert {p.dtype for p in frozen} == {torch.bfloat16}


# ------------------------------------------------------------------ stopping and failing


def test_a_stop_file_ends_the_run_with_a_checkpoint_and_the_way_on(tensors, tmp_path):
    output = tmp_path / "run"
    events = []
    for event in train(TrainConfig(tensors=tensors, output=output, **KNOBS)):
        events.append(event)
        if isinstance(event, Step) and event.step == 5:
            (output / "STOP").touch()
    assert isinstance(events[-1], Stopped) and "--resume" in events[-1].resume
    assert Path(of(Saved, events)[-1].path).name == "epoch_1_step_5"
    assert not (output / "STOP").exists()
    rest = run(tensors, output, resume=True)
    assert of(Step, rest)[0].step == 6
    run(tensors, tmp_path / "whole")
    assert same(weights(output, "epoch_3"), weights(tmp_path / "whole", "epoch_3"))


def test_nan_stops_with_step_rate_and_advice_and_keeps_the_last_good(
    tensors, tmp_path, monkeypatch
):
    import sys

    module = sys.modules["acestep.training.step"]
    real = module.frame_losses
    calls = []

    def poisoned(*args):
        calls.append(1)
        return real(*args) * (float("nan") if len(calls) == 6 else 1.0)

    monkeypatch.setattr(module, "frame_losses", poisoned)
    output = tmp_path / "run"
    with pytest.raises(RunError, match="step 6") as caught:
        run(tensors, output, save_every=1)
    assert "0.00" in str(caught.value) and "learning rate" in caught.value.hint
    assert [path.name for path in (output / "checkpoints").iterdir()] == ["epoch_1"]
    assert "epoch_1" in str(caught.value)
    log = (output / "events.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["loss"] == "nan"


def test_a_full_disk_is_an_error_that_keeps_what_was_saved(tensors, tmp_path, monkeypatch):
    import sys

    module = sys.modules["acestep.train"]
    real = module.save_checkpoint

    def full(folder, *args):
        if folder.name == "epoch_2":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(folder, *args)

    monkeypatch.setattr(module, "save_checkpoint", full)
    output = tmp_path / "run"
    with pytest.raises(RunError, match="No space left") as caught:
        run(tensors, output, save_every=1)
    assert "--resume" in caught.value.hint
    assert [path.name for path in (output / "checkpoints").iterdir()] == ["epoch_1"]


def test_patience_stops_early_and_says_so(tensors, tmp_path):
    events = run(
        tensors, tmp_path / "run", epochs=200, learning_rate=0.03, validate_every=1, patience=2
    )
    assert any("stopped early" in event.message for event in of(Notice, events))
    assert isinstance(events[-1], Finished) and of(Step, events)[-1].epoch < 200
    assert of(Saved, events)[-1].path == events[-1].facts["adapter"]
    results = [event for event in of(Evaluation, events) if event.step]
    best = min(results, key=lambda event: event.loss)
    kept = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert events[-1].facts["best"].endswith(f"/epoch_{best.epoch}")
    assert kept == {f"epoch_{best.epoch}", f"epoch_{results[-1].epoch}"} | {
        f"epoch_{epoch}" for epoch in range(2, results[-1].epoch + 1, 2)
    }


def test_a_run_in_another_thread_works(tensors, tmp_path):
    found = []
    worker = threading.Thread(target=lambda: found.extend(run(tensors, tmp_path / "run", epochs=1)))
    worker.start()
    worker.join()
    assert isinstance(found[-1], Finished)


# ------------------------------------------------------------------ refusals


def test_a_second_run_never_goes_over_the_first(tensors, tmp_path):
    run(tensors, tmp_path / "run")
    before = weights(tmp_path / "run", "epoch_3")
    with pytest.raises(RunError, match="already holds a run") as caught:
        run(tensors, tmp_path / "run", seed=1)
    assert "--resume" in caught.value.hint and same(before, weights(tmp_path / "run", "epoch_3"))


def test_tensors_of_another_model_are_refused(tensors, tmp_path):
    with pytest.raises(TensorError, match="was made with"):
        run(tensors, tmp_path / "run", model="mini")
    assert not (tmp_path / "run").exists()


def test_foreign_tensors_are_refused_with_the_reason_or_taken_on_request(tensors, tmp_path):
    (tensors / "manifest.json").write_text(
        json.dumps(
            {"metadata": {}, "samples": [f"x/sample_{n}.pt" for n in range(4)], "num_samples": 4}
        )
    )
    with pytest.raises(TensorError, match="769") as caught:
        run(tensors, tmp_path / "run")
    assert "--accept-foreign" in caught.value.hint and "preprocess" in caught.value.hint
    with pytest.raises(TensorError, match="which model"):
        run(tensors, tmp_path / "run", accept_foreign=True)
    events = run(tensors, tmp_path / "run", accept_foreign=True, model=str(TINY))
    assert any("original program" in event.message for event in of(Notice, events))


@pytest.mark.parametrize(
    ("knobs", "words"),
    [({"rank": 8}, "--rank 8"), ({"seed": 1}, "--seed 1"), ({"targets": "self"}, "--targets")],
)
def test_resuming_with_other_knobs_is_refused(tensors, tmp_path, knobs, words):
    run(tensors, tmp_path / "run")
    with pytest.raises(RunError, match="other settings") as caught:
        run(tensors, tmp_path / "run", resume=True, **knobs)
    assert words in str(caught.value)


def test_resuming_on_other_tensors_is_refused(tensors, tmp_path):
    run(tensors, tmp_path / "run")
    other = tiny_tensors(tmp_path / "other", seed=9)
    with pytest.raises(RunError, match="tensors changed"):
        run(other, tmp_path / "run", resume=True)


def test_resume_takes_the_runs_own_knobs_and_can_go_further(tensors, tmp_path):
    output = tmp_path / "run"
    run(tensors, output, rank=5, alpha=7)
    events = list(train(TrainConfig(tensors=tensors, output=output, resume=True, epochs=5)))
    assert of(Step, events)[0].step == 13 and of(Step, events)[-1].epoch == 5
    saved = json.loads((output / "checkpoints/epoch_5/adapter_config.json").read_text())
    assert saved["r"] == 5 and saved["lora_alpha"] == 7


def test_resume_without_a_run_starts_and_says_so(tensors, tmp_path):
    events = run(tensors, tmp_path / "run", resume=True)
    assert any("starting at the beginning" in event.message for event in of(Notice, events))
    assert len(of(Step, events)) == 12


def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_is_taken(tensors, tmp_path):
    output = tmp_path / "run"
    run(tensors, output, save_every=1)
    before = weights(output, "epoch_3")
    with (output / "checkpoints/epoch_3/adapter_model.safetensors").open("r+b") as file:
        file.seek(-4, 2)
        file.write(b"oops")
    events = run(tensors, output, resume=True, save_every=1)
    assert [event.step for event in of(Step, events)] == list(range(9, 13))
    assert same(weights(output, "epoch_3"), before)
    assert list((output / "checkpoints").glob("broken_epoch_3*"))


def test_weights_that_do_not_fit_are_never_passed_over(tensors, tmp_path):
    from acestep.errors import AdapterError
    from acestep.training.checkpoint import restore_checkpoint

    run(tensors, tmp_path / "run")
    session, _ = open_session(
        TrainConfig(tensors=tensors, output=tmp_path / "b", **(KNOBS | {"rank": 8})), ExitStack()
    )
    with pytest.raises(AdapterError):
        restore_checkpoint(
            tmp_path / "run/checkpoints/epoch_3", session.transformer, session.optimizer
        )


@pytest.mark.parametrize("validation", [0.0, 0.5])
def test_a_last_update_that_broke_the_adapter_is_not_kept(tensors, tmp_path, validation):
    """The losses are those before the update: they look fine when it was the update that broke."""
    output = tmp_path / "run"
    wild = {"batch_size": 4, "learning_rate": 1e36, "dropout": 0.0, "warmup_steps": 0}
    with pytest.raises(RunError, match="diverged") as caught:
        run(tensors, output, epochs=1, validation=validation, **wild)
    assert "step 1" in str(caught.value) and "no checkpoint yet" in str(caught.value)
    assert not (output / "checkpoints").exists()
    events = run(tensors, output, resume=True, epochs=1, **(wild | {"learning_rate": 1e-3}))
    assert isinstance(events[-1], Finished)


def test_two_runs_in_one_folder_at_once_are_refused(tensors, tmp_path):
    output = tmp_path / "run"
    first = train(TrainConfig(tensors=tensors, output=output, **KNOBS))
    while not isinstance(next(first), Step):
        pass
    log = (output / "events.jsonl").read_bytes()
    with pytest.raises(RunError, match="another process"):
        run(tensors, output, resume=True)
    assert (output / "events.jsonl").read_bytes() == log
    first.close()
    assert isinstance(run(tensors, output, resume=True)[-1], Finished)


def test_two_runs_that_start_together_are_refused(tensors, tmp_path, monkeypatch):
    output = tmp_path / "run"
    real = session_module.load_base

    def meanwhile(*args):
        monkeypatch.setattr(session_module, "load_base", real)
        run(tensors, output, epochs=1)
        return real(*args)

    monkeypatch.setattr(session_module, "load_base", meanwhile)
    with pytest.raises(RunError, match="already holds a run"):
        run(tensors, output)
    assert len(of(Step, RunFolder(output).read_events())) == 4


def test_a_changed_weight_decay_counts_after_resuming(tensors, tmp_path):
    for name, changes in (("same", {}), ("other", {"weight_decay": 50.0})):
        run(tensors, tmp_path / name, epochs=2, learning_rate=1e-3)
        run(tensors, tmp_path / name, resume=True, epochs=3, **changes)
    assert not same(weights(tmp_path / "same", "epoch_3"), weights(tmp_path / "other", "epoch_3"))


def test_resuming_a_finished_run_says_that_nothing_is_left(tensors, tmp_path):
    run(tensors, tmp_path / "run")
    before = weights(tmp_path / "run", "epoch_3")
    events = run(tensors, tmp_path / "run", resume=True)
    assert any("nothing is left to do" in event.message for event in of(Notice, events))
    assert not of(Step, events) and isinstance(events[-1], Finished)
    assert same(weights(tmp_path / "run", "epoch_3"), before)


def test_resuming_on_other_foreign_tensors_is_refused(tensors, tmp_path):
    knobs = {"accept_foreign": True, "model": str(TINY)}
    (tensors / "manifest.json").unlink()
    for number, file in enumerate(sorted(tensors.iterdir())):
        file.rename(tensors / f"{number}.pt")
    run(tensors, tmp_path / "run", **knobs)
    stored = torch.load(tensors / "0.pt", weights_only=True)
    torch.save(stored | {"target_latents": stored["target_latents"] + 1}, tensors / "0.pt")
    with pytest.raises(RunError, match="tensors changed"):
        run(tensors, tmp_path / "run", resume=True, epochs=4, **knobs)


def test_a_model_that_moved_is_named_once_and_remembered(tmp_path, monkeypatch):
    shutil.copytree(TINY, tmp_path / "model")
    tensors = tiny_tensors(tmp_path / "tensors", model=tmp_path / "model")
    (tmp_path / "model").rename(tmp_path / "moved")
    with pytest.raises(ModelError, match="made with a base model that is not there") as caught:
        run(tensors, tmp_path / "run")
    assert "--model" in caught.value.hint
    monkeypatch.chdir(tmp_path)
    run(tensors, tmp_path / "run", model="moved")
    monkeypatch.chdir(tmp_path / "run")
    events = list(train(TrainConfig(tensors=tensors, output=tmp_path / "run", resume=True)))
    assert isinstance(events[-1], Finished)


def test_a_run_whose_only_checkpoint_is_damaged_is_refused_and_left_alone(tensors, tmp_path):
    output = tmp_path / "run"
    run(tensors, output, epochs=1)
    (output / "checkpoints/epoch_1/training_state.pt").unlink()
    log = (output / "events.jsonl").read_bytes()
    for _ in range(2):  # the second time, too
        with pytest.raises(RunError, match="no checkpoint in .* is complete"):
            run(tensors, output, epochs=2, resume=True)
    assert (output / "events.jsonl").read_bytes() == log
    assert (output / "checkpoints/epoch_1/adapter_model.safetensors").exists()


@pytest.mark.parametrize("while_loading", [True, False])
def test_an_old_stop_file_is_forgotten_and_a_new_one_counts(
    tensors, tmp_path, monkeypatch, while_loading
):
    output = tmp_path / "run"
    run(tensors, output, epochs=1)
    real = session_module.load_base

    def load(*args):
        (output / "STOP").touch()
        return real(*args)

    if while_loading:
        monkeypatch.setattr(session_module, "load_base", load)
    else:
        (output / "STOP").touch()
    events = run(tensors, output, epochs=2, resume=True)
    assert isinstance(events[-1], Stopped if while_loading else Finished)
    assert not (output / "STOP").exists()


def test_the_way_on_names_as_many_processes_as_there_were():
    config = TrainConfig(tensors="my tensors", output="run")
    assert resume_command(config, 1) == "acestep train 'my tensors' -o run --resume"
    assert resume_command(config, 2).startswith(
        "accelerate launch --num_processes 2 -m acestep train 'my tensors'"
    )
