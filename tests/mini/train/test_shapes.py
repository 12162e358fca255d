import torch

from acestep.mini.train.shapes import (
    build_condition_encoder,
    build_text_encoder,
    build_transformer,
    split_parameters,
)


def test_a_seed_gives_the_same_weights():
    one, other = build_transformer(3).state_dict(), build_transformer(3).state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_the_second_time_embedding_adds_nothing_and_is_not_trained():
    transformer = build_transformer()
    embedded, shifts = transformer.time_embed_r(torch.zeros(2))
    assert not embedded.any() and not shifts.any()
    assert not any(value.requires_grad for value in transformer.time_embed_r.parameters())


def test_every_parameter_has_one_optimizer():
    modules = {
        "text": build_text_encoder(),
        "condition": build_condition_encoder(torch.zeros(1, 800, 64)),
        "transformer": build_transformer(),
    }
    matrices, rest = split_parameters(modules)
    assert all(value.ndim == 2 for value in matrices)
    found = {id(value) for value in matrices} | {id(value) for value in rest}
    trained = [v for m in modules.values() for v in m.parameters() if v.requires_grad]
    assert len(found) == len(matrices) + len(rest) == len(trained)
