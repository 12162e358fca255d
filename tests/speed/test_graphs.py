"""Recorded passes: buckets, buffers, refusals; on a GPU, the recording itself."""

import pytest
import torch
from adapted_model import CHANNELS, WIDTH, adapted_transformer

from acestep.adapters.attach import trainable_parameters
from acestep.errors import ConfigError
from acestep.model.flow import frame_losses
from acestep.speed import attention
from acestep.speed.attention import clip_lengths, processor_of
from acestep.speed.graphs import Graphs, bucket_of, check_graphs

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
BATCHES = [((40,), (11,)), ((64,), (32,)), ((50,), (3,)), ((20, 61), (30, 7)), ((33, 33), (9, 9))]


def by_ends(query, key, value, spans, window, scale):
    """What the variable-length kernel computes, by its own arguments, with a dense mask."""
    (rows, columns) = (
        torch.bucketize(torch.arange(part.shape[0] * part.shape[1]), ends[1:], right=True)
        for part, ends in zip((query, key), spans.ends, strict=True)
    )
    seen = rows[:, None] == columns[None]
    if window is not None:
        place = torch.arange(len(rows))
        seen &= (place[:, None] - place[None]).abs() <= window
    shared = query.shape[2] // key.shape[2]
    q, k, v = (part.flatten(0, 1).transpose(0, 1) for part in (query, key, value))
    k, v = (part.repeat_interleave(shared, 0) for part in (k, v))
    scores = (q @ k.mT * scale).masked_fill(~seen, -torch.inf)
    heard = (scores.softmax(-1).nan_to_num() @ v).transpose(0, 1)
    return heard.unflatten(0, query.shape[:2])


def batch_of(clips, conditions, device=CPU, dtype=torch.float32):
    draw = torch.Generator().manual_seed(sum(clips) + sum(conditions))
    frames = 2 * max(clips)
    weights = torch.zeros(len(clips), frames)
    for row, count in zip(weights, clips, strict=True):
        row[: 2 * count] = 1 / (2 * count)
    shapes = {"data": CHANNELS, "noise": CHANNELS, "context": 2 * CHANNELS}
    found = {
        name: torch.randn(len(clips), frames, channels, generator=draw)
        for name, channels in shapes.items()
    }
    found["condition"] = torch.randn(len(clips), max(conditions), WIDTH, generator=draw)
    found["time"] = torch.rand(len(clips), generator=draw)
    found = {name: tensor.to(device) for name, tensor in (found | {"weights": weights}).items()}
    for name in ("context", "condition"):
        found[name] = found[name].to(dtype)
    return found


def loss_of(transformer):
    def loss(batch):
        dtype = transformer.proj_in_conv.weight.dtype
        device = batch["data"].device.type
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            names = ("data", "noise", "time", "condition", "context")
            losses = frame_losses(transformer, *(batch[name] for name in names))
        return (losses * batch["weights"]).sum()

    return loss


def gradients_of(parameters):
    found = [parameter.grad.clone() for parameter in parameters]
    for parameter in parameters:
        parameter.grad.zero_()
    return torch.cat([gradient.flatten() for gradient in found])


def test_buckets_are_few():
    assert bucket_of(1, 1, 1) == (1, 64, 32)
    assert bucket_of(3, 64, 33) == (3, 64, 64)
    assert len({bucket_of(1, patches, 200) for patches in range(1, 3001)}) == 47


def test_a_pass_in_a_bucket_is_the_pass_itself(monkeypatch):
    monkeypatch.setitem(attention.KERNELS, "varlen", by_ends)
    transformer = adapted_transformer(layers=2)
    parameters = list(trainable_parameters(transformer).values())
    recorded = []
    graphs = Graphs(transformer, parameters, record=lambda run: recorded.append(run) or run)
    whole, wanted = [], []
    for clips, conditions in BATCHES:
        batch = batch_of(clips, conditions)
        with clip_lengths(transformer, clips, conditions):
            loss = loss_of(transformer)(batch)
        loss.backward()
        wanted.append((loss.item(), gradients_of(parameters)))
    processor_of(transformer).kernel = "varlen"
    places = [parameter.grad.data_ptr() for parameter in parameters]
    for clips, conditions in BATCHES:
        loss = graphs.add_gradients(
            loss_of(transformer), batch_of(clips, conditions), clips, conditions
        )
        whole.append((loss.item(), gradients_of(parameters)))
    for (loss, gradient), (wanted_loss, wanted_gradient) in zip(whole, wanted, strict=True):
        assert loss == pytest.approx(wanted_loss, rel=1e-5)
        assert (gradient - wanted_gradient).norm() < 1e-5 * wanted_gradient.norm()
    assert len(recorded) == 2 == len(graphs.buckets)  # one clip, two clips
    assert [parameter.grad.data_ptr() for parameter in parameters] == places
    assert not processor_of(transformer).held


def test_gradients_of_several_passes_add_up(monkeypatch):
    monkeypatch.setitem(attention.KERNELS, "varlen", by_ends)
    transformer = adapted_transformer(layers=1)
    processor_of(transformer).kernel = "varlen"
    parameters = list(trainable_parameters(transformer).values())
    graphs = Graphs(transformer, parameters, record=lambda run: run)
    alone = []
    for clips, conditions in BATCHES[:3]:
        graphs.add_gradients(loss_of(transformer), batch_of(clips, conditions), clips, conditions)
        alone.append(gradients_of(parameters))
    for clips, conditions in BATCHES[:3]:
        graphs.add_gradients(loss_of(transformer), batch_of(clips, conditions), clips, conditions)
    torch.testing.assert_close(gradients_of(parameters), sum(alone))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((CPU, "local", "none", 0.0), "none on cpu"),
        ((CUDA, "flex", "none", 0.0), "flex attention asks"),
        ((CUDA, "varlen", "full", 0.1), "dropout that is computed again"),
        ((CUDA, "varlen", "none", 0.0, "a split base"), "a split base"),
    ],
)
def test_what_cannot_be_recorded_is_refused(given, said):
    with pytest.raises(ConfigError, match=said) as refused:
        check_graphs(*given)
    assert refused.value.hint


def test_what_can_be_recorded_is_not_refused():
    check_graphs(CUDA, "varlen", "none", 0.1)
    check_graphs(CUDA, "varlen", "full", 0.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_on_a_gpu_a_recorded_pass_is_the_pass(dropout):
    transformer = adapted_transformer(layers=3, dtype=torch.bfloat16, dropout=dropout).to(CUDA)
    attention.install_attention(transformer)
    parameters = list(trainable_parameters(transformer).values())
    graphs = Graphs(transformer, parameters)
    for clips, conditions in BATCHES * 2:
        batch = batch_of(clips, conditions, CUDA, torch.bfloat16)
        torch.manual_seed(3)
        loss = graphs.add_gradients(loss_of(transformer), batch, clips, conditions)
        gradient = gradients_of(parameters)
        if dropout == 0:
            with clip_lengths(transformer, clips, conditions):
                wanted = loss_of(transformer)(batch)
            wanted.backward()
            assert loss.item() == pytest.approx(wanted.item(), rel=1e-2)
            assert torch.cosine_similarity(gradient, gradients_of(parameters), dim=0) > 0.999
        else:
            torch.manual_seed(3)
            graphs.add_gradients(loss_of(transformer), batch, clips, conditions)
            assert torch.equal(gradients_of(parameters), gradient)
